/** One connection that worker, manager and client share, and worker options beside each other. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "../../../client/client.js";
import { Bus } from "../../../mesh/link/bus.js";
import { Manager } from "../../../services/manager/manager.js";
import { Worker } from "../../../services/worker/worker.js";
import { startBroker, WHOLE_FILE } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { failure } from "../../support/failure.js";

const broker = await startBroker(WHOLE_FILE);
const servers = broker.url;

test("shared connection - worker, manager and client work on one, and none of them closes it", async (t) => {
  const connection = await Bus.connect({ servers });
  cleanUp(t, () => connection.close());
  const worker = new Worker({ pool: "shared", connection, run: ({ payload }) => Number(payload) + 1 });
  await worker.start();
  const manager = await Manager.connect({ pool: "shared", connection });
  const client = await Client.connect({ pool: "shared", connection });
  assert.equal((await manager.submit(41)).json(), 42);
  await client.close();
  await manager.close();
  await worker.stop();
  assert.equal(connection.connected, true);
});

test("worker options - servers and signal beside the others: it connects, and a signal ends the wait for a broker", async (t) => {
  const worker = new Worker({ pool: "flat", servers, run: () => 1 });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const manager = await Manager.connect({ pool: "flat", servers });
  cleanUp(t, () => manager.close());
  assert.equal((await manager.submit(null)).json(), 1);
  const waiting = new Worker({
    pool: "flat",
    servers: "nats://127.0.0.1:1",
    signal: AbortSignal.abort(),
    run: () => 1,
  });
  assert.equal((await failure(waiting.start())).reason, "canceled");
});
