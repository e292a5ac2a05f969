/** Batches whose managers, callers and brokers die: one completion job, and no outcome is lost. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "nats";
import { Client } from "../../../../client/client.js";
import { encodeBatch, newBatch, sealed, withMarks } from "../../../../mesh/durable/batches/batch-record.js";
import { DurableNames, LEVELS } from "../../../../mesh/durable/names.js";
import { StreamPublisher } from "../../../../mesh/durable/publisher.js";
import { LaneStore } from "../../../../mesh/durable/store.js";
import { batchesStream, jobsStream, levelConsumer } from "../../../../mesh/durable/streams.js";
import { wireHeaders } from "../../../../mesh/wire/wire-headers.js";
import { ManagerService } from "../../../../services/manager/service.js";
import { Worker } from "../../../../services/worker/worker.js";
import { connectBus, type Owner, startBroker } from "../../../support/broker.js";
import { cleanUp } from "../../../support/clean-up.js";
import { leakGuard } from "../../../support/leak-guard.js";
import { TcpProxy } from "../../../support/proxy/tcp-proxy.js";
import { eventually } from "../../../support/wait.js";

leakGuard();

const COMMON = { listen: { host: "127.0.0.1", port: 0 }, durable: true, graceMs: 0 };
const names = new DurableNames();

/** The streams of pools with an ack wait of 3 s, so that what a dead manager had comes again soon. */
async function provisionShort(store: LaneStore, pools: readonly string[]): Promise<void> {
  for (const pool of pools) {
    await store.addStream(jobsStream(names, pool, 1));
    for (const level of LEVELS) {
      await store.addConsumer(names.jobsStream(pool), { ...levelConsumer(names, pool, level), ack_wait: 3e9 });
    }
  }
}

async function startManager(t: Owner, id: string, servers: string): Promise<ManagerService> {
  const service = new ManagerService({ id, bus: { servers }, ...COMMON });
  cleanUp(t, () => service.stop());
  await service.start();
  return service;
}

/** A worker of each pool; all tell what they ran. */
async function startWorkers(t: Owner, servers: string, pools: readonly string[]): Promise<string[]> {
  const runs: string[] = [];
  for (const pool of pools) {
    const worker = new Worker({ pool, slots: 4, graceMs: 0, servers, run: (job) => runs.push(`${pool}:${job.id}`) });
    cleanUp(t, () => worker.stop());
    await worker.start();
  }
  return runs;
}

async function startClient(t: Owner, pool: string, servers: string): Promise<Client> {
  const client = await Client.connect({ pool, servers });
  cleanUp(t, () => client.close());
  return client;
}

/** Where the manager is when it dies, by the subject of what it published last. */
const MOMENTS = [
  { dies: "after the last outcome", subject: "pool.d-jobs.outcome.b-2", count: 1 },
  { dies: "after the outcome was counted", subject: "pool.d-jobs.batch.b", count: 1, full: true },
  { dies: "after the completion job was stored", subject: "pool.d-done.durable.*.b-completed", count: 1 },
] as const;

for (const { dies, subject, ...moment } of MOMENTS) {
  test(`batch - a manager that dies ${dies} leaves exactly one completion job, which is told of every outcome`, async (t) => {
    const broker = await startBroker(t);
    const link = new TcpProxy(broker.url);
    cleanUp(t, () => link.stop());
    await link.start();
    const store = new LaneStore(await connectBus(t, broker));
    await provisionShort(store, ["d-jobs", "d-done"]);
    const doomed = await startManager(t, "a-doomed", link.url);
    const runs = await startWorkers(t, broker.url, ["d-jobs", "d-done"]);
    const client = await startClient(t, "d-jobs", broker.url);
    const isOpen = (service: ManagerService): boolean =>
      ["d-jobs", "d-done"].every((pool) => service.pools?.durable?.isOpen(pool) === true);
    await eventually(() => isOpen(doomed));
    const nc = await connect({ servers: broker.url });
    cleanUp(t, () => nc.close());
    let died = false;
    const isMoment = (text: string): boolean => !("full" in moment) || text.includes("fullAt");
    nc.subscribe(subject, {
      callback: (_error, msg) => {
        if (died || !isMoment(msg.string())) return;
        died = true;
        link.reset({ refuse: true });
      },
    });
    await nc.flush();
    // What the broker tells the manager is late: it cannot have done what follows when it dies.
    link.set("to-client", { delayMs: 300 });
    const adding = client.enqueueBatch(["1", "2", "3"], { id: "b", onComplete: { pool: "d-done" } });
    await eventually(() => died, { what: "the moment", limitMs: 60_000 });
    const survivor = await startManager(t, "survivor", broker.url);
    cleanUp(t, () => broker.stop());
    const batch = await adding;
    await batch.result({ timeoutMs: 30_000 });
    const lane = (pool: string) => survivor.pools?.durable?.of(survivor.pools.get(pool));
    await eventually(async () => (await store.streamInfo(names.jobsStream("d-jobs")))?.state.messages === 0, {
      what: "every job acknowledged",
      limitMs: 60_000,
    });
    await eventually(() => lane("d-jobs")?.held === 0 && lane("d-done")?.held === 0);
    assert.equal(runs.filter((run) => run === "d-done:b-completed").length, 1);
    const { succeeded, state } = await batch.status();
    assert.deepEqual([succeeded, state], [3, "completed"]);
    assert.equal(new Set(runs).size, 4);
  });
}

