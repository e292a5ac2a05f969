/** The durable lane: jobs that are stored in streams, from enqueue to outcome. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { connect, headers as natsHeaders } from "nats";
import { Client } from "../../../client/client.js";
import { DurableNames } from "../../../mesh/durable/names.js";
import { LaneStore } from "../../../mesh/durable/store.js";
import { jobsStream } from "../../../mesh/durable/streams.js";
import { silentLog } from "../../../mesh/process/log.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { provisionPool, provisionShared } from "../../../services/manager/durable/provision.js";
import { Manager } from "../../../services/manager/manager.js";
import { ManagerService } from "../../../services/manager/service.js";
import { type Handler, Worker } from "../../../services/worker/worker.js";
import { connectBus, type Owner, startBroker, WHOLE_FILE } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { failure } from "../../support/failure.js";
import { leakGuard } from "../../support/leak-guard.js";
import { eventually, gate } from "../../support/wait.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);
const servers = broker.url;

const LISTEN = { host: "127.0.0.1", port: 0 };
/** One manager for most tests. */
const service = new ManagerService({ bus: { servers }, listen: LISTEN, graceMs: 100, durable: true });
cleanUp(WHOLE_FILE, () => service.stop());
await service.start();
// The broker goes first: a manager that still has it waits until its open pulls are over.
cleanUp(WHOLE_FILE, () => broker.stop());

async function startWorker(t: Owner, pool: string, run: Handler<unknown, unknown>, slots = 4): Promise<Worker> {
  const worker = new Worker({ pool, run, slots, graceMs: 100, servers });
  cleanUp(t, () => worker.stop());
  await worker.start();
  return worker;
}

/** A client of a pool that has its streams. */
async function startClient(t: Owner, pool: string): Promise<Client> {
  const client = await Client.connect({ pool, servers });
  cleanUp(t, () => client.close());
  await eventually(() => service.pools?.durable?.of(service.pools?.get(pool)) !== undefined);
  return client;
}

async function startPool(t: Owner, pool: string, run: Handler<unknown, unknown>, slots = 4): Promise<Client> {
  await startWorker(t, pool, run, slots);
  return startClient(t, pool);
}

const increment: Handler<unknown, unknown> = (job) => Number(job.payload) + 1;

test("durable - a job that is enqueued runs, and its receipt gives the result", async (t) => {
  const client = await startPool(t, "d-first", increment);
  const receipt = await client.enqueue("41");
  assert.deepEqual([receipt.sequence, receipt.duplicate], [1, false]);
  const result = await receipt.result({ timeoutMs: 5_000 });
  assert.deepEqual([result.json(), result.attempt, result.id], [42, 1, receipt.id]);
  assert.equal((await receipt.result()).json(), 42, "asked again");
  const outcome = await client.outcome(receipt.id);
  assert.ok(outcome?.ok);
  assert.equal(outcome.result.json(), 42);
});

test("durable - a backlog comes in pulls as large as the room for it, not in small probes", async (t) => {
  const pool = "d-backlog";
  const bus = await connectBus(t, broker);
  const batches: number[] = [];
  bus.subscribe(`$JS.API.CONSUMER.MSG.NEXT.${new DurableNames("pool").jobsStream(pool)}.normal`, (msg) => {
    batches.push(msg.json<{ batch: number }>().batch);
  });
  await bus.flush();
  const worker = await startWorker(t, pool, increment, 1);
  const client = await startClient(t, pool);
  await worker.stop();
  const receipts = await Promise.all(Array.from({ length: 600 }, (_, i) => client.enqueue(String(i))));
  await startWorker(t, pool, increment, 128);
  const results = await Promise.all(receipts.map((receipt) => receipt.result({ timeoutMs: 20_000 })));
  assert.deepEqual(
    results.map((result) => result.json()),
    receipts.map((_, i) => i + 1),
  );
  const large = batches.filter((batch) => batch >= 64);
  assert.ok(large.length > 0 && batches.length < 60, `pulls: ${batches}`);
});

