/** The durable lane on a cluster of three brokers. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import { Client } from "../../../client/client.js";
import { LaneStore } from "../../../mesh/durable/store.js";
import type { PoolError } from "../../../mesh/errors.js";
import { Bus } from "../../../mesh/link/bus.js";
import { Manager } from "../../../services/manager/manager.js";
import { Worker } from "../../../services/worker/worker.js";
import { startBroker } from "../../support/broker.js";
import { cleanUp, type Owner } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const JOBS = 200;

/** Three brokers with JetStream; each has to know the others' ports before it starts. */
async function startThree(t: Owner) {
  const ports = await freePorts(3);
  const routes = ports.map((port) => `"nats://127.0.0.1:${port}"`).join(", ");
  return Promise.all(
    ports.map((port, i) => {
      const extraConfig = `cluster { name: three, listen: "127.0.0.1:${port}", routes: [${routes}] }`;
      return startBroker(t, { serverName: `broker-${i + 1}`, jetStream: true, extraConfig });
    }),
  );
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function unlessDisconnected(error: PoolError): undefined {
  assert.match(error.message, /not connected|no answer from the stream/);
}

test("durable - on three brokers each stream has three copies, and jobs go on when one broker is killed", async (t) => {
  const brokers = await startThree(t);
  const bus = { servers: brokers.map(({ url }) => url) };
  const manager = await Manager.connect({ pool: "three", ...bus, durable: true, graceMs: 100 });
  cleanUp(t, () => manager.close());
  const worker = new Worker({ pool: "three", run: (job) => Number(job.payload) + 1, slots: 4, ...bus });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const client = await Client.connect({ pool: "three", ...bus });
  cleanUp(t, () => client.close());
  const reader = await Bus.connect(bus);
  cleanUp(t, () => reader.close());
  const store = new LaneStore(reader);
  for (const stream of ["pool-jobs-three", "pool-outcomes", "pool-dead", "pool-claims"]) {
    assert.equal((await store.streamInfo(stream))?.config.num_replicas, 3, stream);
  }
  const inputs = Array.from({ length: JOBS }, (_, i) => String(i));
  const results: Promise<unknown>[] = [];
  for (const input of inputs) {
    // A client that is not connected is told at once; everything else is waited for.
    const receipt = await eventually(() => client.enqueue(input, { id: `job-${input}` }).catch(unlessDisconnected));
    results.push(receipt.result({ timeoutMs: 60_000 }).then((result) => result.json()));
    if (results.length === JOBS / 2) await brokers[0]?.crash();
  }
  assert.deepEqual(
    await Promise.all(results),
    inputs.map((each) => Number(each) + 1),
  );
});
