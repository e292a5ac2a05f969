/** An operator deletes streams of the lane, or restores them: managers make again what is missing, and jobs go on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "nats";
import { Client } from "../../../../client/client.js";
import { DurableLane } from "../../../../client/durable/operator.js";
import { DurableNames } from "../../../../mesh/durable/names.js";
import { readLanes } from "../../../../mesh/durable/shown/lanes-view.js";
import { LaneStore } from "../../../../mesh/durable/store.js";
import { PermanentError, toPoolError } from "../../../../mesh/errors.js";
import { Worker } from "../../../../services/worker/worker.js";
import { connectBus, startBroker } from "../../../support/broker.js";
import { cleanUp, type Owner } from "../../../support/clean-up.js";
import { startDurableManager } from "../../../support/durable-mesh.js";
import { leakGuard } from "../../../support/leak-guard.js";
import { eventually } from "../../../support/wait.js";

leakGuard();
const POOL = "adder";
/** How long a job runs whose payload begins with "take", in milliseconds. */
const TAKES_MS = 300;

interface Site {
  readonly client: Client;
  readonly jetStream: JetStreamManager;
  readonly lane: DurableLane;
  readonly store: LaneStore;
  /** Jobs that run at this moment, the most that did, and how often each payload has run. */
  readonly seen: { now: number; most: number; readonly runs: Map<string, number> };
  /** Lets jobs that wait for it go on. */
  readonly release: () => void;
  readonly addWorker: () => Promise<Worker<string, unknown>>;
}

/** Managers that serve the pool by its name, and no worker. */
async function startSite(t: Owner, managers = 1): Promise<Site> {
  const broker = await startBroker(t);
  const bus = { servers: broker.url };
  for (let i = 0; i < managers; i += 1) await startDurableManager(t, broker.url, { pools: [POOL] });
  const nc = await connect(bus);
  cleanUp(t, () => nc.close());
  const client = await Client.connect({ pool: POOL, ...bus });
  cleanUp(t, () => client.close());
  const connection = await connectBus(t, broker);
  const lane = await DurableLane.open({ pool: POOL, connection });
  cleanUp(t, () => lane.close());
  const seen = { now: 0, most: 0, runs: new Map<string, number>() };
  let release = (): void => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const run = async ({ payload }: { payload: string }): Promise<string> => {
    seen.now += 1;
    seen.most = Math.max(seen.most, seen.now);
    seen.runs.set(payload, (seen.runs.get(payload) ?? 0) + 1);
    if (payload === "fail") throw new PermanentError("never");
    if (payload === "wait") await gate;
    if (payload.startsWith("take")) await delay(TAKES_MS);
    seen.now -= 1;
    return `result of ${payload}`;
  };
  const addWorker = async (): Promise<Worker<string, unknown>> => {
    const worker = new Worker<string, unknown>({ pool: POOL, run, slots: 2, graceMs: 100, ...bus });
    cleanUp(t, () => worker.stop());
    await worker.start();
    return worker;
  };
  return {
    client,
    store: new LaneStore(connection),
    jetStream: await jetstreamManager(nc),
    lane,
    seen,
    release,
    addWorker,
  };
}

async function endOf(client: Client, payload: string, options: { idempotent?: boolean } = {}): Promise<unknown> {
  try {
    const receipt = await client.enqueue(JSON.stringify(payload), options);
    return (await receipt.result({ timeoutMs: 30_000 })).json();
  } catch (thrown) {
    return toPoolError(thrown).reason;
  }
}

for (const [stream, payload, end] of [
  ["pool-outcomes", "a", "result of a"],
  ["pool-claims", "a", "result of a"],
  ["pool-dead", "fail", "job_rejected"],
] as const) {
  test(`a stream that is deleted is made again when a job needs it: ${stream}`, async (t) => {
    const { client, jetStream, addWorker } = await startSite(t);
    await addWorker();
    const run = (): Promise<unknown> => endOf(client, payload, { idempotent: false });
    assert.equal(await run(), end);
    await jetStream.streams.delete(stream);
    assert.equal(await run(), end);
    assert.equal((await jetStream.streams.info(stream)).config.name, stream);
  });
}