test("durable - results that end together come in one message to a client that reads such, alone to others", async (t) => {
  const client = await startPool(t, "d-together", increment, 64);
  const bus = await connectBus(t, broker);
  const told: { bundle: string; notify: string }[] = [];
  bus.subscribe("_INBOX.>", (msg) => {
    const isResult = msg.headers?.get(HEADER.reply) === "result" && msg.headers.get(HEADER.manager) !== "";
    if (isResult) told.push({ bundle: msg.headers?.get(HEADER.bundle) ?? "", notify: msg.subject });
  });
  await bus.flush();
  const receipts = await Promise.all(Array.from({ length: 64 }, (_, i) => client.enqueue(String(i))));
  const results = await Promise.all(receipts.map((receipt) => receipt.result({ timeoutMs: 10_000 })));
  for (const [i, { id, attempt, waitMs, totalMs, worker, ...result }] of results.entries()) {
    assert.deepEqual([Buffer.from(result.payload).toString(), id, attempt], [String(i + 1), receipts[i]?.id, 1]);
    assert.ok(waitMs >= 0 && waitMs <= totalMs && worker !== "", `${waitMs} of ${totalMs} ms, ${worker}`);
  }
  // Who listens besides hears it a moment later.
  await eventually(() => told.some(({ bundle }) => Number(bundle) > 1), {
    what: "several results in one message",
  });

  // A client of before, or of another language, says only where it listens.
  const heard: string[] = [];
  const inbox = bus.newInbox();
  bus.subscribe(`${inbox}*`, (msg) => heard.push(`${msg.subject.slice(inbox.length)} ${msg.string()}`));
  const names = new DurableNames();
  const nc = await connect({ servers });
  cleanUp(t, () => nc.close());
  await Promise.all(
    Array.from({ length: 16 }, (_, i) => {
      const headers = natsHeaders();
      headers.set(HEADER.notify, `${inbox}old${i}`);
      return nc.request(names.job("d-together", "normal", `old-${i}`), String(i), { headers, timeout: 5_000 });
    }),
  );
  await eventually(() => heard.length === 16);
  assert.deepEqual(heard.sort(), Array.from({ length: 16 }, (_, i) => `old${i} ${i + 1}`).sort());
});

test("durable - another process that knows the id hears the outcome", async (t) => {
  const held = gate();
  const client = await startPool(t, "d-other", () => held.promise.then(() => "done"));
  const other = await startClient(t, "d-other");
  const { id } = await client.enqueue("1");
  assert.equal(await other.outcome(id), undefined, "live");
  assert.equal(await other.outcome(id, { waitMs: 50 }), undefined, "still live");
  const waiting = other.outcome(id, { waitMs: 5_000 });
  held.open();
  const outcome = await waiting;
  assert.ok(outcome?.ok && outcome.result.json() === "done");
  assert.equal((await failure(client.outcome("nobody"))).reason, "not_found");
});

test("durable - who waits may give up, and the job goes on", async (t) => {
  const held = gate();
  const client = await startPool(t, "d-give-up", () => held.promise.then(() => 7));
  const receipt = await client.enqueue("1");
  assert.equal((await failure(receipt.result({ timeoutMs: 50 }))).reason, "deadline_exceeded");
  assert.equal((await failure(receipt.result({ signal: AbortSignal.abort() }))).reason, "canceled");
  held.open();
  assert.equal((await receipt.result()).json(), 7);
});

test("durable - a thousand jobs enqueued in a stream all have their outcome, and each ran once", async (t) => {
  const runs = new Map<unknown, number>();
  const client = await startPool(
    t,
    "d-many",
    (job) => {
      runs.set(job.payload, (runs.get(job.payload) ?? 0) + 1);
      return job.payload;
    },
    16,
  );
  const inputs = Array.from({ length: 1_000 }, (_, i) => String(i));
  const results: Promise<unknown>[] = [];
  for await (const one of client.enqueueMany(inputs, { window: 200 })) {
    assert.ok(one.ok && one.index === results.length);
    results.push(one.receipt.result({ timeoutMs: 20_000 }).then((result) => result.json()));
  }
  assert.deepEqual(await Promise.all(results), inputs.map(Number));
  assert.deepEqual([runs.size, Math.max(...runs.values())], [1_000, 1]);
});