test("batch - the worker of the completion pool is behind a slow link that breaks: one completion job, told of every outcome", async (t) => {
  const broker = await startBroker(t);
  const link = new TcpProxy(broker.url);
  cleanUp(t, () => link.stop());
  await link.start();
  const service = await startManager(t, "m-1", broker.url);
  await startWorkers(t, broker.url, ["w-jobs"]);
  const runs = await startWorkers(t, link.url, ["w-done"]);
  await eventually(() => ["w-jobs", "w-done"].every((pool) => service.pools?.durable?.isOpen(pool) === true));
  cleanUp(t, () => broker.stop());
  const client = await startClient(t, "w-jobs", broker.url);
  link.set("both", { delayMs: 300 });
  const batch = await client.enqueueBatch(["1", "2", "3"], { id: "b", onComplete: { pool: "w-done" } });
  await eventually(async () => (await batch.status()).state === "completed", { what: "the completion job stored" });
  link.reset();
  await batch.result({ timeoutMs: 30_000 });
  link.heal();
  const { succeeded, total } = await batch.status();
  assert.deepEqual([succeeded, total, [...new Set(runs)]], [3, 3, ["w-done:b-completed"]]);
  assert.equal(service.pools?.durable?.batches.completed("w-jobs"), 1);
});

test("batch - a full batch whose last counter has died for good is found, and completed once", async (t) => {
  const broker = await startBroker(t);
  const bus = await connectBus(t, broker);
  const store = new LaneStore(bus);
  const publisher = new StreamPublisher(bus);
  cleanUp(t, () => publisher.stop());
  await store.addStream(batchesStream(names, 1));
  const completion = { pool: "s-done", id: "lost-completed" };
  const opened = newBatch({ id: "lost", client: "", completion, context: "", openedAt: 1 });
  const marked = withMarks(opened, [{ index: 0, id: "lost-0", reason: "", end: "succeeded" }], 2);
  const payload = encodeBatch(sealed(marked, 1, 3));
  const full = { subject: names.batch("s-jobs", "lost"), payload, headers: wireHeaders() };
  assert.equal((await publisher.publish(full, 2_000)).kind, "stored");
  const runs = await startWorkers(t, broker.url, ["s-jobs", "s-done"]);
  const first = await startManager(t, "m-1", broker.url);
  // nats-server 2.9.10 may end itself when two managers make streams at once.
  await eventually(() => ["s-jobs", "s-done"].every((pool) => first.pools?.durable?.isOpen(pool) === true));
  const second = await startManager(t, "m-2", broker.url);
  cleanUp(t, () => broker.stop());
  const client = await startClient(t, "s-done", broker.url);
  await eventually(async () => (await client.outcome("lost-completed").catch(() => undefined))?.ok, {
    limitMs: 60_000,
  });
  assert.deepEqual(runs, ["s-done:lost-completed"]);
  const told = [first, second].map(({ pools }) => pools?.durable?.batches.completed("s-jobs") ?? 0);
  assert.equal(told[0]! + told[1]!, 1, "one manager says that it has enqueued it");
});
