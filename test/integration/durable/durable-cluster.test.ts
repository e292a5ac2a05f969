/** The durable lane on a cluster of three brokers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "../../../client/client.js";
import { DurableLane } from "../../../client/durable/operator.js";
import { NEEDS } from "../../../mesh/durable/broker-needs.js";
import { LaneStore } from "../../../mesh/durable/store.js";
import type { PoolError } from "../../../mesh/errors.js";
import { Bus } from "../../../mesh/link/bus.js";
import { Manager } from "../../../services/manager/manager.js";
import { ManagerService } from "../../../services/manager/service.js";
import { Worker } from "../../../services/worker/worker.js";
import { lacking, startThree } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const skip = await lacking(NEEDS.schedules);
const JOBS = 200;
/** More than brokers take to elect a leader anew, though several tries fail on a slow machine, in milliseconds. */
const ELECTION_MS = 60_000;

function unlessDisconnected(error: PoolError): undefined {
  assert.match(error.message, /not connected|no answer from the stream/);
}

test("durable - on three brokers each stream has three copies, and jobs go on when one broker is killed", async (t) => {
  const brokers = await startThree(t);
  const bus = { servers: brokers.map(({ url }) => url) };
  const manager = await Manager.connect({ pool: "three", ...bus, durable: true, graceMs: 100 });
  cleanUp(t, () => manager.close());
  const run = (job: { payload: unknown }): unknown =>
    typeof job.payload === "string" ? job.payload : Number(job.payload) + 1;
  const worker = new Worker({ pool: "three", run, slots: 4, ...bus, largePayloads: true });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const client = await Client.connect({ pool: "three", ...bus, largePayloads: true });
  cleanUp(t, () => client.close());
  const reader = await Bus.connect(bus);
  cleanUp(t, () => reader.close());
  const store = new LaneStore(reader);
  for (const stream of ["pool-jobs-three", "pool-outcomes", "pool-dead", "pool-claims"]) {
    assert.equal((await store.streamInfo(stream))?.config.num_replicas, 3, stream);
  }
  const text = "x".repeat(2_000_000);
  const large = await client.enqueue(JSON.stringify(text), { id: "large" });
  assert.equal((await large.result({ timeoutMs: 60_000 })).json(), text);
  for (const stream of ["OBJ_pool-enqueued", "OBJ_pool-results"]) {
    assert.equal((await store.streamInfo(stream))?.config.num_replicas, 3, stream);
  }
  const inputs = Array.from({ length: JOBS }, (_, i) => String(i));
  const results: Promise<unknown>[] = [];
  for (const input of inputs) {
    // A client that is not connected is told at once; everything else is waited for.
    const receipt = await eventually(() => client.enqueue(input, { id: `job-${input}` }).catch(unlessDisconnected), {
      what: "a job that is stored",
      limitMs: ELECTION_MS,
    });
    results.push(receipt.result({ timeoutMs: 60_000 }).then((result) => result.json()));
    if (results.length === JOBS / 2) await brokers[0]?.crash();
  }
  assert.deepEqual(
    await Promise.all(results),
    inputs.map((each) => Number(each) + 1),
  );
  // While the brokers elect another leader of the results, the result cannot be read. An election may fail, and each takes seconds.
  const after = await eventually(
    async () => {
      const outcome = await client.outcome("large").catch(unlessDisconnected);
      return outcome?.ok === true ? outcome : undefined;
    },
    { what: "the large result to be read", limitMs: ELECTION_MS },
  );
  assert.equal(after.result.json(), text);
});

test("durable - on three brokers jobs for later become due although the leader of their stream is killed, and a pause stays", {
  skip,
}, async (t) => {
  const brokers = await startThree(t);
  const bus = { servers: brokers.map(({ url }) => url) };
  const listen = { host: "127.0.0.1", port: 0 };
  const manager = new ManagerService({ bus, listen, graceMs: 100, durable: true, pools: ["three"] });
  cleanUp(t, () => manager.stop());
  await manager.start();
  const runs = new Map<unknown, number>();
  const run = ({ payload }: { payload: unknown }): unknown => {
    runs.set(payload, (runs.get(payload) ?? 0) + 1);
    return payload;
  };
  const worker = new Worker({ pool: "three", run, slots: 8, ...bus });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const client = await Client.connect({ pool: "three", ...bus });
  cleanUp(t, () => client.close());
  const lane = await DurableLane.open({ pool: "three", ...bus });
  cleanUp(t, () => lane.close());
  await lane.pause();
  const runAt = Date.now() + 4_000;
  const inputs = Array.from({ length: JOBS }, (_, i) => String(i));
  const enqueued = await Promise.all(inputs.map((input) => client.enqueue(input, { id: `later-${input}`, runAt })));
  const reader = await Bus.connect(bus);
  cleanUp(t, () => reader.close());
  const info = await new LaneStore(reader).streamInfo("pool-later-three");
  assert.equal(info?.config.num_replicas, 3);
  const leader = Number(/\d$/.exec(info?.cluster?.leader ?? "")?.[0]) - 1;
  await brokers[leader]?.crash();
  // All of them are queued by the new leader, and none begins.
  await eventually(async () => (await lane.figures()).queued === JOBS, { limitMs: 60_000 });
  assert.deepEqual([(await lane.figures()).paused?.levels.length, runs.size], [3, 0]);
  await eventually(() => lane.resume().then(() => true));
  const results = await Promise.all(enqueued.map((each) => each.result({ timeoutMs: 60_000 })));
  assert.deepEqual(
    results.map((result) => result.text()),
    inputs,
  );
  assert.ok([...runs.values()].every((count) => count === 1));
});