test("durable - an id is one job while it is live, and its outcome is the answer while it is kept", async (t) => {
  const held = gate();
  let runs = 0;
  const client = await startPool(t, "d-ids", async () => {
    runs += 1;
    await held.promise;
    return runs;
  });
  const first = await client.enqueue("1", { id: "invoice-7" });
  const joined = await client.enqueue("1", { id: "invoice-7" });
  assert.deepEqual([joined.duplicate, joined.sequence], [true, first.sequence]);
  const elsewhere = await client.enqueue("1", { id: "invoice-7", priority: "high" });
  assert.equal(elsewhere.duplicate, true, "another level is no other job");
  assert.equal((await failure(client.enqueue("2", { id: "invoice-7" }))).reason, "duplicate_job");
  held.open();
  for (const receipt of [first, joined, elsewhere])
    assert.equal((await receipt.result({ timeoutMs: 5_000 })).json(), 1);
  const again = await client.enqueue("1", { id: "invoice-7" });
  assert.equal((await again.result({ timeoutMs: 5_000 })).json(), 1, "the kept outcome");
  assert.equal(runs, 1);
  const rerun = await client.enqueue("1", { id: "invoice-7", rerun: true });
  assert.equal((await rerun.result({ timeoutMs: 5_000 })).json(), 2, "run again when asked to");
  const outcome = await client.outcome("invoice-7");
  assert.ok(outcome?.ok && outcome.result.json() === 2);
});

test("durable - a job's time is that of its attempt: waiting for a slot does not count", async (t) => {
  const client = await startPool(t, "d-time", () => delay(150, "done"), 1);
  const receipts = await Promise.all([1, 2, 3, 4].map((n) => client.enqueue(String(n), { timeoutMs: 400 })));
  for (const receipt of receipts) assert.equal((await receipt.result({ timeoutMs: 5_000 })).json(), "done");
});

test("durable - a job that expires before it starts ends as deadline_exceeded", async (t) => {
  const held = gate();
  const client = await startPool(t, "d-expires", () => held.promise, 1);
  await client.enqueue("1");
  await eventually(async () => (await service.pools?.find("d-expires")?.workers.free) === 0);
  const expiring = await client.enqueue("2", { expiresInMs: 100 });
  const error = await failure(expiring.result({ timeoutMs: 5_000 }));
  held.open();
  assert.match(error.message, /expired/);
  assert.deepEqual([error.reason, error.maybeExecuted], ["deadline_exceeded", false]);
});

test("durable - the three levels all run, and higher ones go first", async (t) => {
  const held = gate();
  const order: unknown[] = [];
  const client = await startPool(
    t,
    "d-levels",
    async (job) => {
      await held.promise;
      order.push(job.payload);
    },
    1,
  );
  const blocker = await client.enqueue("0");
  await eventually(async () => (await service.pools?.find("d-levels")?.workers.free) === 0);
  const low = await client.enqueue("1", { priority: "low" });
  const high = await client.enqueue("2", { priority: "high" });
  await eventually(() => service.pools?.find("d-levels")?.dispatcher.parked.size === 2);
  held.open();
  await Promise.all([blocker, low, high].map((each) => each.result({ timeoutMs: 5_000 })));
  assert.deepEqual(order, [0, 2, 1]);
});

