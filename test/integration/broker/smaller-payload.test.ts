/** A broker that comes back with a smaller max_payload: what it does not take is refused, and nobody falls over it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Broker } from "../../../broker/broker.js";
import { Client } from "../../../client/client.js";
import { Manager } from "../../../services/manager/manager.js";
import { ManagerService } from "../../../services/manager/service.js";
import { Worker } from "../../../services/worker/worker.js";
import { type Owner, startBroker } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { failure } from "../../support/failure.js";
import { leakGuard } from "../../support/leak-guard.js";
import { eventually, gate } from "../../support/wait.js";

leakGuard();
const SMALL_BYTES = 65_536;
const LARGE = "x".repeat(4 * SMALL_BYTES);

/** A pool with one slot, whose jobs wait until `open`, and a broker that can be replaced. */
async function startPool(t: Owner) {
  const broker = await startBroker(t, { jetStream: false });
  const held = gate();
  let started = 0;
  const run = async (job: { payload: unknown }) => {
    started += 1;
    await held.promise;
    return String(job.payload).length;
  };
  const worker = new Worker({ pool: "p", run, slots: 1, codec: "text", graceMs: 100, servers: broker.url });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const shrink = async (): Promise<void> => {
    await broker.stop();
    const smaller = new Broker({ port: broker.port, jetStream: false, maxPayloadBytes: SMALL_BYTES });
    cleanUp(t, () => smaller.stop());
    await smaller.start();
  };
  return { servers: broker.url, open: held.open, started: () => started, shrink };
}

test("smaller max_payload - a parked job is refused, and the pool goes on", async (t) => {
  const { servers, open, started, shrink } = await startPool(t);
  const manager = await Manager.connect({ pool: "p", servers });
  cleanUp(t, () => manager.close());
  // Before it hears the worker, a manager takes the pool for one without heartbeats, and parks nothing.
  await eventually(() => manager.capacity.slots === 1);
  const running = manager.submit("first");
  await eventually(() => started() === 1);
  const parked = failure(manager.submit(LARGE));
  const small = manager.submit("second");
  await shrink();
  const { reason, message, maybeExecuted } = await parked;
  assert.deepEqual({ reason, maybeExecuted }, { reason: "payload_too_large", maybeExecuted: false });
  assert.match(message, /262144 bytes, the broker takes 65024/);
  open();
  assert.deepEqual([(await running).text(), (await small).text()], ["5", "6"]);
});

test("smaller max_payload - a client hears of a job that its manager has, although it cannot ask for it", async (t) => {
  const { servers, open, started, shrink } = await startPool(t);
  const service = new ManagerService({ bus: { servers }, listen: { host: "127.0.0.1", port: 0 }, graceMs: 100 });
  cleanUp(t, () => service.stop());
  await service.start();
  const client = await Client.connect({ pool: "p", servers });
  cleanUp(t, () => client.close());
  const running = client.submit(LARGE);
  await eventually(() => started() === 1);
  await shrink();
  open();
  assert.equal((await running).text(), String(LARGE.length));
  assert.equal((await client.submit("after")).text(), "5");
});

test("smaller max_payload - a job that no manager has taken is refused", async (t) => {
  const { servers, shrink } = await startPool(t);
  const client = await Client.connect({ pool: "p", servers });
  cleanUp(t, () => client.close());
  const waiting = failure(client.submit(LARGE, { timeoutMs: 60_000, idempotent: true }));
  await shrink();
  const { reason, retryable } = await waiting;
  assert.deepEqual({ reason, retryable }, { reason: "payload_too_large", retryable: false });
});