test("the stream of a pool that is deleted is made again while the pool has no worker", async (t) => {
  const { client, jetStream, addWorker } = await startSite(t);
  const worker = await addWorker();
  assert.equal(await endOf(client, "a"), "result of a");
  await worker.stop();
  await jetStream.streams.delete(`pool-jobs-${POOL}`);
  const receipt = await eventually(() => client.enqueue('"b"').catch(() => undefined));
  await addWorker();
  assert.equal((await receipt?.result({ timeoutMs: 30_000 }))?.json(), "result of b");
});

test("the stream of a pool that is deleted is made again while all of its slots are busy", async (t) => {
  const { client, jetStream, seen, release, addWorker } = await startSite(t);
  await addWorker();
  for (let i = 0; i < 12; i += 1) await client.enqueue('"wait"');
  await eventually(() => seen.now === 2, { what: "two that run" });
  await jetStream.streams.delete(`pool-jobs-${POOL}`);
  const receipt = await eventually(() => client.enqueue('"b"').catch(() => undefined));
  release();
  assert.equal((await receipt?.result({ timeoutMs: 30_000 }))?.json(), "result of b");
});

test("a limit holds that is set after the stream of limits was deleted, whatever had been set before", async (t) => {
  const { client, jetStream, lane, seen, release, addWorker } = await startSite(t);
  await addWorker();
  const target = "each-key";
  for (const running of [3, 4, 2]) await lane.limits.set({ target, running });
  await jetStream.streams.delete("pool-limits");
  await eventually(
    () =>
      lane.limits.set({ target, running: 1 }).then(
        () => true,
        () => false,
      ),
    { limitMs: 20_000 },
  );
  const receipts = await Promise.all(
    ["wait", "b", "c", "d"].map((payload) => client.enqueue(JSON.stringify(payload), { concurrencyKey: "k" })),
  );
  await eventually(() => seen.now === 1, { what: "one that runs" });
  release();
  for (const receipt of receipts) await receipt.result({ timeoutMs: 30_000 });
  assert.equal(seen.most, 1);
});

test("a consumer that is deleted is made again, and what the managers hold of it goes on: each job runs once", async (t) => {
  const { client, jetStream, seen, addWorker } = await startSite(t, 2);
  await addWorker();
  const payloads = Array.from({ length: 30 }, (_, i) => `take ${i}`);
  const receipts = await Promise.all(
    payloads.map((payload, i) => client.enqueue(JSON.stringify(payload), { idempotent: i % 3 === 0 })),
  );
  // Both managers hold some by then that wait for a slot.
  await eventually(() => seen.runs.size >= 6, { what: "six that have begun" });
  await jetStream.consumers.delete(`pool-jobs-${POOL}`, "normal");
  const ends = await Promise.all(receipts.map((receipt) => receipt.result({ timeoutMs: 60_000 })));
  assert.deepEqual(
    ends.map((result) => result.json()),
    payloads.map((payload) => `result of ${payload}`),
  );
  assert.deepEqual(
    payloads.filter((payload) => seen.runs.get(payload) !== 1),
    [],
    "runs",
  );
});

test("a setting that would lose or stop jobs is named, of streams and of consumers", async (t) => {
  const { jetStream, store } = await startSite(t);
  const stream = `pool-jobs-${POOL}`;
  await jetStream.streams.update(stream, { max_age: 3_600e9 });
  await jetStream.consumers.update(stream, "normal", { max_batch: 1 });
  const [jobs] = (await readLanes(store, new DurableNames(), POOL)).streams;
  assert.deepEqual(jobs?.differences, [
    "max_age: 0 expected, 3600000000000 found",
    "normal max_batch: 0 expected, 1 found",
  ]);
});