test("durable - any NATS client enqueues: to the stream itself, or through a manager", async (t) => {
  const client = await startPool(t, "d-nats", increment);
  const nc = await connect({ servers });
  cleanUp(t, () => nc.close());
  const ended: string[] = [];
  nc.subscribe("pool.d-nats.ended.*", { callback: (_error, msg) => void ended.push(`${msg.subject} ${msg.string()}`) });
  const stored = (await nc.request("pool.d-nats.durable.normal.mine", "41", { timeout: 10_000 })).json<{
    seq: number;
  }>();
  assert.equal(stored.seq, 1);
  await eventually(() => ended.length === 1);
  assert.deepEqual(ended, ["pool.d-nats.ended.mine 42"]);
  const receipt = (await nc.request("pool.d-nats.enqueue", "1", { timeout: 10_000 })).json<{
    id: string;
    sequence: number;
  }>();
  assert.equal(receipt.sequence, 2);
  const outcome = await client.outcome(receipt.id, { waitMs: 5_000 });
  assert.ok(outcome?.ok && outcome.result.json() === 2);
  const refused = await nc.request("pool.nowhere.enqueue", "1", { timeout: 10_000 });
  assert.equal(refused.headers?.get(HEADER.error), "unknown_pool");
});

test("durable - a worker that knows nothing of Poolmesh runs durable jobs", async (t) => {
  const manager = await Manager.connect({ pool: "d-bare", servers, durable: true, graceMs: 100 });
  cleanUp(t, () => manager.close());
  const nc = await connect({ servers });
  cleanUp(t, () => nc.close());
  nc.subscribe("pool.d-bare.job", {
    queue: "workers",
    callback: (_error, msg) => void msg.respond(`${Number(msg.string()) * 2}`),
  });
  const client = await Client.connect({ pool: "d-bare", servers });
  cleanUp(t, () => client.close());
  const receipts = await Promise.all(["1", "2", "3"].map((each) => client.enqueue(each)));
  const results = await Promise.all(receipts.map((receipt) => receipt.result({ timeoutMs: 5_000 })));
  assert.deepEqual(
    results.map((result) => result.json()),
    [2, 4, 6],
  );
});

test("durable - a manager that stops gives back what no worker has, and loses nothing that comes meanwhile", async (t) => {
  const leaving = await Manager.connect({ pool: "d-drain", servers, durable: true, graceMs: 2_000 });
  cleanUp(t, () => leaving.close());
  const client = await startPool(t, "d-drain", () => delay(5, "done"), 4);
  const receipts: Promise<unknown>[] = [];
  const inputs = (async function* () {
    for (let i = 0; i < 300; i += 1) {
      if (i === 100) void leaving.close();
      yield String(i);
      await delay(1);
    }
  })();
  const begunAtMs = performance.now();
  for await (const one of client.enqueueMany(inputs)) {
    assert.ok(one.ok);
    receipts.push(one.receipt.result({ timeoutMs: 20_000 }));
  }
  await Promise.all(receipts);
  assert.ok(performance.now() - begunAtMs < 15_000, "nothing waited for the ack wait of 30 s");
});

test("durable - a pool without a lane is told at once, and what is wrong is told by its name", async (t) => {
  const client = await Client.connect({ pool: "d-nobody", servers });
  cleanUp(t, () => client.close());
  const unknown = await failure(client.enqueue("1"));
  assert.equal(unknown.reason, "unknown_pool");
  assert.match(unknown.message, /--durable/);
  const bad: [field: string, options: object][] = [
    ["job", { id: "" }],
    ["job", { id: "a.b" }],
    ["priority", { priority: "urgent" }],
    ["timeoutMs", { timeoutMs: 0 }],
    ["timeoutMs", { timeoutMs: -1 }],
    ["timeoutMs", { timeoutMs: 86_400_001 }],
    ["timeoutMs", { timeoutMs: Number.NaN }],
    ["expiresInMs", { expiresInMs: 0 }],
    ["expiresInMs", { expiresInMs: 4e11 }],
    ["maxAttempts", { maxAttempts: 0 }],
    ["maxAttempts", { maxAttempts: 101 }],
    ["maxAttempts", { maxAttempts: 1.5 }],
    ["backoff", { backoff: { baseMs: 2, capMs: 1 } }],
    ["backoff", { backoff: { baseMs: -1, capMs: 1 } }],
    ["idempotent", { idempotent: "no" }],
    ["keepOutcome", { keepOutcome: 1 }],
    ["rerun", { rerun: "yes" }],
    ["enqueueTimeoutMs", { enqueueTimeoutMs: 0 }],
    ["client", { client: "with space" }],
    ["traceparent", { traceparent: "\n" }],
  ];
  for (const [field, options] of bad) {
    const error = await failure(client.enqueue("1", options));
    assert.deepEqual([error.reason, error.field], ["invalid_argument", field], JSON.stringify(options));
  }
  const large = await failure(client.enqueue(new Uint8Array(client.maxPayloadBytes - 1_000)));
  assert.deepEqual([large.reason, large.field], ["payload_too_large", "payload"]);
  assert.equal((await failure(client.enqueue(new Map()))).field, "payload");
});

