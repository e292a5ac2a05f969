/** Jobs for later, while managers and the broker come and go, and on a broker that cannot keep them. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { allBinaries } from "../../../../broker/find.js";
import { Client } from "../../../../client/client.js";
import { ACK } from "../../../../mesh/durable/ack-subject.js";
import { NEEDS } from "../../../../mesh/durable/broker-needs.js";
import { DurableNames } from "../../../../mesh/durable/names.js";
import { StreamPublisher } from "../../../../mesh/durable/publisher.js";
import { LaneStore } from "../../../../mesh/durable/store.js";
import { dueConsumer, laterStream } from "../../../../mesh/durable/streams.js";
import { silentLog } from "../../../../mesh/process/log.js";
import { DueMover } from "../../../../services/manager/durable/later/due-mover.js";
import type { ManagerService } from "../../../../services/manager/service.js";
import { Worker } from "../../../../services/worker/worker.js";
import { connectBus, lacking, type Owner, startBroker } from "../../../support/broker.js";
import { cleanUp } from "../../../support/clean-up.js";
import { startDurableManager } from "../../../support/durable-mesh.js";
import { failure } from "../../../support/failure.js";
import { leakGuard } from "../../../support/leak-guard.js";
import { eventually } from "../../../support/wait.js";

leakGuard();
const skip = await lacking(NEEDS.schedules);
const POOL = "later";
const names = new DurableNames();

function startManager(t: Owner, servers: string, id: string): Promise<ManagerService> {
  return startDurableManager(t, servers, { id, pools: [POOL] });
}

async function startClient(t: Owner, servers: string): Promise<Client> {
  const client = await Client.connect({ pool: POOL, servers });
  cleanUp(t, () => client.close());
  return client;
}

/** A worker that counts its runs by payload. */
async function startCounting(t: Owner, servers: string): Promise<Map<unknown, number>> {
  const runs = new Map<unknown, number>();
  const run = ({ payload }: { payload: unknown }): unknown => {
    runs.set(payload, (runs.get(payload) ?? 0) + 1);
    return payload;
  };
  const worker = new Worker({ pool: POOL, run, slots: 16, graceMs: 100, servers });
  cleanUp(t, () => worker.stop());
  await worker.start();
  return runs;
}

test("later - jobs wait while no manager is there, and the next one moves them, whoever stored them", {
  skip,
}, async (t) => {
  const broker = await startBroker(t);
  const client = await startClient(t, broker.url);
  const refused = await failure(client.enqueue("0", { delayMs: 60_000, enqueueTimeoutMs: 300 }));
  assert.deepEqual([refused.reason, refused.field], ["unknown_pool", "pool"]);
  assert.match(refused.message, /no manager with --durable serves pool later/);
  const first = await startManager(t, broker.url, "first");
  const receipts = await Promise.all([1, 2, 3].map((n) => client.enqueue(String(n), { delayMs: 500 })));
  await first.stop();
  const runs = await startCounting(t, broker.url);
  await startManager(t, broker.url, "second");
  await Promise.all(receipts.map((each) => each.result({ timeoutMs: 15_000 })));
  assert.deepEqual([...runs.values()], [1, 1, 1]);
});

test("later - a manager that was there before the pool had such a stream moves jobs when the one that made it is gone", {
  skip,
}, async (t) => {
  const broker = await startBroker(t);
  await startManager(t, broker.url, "second");
  const first = await startManager(t, broker.url, "first");
  const client = await startClient(t, broker.url);
  const runs = await startCounting(t, broker.url);
  // Until the first one has made it, each stores what it is asked for: the second looks for it only now and then.
  const receipts = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => client.enqueue(String(n), { delayMs: 1_500 })));
  await first.stop();
  await Promise.all(receipts.map((each) => each.result({ timeoutMs: 20_000 })));
  assert.deepEqual([...runs.values()], [1, 1, 1, 1, 1, 1]);
});

