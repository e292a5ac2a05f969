/** A backlog that was stored before its manager starts: how much of it is looked up, and what does not run again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "../../../../client/client.js";
import { DurableNames } from "../../../../mesh/durable/names.js";
import { encodeOutcome } from "../../../../mesh/durable/outcome.js";
import { LaneStore } from "../../../../mesh/durable/store.js";
import { JobResult } from "../../../../mesh/job/job.js";
import { silentLog } from "../../../../mesh/process/log.js";
import { provisionPool, provisionShared } from "../../../../services/manager/durable/provision.js";
import { MOST_FORGOTTEN } from "../../../../services/manager/durable/takeover/first-deliveries.js";
import { ManagerService } from "../../../../services/manager/service.js";
import { Worker } from "../../../../services/worker/worker.js";
import { connectBus, startBroker } from "../../../support/broker.js";
import { cleanUp } from "../../../support/clean-up.js";
import { leakGuard } from "../../../support/leak-guard.js";
import { eventually } from "../../../support/wait.js";

leakGuard();
const POOL = "backlog";
const names = new DurableNames();
/** More than are looked up. */
const JOBS = MOST_FORGOTTEN + 1_000;
const ENDED = 100;

test("backlog - what a broker has forgotten to have delivered does not run again; only the first thousands are looked up, and jobs that may run once", async (t) => {
  const broker = await startBroker(t);
  const bus = await connectBus(t, broker);
  const store = new LaneStore(bus);
  const provisioning = { store, names, replicas: 1, log: silentLog };
  await provisionShared(provisioning);
  await provisionPool(provisioning, POOL);
  const client = await Client.connect({ pool: POOL, servers: broker.url });
  cleanUp(t, () => client.close());
  const payloads = Array.from({ length: JOBS }, (_, i) => String(i));
  const ids: string[] = [];
  for await (const one of client.enqueueMany(payloads, { window: 512 })) {
    assert.ok(one.ok);
    ids[one.index] = one.receipt.id;
  }
  const once = await client.enqueue("-1", { idempotent: false });
  // What a broker delivers for the first time, and what has an outcome, it has delivered before.
  for (const id of [...ids.slice(0, ENDED), once.id]) {
    const result = new JobResult(id, Buffer.from("0"), "", 1, 0, 0);
    const facts = { sequence: 1, manager: "another", attempt: 1, enqueuedAt: 0, endedAt: 0, client: "" };
    const { headers, payload } = encodeOutcome({ ok: true, id, result }, facts);
    await bus.nc.request(names.outcome(POOL, id), payload, { headers, timeout: 5_000 });
  }
  let looks = 0;
  bus.subscribe(`$JS.API.STREAM.MSG.GET.${names.outcomesStream}`, () => {
    looks += 1;
  });
  await bus.flush();
  const ran: number[] = [];
  const run = ({ payload }: { readonly payload: unknown }): void => void ran.push(Number(payload));
  const worker = new Worker({ pool: POOL, slots: 64, graceMs: 0, servers: broker.url, run });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const listen = { host: "127.0.0.1", port: 0 };
  const service = new ManagerService({
    bus: { servers: broker.url },
    listen,
    durable: true,
    pools: [POOL],
    graceMs: 0,
  });
  cleanUp(t, () => service.stop());
  await service.start();
  const isDrained = async () => (await store.streamInfo(names.jobsStream(POOL)))?.state.messages === 0;
  await eventually(isDrained, { limitMs: 120_000, pollMs: 100, what: "all have ended" });
  assert.equal(ran.length, JOBS - ENDED);
  assert.equal(Math.min(...ran), ENDED);
  assert.equal(looks, MOST_FORGOTTEN + 1);
});