test("durable - an address to notify that is no inbox is never written to", async (t) => {
  const client = await startPool(t, "d-notify", increment);
  const nc = await connect({ servers });
  cleanUp(t, () => nc.close());
  const heard: string[] = [];
  nc.subscribe("pool.d-notify.heartbeat.victim", { callback: (_error, msg) => void heard.push(msg.subject) });
  const headers = natsHeaders();
  headers.set(HEADER.notify, "pool.d-notify.heartbeat.victim");
  await nc.request("pool.d-notify.durable.normal.evil", "1", { headers, timeout: 2_000 });
  const outcome = await client.outcome("evil", { waitMs: 5_000 });
  assert.ok(outcome?.ok);
  assert.deepEqual(heard, []);
});

test("durable - a stream that an operator has made otherwise is reported and left as it is, and its bound is pool_full", async (t) => {
  const bus = await connectBus(t, broker);
  const store = new LaneStore(bus);
  const names = new DurableNames();
  await store.addStream({ ...jobsStream(names, "d-drift", 1), max_msgs: 3 });
  const told: object[] = [];
  const log = {
    ...silentLog,
    warn: (fields: object) => void told.push(fields),
    info: () => undefined,
  } as typeof silentLog;
  await provisionPool({ store, names, replicas: 1, log }, "d-drift");
  assert.deepEqual(told, [{ stream: "pool-jobs-d-drift", differences: ["max_msgs: 1000000 expected, 3 found"] }]);
  await provisionShared({ store, names, replicas: 1, log });
  assert.equal(told.length, 1, "what was created as it should be is not reported");
  const held = gate();
  const client = await startPool(t, "d-drift", () => held.promise.then(() => 1));
  const receipts = await Promise.all(["1", "2", "3"].map((each) => client.enqueue(each)));
  const error = await failure(client.enqueue("4"));
  assert.deepEqual([error.reason, error.retryable, (error.retryAfterMs ?? 0) > 0], ["pool_full", true, true]);
  held.open();
  await Promise.all(receipts.map((each) => each.result({ timeoutMs: 5_000 })));
});

test("durable - a stream that somebody deletes is there again in seconds, and new jobs run", async (t) => {
  const client = await startPool(t, "d-deleted", increment);
  assert.equal((await (await client.enqueue("1")).result({ timeoutMs: 5_000 })).json(), 2);
  const nc = await connect({ servers });
  cleanUp(t, () => nc.close());
  await nc.request("$JS.API.STREAM.DELETE.pool-jobs-d-deleted", undefined, { timeout: 10_000 });
  const receipt = await eventually(() => client.enqueue("2").catch(() => undefined));
  assert.equal((await receipt.result({ timeoutMs: 15_000 })).json(), 3);
});

test("durable - a manager without JetStream at its broker says so and does not start", async (t) => {
  const plain = await startBroker(t, { jetStream: false });
  const error = await failure(Manager.connect({ pool: "d-none", servers: plain.url, durable: true }));
  assert.equal(error.reason, "bus_unavailable");
  assert.match(error.message, /JetStream/);
});