test("later - a manager that dies after it stored a due job and before it acknowledged it: the job runs once", {
  skip,
}, async (t) => {
  const broker = await startBroker(t);
  const store = new LaneStore(await connectBus(t, broker));
  await store.addStream(laterStream(names, POOL, 1));
  await store.addConsumer(names.laterStream(POOL), { ...dueConsumer(names, POOL), ack_wait: 1e9 });
  const manager = await startManager(t, broker.url, "first");
  const client = await startClient(t, broker.url);
  const receipts = await Promise.all([1, 2, 3].map((n) => client.enqueue(String(n), { delayMs: 3_000 })));
  await manager.stop();
  // Moves, and says nothing of it: as if it were killed in between.
  const dying = await connectBus(t, broker);
  const publish = dying.publish.bind(dying);
  let acknowledged = 0;
  dying.publish = (subject, payload, options) => {
    if (payload !== ACK) return publish(subject, payload, options);
    acknowledged += 1;
    return true;
  };
  const publisher = new StreamPublisher(dying);
  const parts = { pool: POOL, manager: "dying", bus: dying, names, store, publisher, log: silentLog };
  const mover = new DueMover({ ...parts, onMissing: () => {} });
  await eventually(() => acknowledged === 3);
  mover.drain();
  dying.publish = publish;
  await dying.close();
  publisher.stop();
  const runs = await startCounting(t, broker.url);
  await startManager(t, broker.url, "second");
  await Promise.all(receipts.map((each) => each.result({ timeoutMs: 15_000 })));
  await eventually(async () => (await store.streamInfo(names.laterStream(POOL)))?.state.messages === 0);
  await eventually(async () => (await store.streamInfo(names.jobsStream(POOL)))?.state.messages === 0);
  assert.deepEqual([...runs.values()], [1, 1, 1]);
});

test("later - kill -9 of the broker around the time: every job that was acknowledged has its one outcome", {
  skip,
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "poolmesh-later-"));
  cleanUp(t, () => rm(folder, { recursive: true, force: true }));
  let broker = await startBroker(t, { storeFolder: folder });
  const servers = broker.url;
  const port = Number(new URL(servers).port);
  const runs = await startCounting(t, servers);
  await startManager(t, servers, "first");
  const client = await startClient(t, servers);
  const JOBS = 300;
  const at = Date.now() + 2_000;
  const receipts = [];
  const payloads = Array.from({ length: JOBS }, (_, i) => String(i));
  for await (const one of client.enqueueMany(payloads, { runAt: at }))
    receipts.push(one.ok ? one.receipt : assert.fail());
  const outcomes = receipts.map((each) => each.result({ timeoutMs: 60_000 }));
  await eventually(() => runs.size > 10, { pollMs: 1 });
  process.kill(broker.pid, "SIGKILL");
  await broker.closed.catch(() => undefined);
  broker = await startBroker(t, { storeFolder: folder, port });
  const results = await Promise.all(outcomes);
  assert.deepEqual(
    results.map((result) => result.text()),
    payloads,
  );
  t.diagnostic(`${[...runs.values()].filter((count) => count > 1).length} of ${JOBS} ran a second time`);
  const store = new LaneStore(await connectBus(t, { url: servers }));
  await eventually(async () => (await store.count(names.laterStream(POOL), names.allLater(POOL))) === 0, {
    limitMs: 30_000,
  });
});

test("later - a broker without schedules refuses them by field and version, and stores nothing", async (t) => {
  const { path, version } = (await allBinaries("nats-server")).at(-1) ?? assert.fail("no nats-server");
  if (!version.startsWith("2.9.")) return t.skip(`the oldest broker here is ${version}`);
  const broker = await startBroker(t, { binary: path });
  const service = await startManager(t, broker.url, "first");
  const client = await startClient(t, broker.url);
  const error = await failure(client.enqueue("1", { delayMs: 60_000 }));
  assert.deepEqual([error.reason, error.field, error.retryable], ["invalid_argument", "runAt", false]);
  assert.equal(error.message, `runAt: jobs for later need nats-server 2.12 or newer; this broker is ${version}`);
  const post = await fetch(`${service.url}/poolmesh.v1.DurableService/Enqueue`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ pool: POOL, json: 1, delayMs: "60000" }),
  });
  assert.match(await post.text(), /invalid_argument.*nats-server 2\.12/);
  const store = new LaneStore(await connectBus(t, broker));
  assert.equal(await store.streamInfo(names.laterStream(POOL)), undefined);
  // A stream of that name that takes the setting and ignores it is judged by what the broker gives back.
  await store.addStream(laterStream(names, POOL, 1));
  const ignored = await failure(client.enqueue("1", { delayMs: 60_000 }));
  assert.deepEqual([ignored.reason, ignored.field], ["invalid_argument", "runAt"]);
  assert.match(ignored.message, /allow_msg_schedules is not on/);
  const now = await client.enqueue("1", { delayMs: 0 });
  assert.ok(now.sequence > 0, "what is due at once needs no schedule");
  assert.notEqual((await client.lookup(now.id)).state, "scheduled");
});
