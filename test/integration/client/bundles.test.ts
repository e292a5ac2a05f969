/** Jobs that leave in one turn of the event loop: how they travel, and that nothing else is different. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Msg } from "nats";
import { JobResult } from "../../../mesh/job/job.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { type BundleEntry, decodeBundle, encodeBundle, encodeJobsHeaders } from "../../../mesh/wire/payloads.js";
import { Manager, type ManagerOptions } from "../../../services/manager/manager.js";
import { connectBus, type Owner, startBroker, WHOLE_FILE } from "../../support/broker.js";
import { failure } from "../../support/failure.js";
import { startWorker } from "../../support/started-worker.js";
import { eventually, gate, within } from "../../support/wait.js";

const broker = await startBroker(WHOLE_FILE);

async function connectManager(t: Owner, pool: string, options: ManagerOptions = {}): Promise<Manager> {
  const manager = await Manager.connect({ pool, servers: broker.url, graceMs: 100, ...options });
  t.after(() => manager.close());
  return manager;
}

/** A manager of the pool that sees `slots` slots, and what crosses its job and reply subjects. */
async function startManager(t: Owner, pool: string, slots: number) {
  const manager = await connectManager(t, pool);
  await eventually(() => manager.capacity.slots === slots, { what: `${slots} slots` });
  const bus = await connectBus(t, broker);
  const jobs: Msg[] = [];
  const replies: Msg[] = [];
  bus.subscribe(`pool.${pool}.job.>`, (msg) => jobs.push(msg));
  bus.subscribe(`pool.${pool}.job`, (msg) => jobs.push(msg));
  bus.subscribe("_INBOX.>", (msg) => replies.push(msg));
  await bus.flush();
  return { manager, bus, jobs, replies };
}

const held = (messages: readonly Msg[]): number[] =>
  messages.map((msg) => Number(msg.headers?.get(HEADER.bundle) || 1)).sort((a, b) => a - b);

const SENT_NOW = { sentAt: Date.now(), clockMs: undefined, startWithinMs: undefined };

function entryOf(id: string): BundleEntry {
  const plain = { nonce: "", attempt: 1, timeoutMs: 5_000, traceparent: undefined, tracestate: undefined };
  return { ...plain, id, token: `t_${id}`, payload: new Uint8Array() };
}

test("jobs of one turn are spread over the workers and travel in bundles, and so do their results", async (t) => {
  const run = (job: { readonly payload: unknown }): number => Number(job.payload) + 1;
  const { pool } = await startWorker(t, broker, { slots: 32, run });
  await startWorker(t, broker, { slots: 32, run, pool, id: "w2" });
  const { manager, bus, jobs, replies } = await startManager(t, pool, 64);
  const results = await Promise.all(Array.from({ length: 60 }, (_, i) => manager.submit(String(i))));
  assert.deepEqual(
    results.map((result) => result.json()),
    Array.from({ length: 60 }, (_, i) => i + 1),
  );
  await bus.flush();
  // A worker that stood still for a moment refuses what has become too old; that comes once more, alone.
  const isBundle = (msg: Msg): boolean => Boolean(msg.headers?.get(HEADER.bundle));
  const sent = jobs.filter(isBundle);
  assert.deepEqual(held(sent), [30, 30], "each worker's jobs come in one message");
  assert.deepEqual(sent.map(({ subject }) => subject.split(".").at(-1)).sort(), ["w1", "w2"]);
  // Jobs that are slow for a moment answer alone, so this is so in most rounds, and not in each.
  await eventually(
    async () => {
      replies.length = 0;
      await Promise.all(Array.from({ length: 60 }, (_, n) => manager.submit(String(n))));
      await bus.flush();
      return held(replies.filter(isBundle)).reduce((sum, count) => sum + count, 0) >= 50;
    },
    { what: "results that come together" },
  );
});

test("a job that leaves alone is a message of its own", async (t) => {
  const { pool } = await startWorker(t, broker, { run: () => "alone" });
  const { manager, bus, jobs } = await startManager(t, pool, 1);
  assert.equal((await manager.submit("")).json(), "alone");
  assert.equal((await manager.submit("")).json(), "alone");
  await bus.flush();
  assert.deepEqual(held(jobs), [1, 1]);
});

test("a bundle's jobs have all that a job has: id, attempt, trace, payload of any bytes, their own deadline", async (t) => {
  const seen: unknown[] = [];
  const { pool } = await startWorker(t, broker, {
    slots: 4,
    run: async (job) => {
      seen.push([job.id, job.attempt, job.traceparent, job.tracestate, job.payload]);
      if (job.payload === "hang") await new Promise((resolve) => job.signal.addEventListener("abort", resolve));
      return job.payload;
    },
  });
  const { manager, jobs } = await startManager(t, pool, 4);
  const trace = { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", tracestate: "a=b c,d=e" };
  const first = manager.submit('"first"');
  const traced = manager.submit('"ünïcödé"', { id: "traced", ...trace });
  const hangs = failure(manager.submit('"hang"', { id: "hangs", timeoutMs: 100 }));
  const large = manager.submit(JSON.stringify("x".repeat(5_000)), { id: "large" });
  assert.equal((await first).json(), "first");
  assert.equal((await traced).json(), "ünïcödé");
  assert.equal((await large).json(), "x".repeat(5_000));
  assert.equal((await hangs).reason, "deadline_exceeded");
  assert.deepEqual(
    seen.filter((each) => (each as unknown[])[0] === "traced"),
    [["traced", 1, trace.traceparent, trace.tracestate, "ünïcödé"]],
  );
  assert.deepEqual(held(jobs), [1, 3], "the large one goes alone");
});

test("a job that is canceled in the turn in which it left does not keep its slot", async (t) => {
  const { pool } = await startWorker(t, broker, {
    slots: 3,
    // like many handlers, it does not look whether its signal has fired before
    run: (job) => new Promise((_, reject) => job.signal.addEventListener("abort", () => reject(job.signal.reason))),
  });
  const { manager } = await startManager(t, pool, 3);
  const outcomes = ["first", "second", "third"].map((id) => failure(manager.submit("", { id })));
  for (const id of ["second", "third"]) await manager.cancel(id);
  await manager.cancel("first");
  for (const outcome of outcomes) assert.equal((await outcome).reason, "canceled");
  await eventually(() => manager.capacity.busy === 0, { what: "every slot is free" });
});

test("more jobs in a bundle than slots: the others are refused, each by itself, and run later", async (t) => {
  const open = gate();
  const { pool, caller } = await startWorker(t, broker, { slots: 2, run: (job) => open.promise.then(() => job.id) });
  const bus = await connectBus(t, broker);
  const answers: string[] = [];
  bus.subscribe("_INBOX.crowd.*", (msg) => {
    if (!msg.headers?.get(HEADER.bundle))
      answers.push(`${msg.headers?.get(HEADER.jobId)} ${msg.headers?.get(HEADER.reply)}`);
    else decodeBundle(msg.data, (entry) => answers.push(`${entry.id} result`));
  });
  await bus.flush();
  const entries = ["a", "b", "c", "d"].map(entryOf);
  const send = (): void => {
    const headers = encodeJobsHeaders(entries.length, SENT_NOW);
    caller.bus.publish(`pool.${pool}.job.w1`, encodeBundle(entries), { headers, reply: "_INBOX.crowd.bundle" });
  };
  send();
  await eventually(() => ["c busy", "d busy", "a accepted", "b accepted"].every((each) => answers.includes(each)), {
    what: "two taken, two refused",
  });
  open.open();
  await eventually(() => ["a result", "b result"].every((each) => answers.includes(each)), { what: "results" });
  const before = answers.length;
  send();
  await eventually(() => ["c result", "d result"].every((each) => answers.includes(each)), {
    what: "the others' results",
  });
  assert.equal(answers.slice(before).filter((each) => each === "a result").length, 1, "a is answered again, not run");
});

test("a bundle that is none, or to which nobody could hear the answers, is dropped and the worker goes on", async (t) => {
  const { pool, worker, caller } = await startWorker(t, broker, { run: () => "fine" });
  const headers = encodeJobsHeaders(1, SENT_NOW);
  const good = encodeBundle([entryOf("x")]);
  const subject = `pool.${pool}.job.w1`;
  caller.bus.publish(subject, new Uint8Array([1, 2, 3]), { headers, reply: "_INBOX.crowd.bundle" });
  caller.bus.publish(subject, good, { headers });
  caller.bus.publish(subject, good, { headers, reply: `pool.${pool}.submit` });
  assert.equal((await caller.send("1", { jobId: "after" }).outcome()).text, '"fine"');
  assert.equal(worker.closed instanceof Promise, true);
});

test("a bundle to a worker that is not there any more goes to others at once, all of it", async (t) => {
  const { pool } = await startWorker(t, broker, { slots: 32, run: (job) => job.id });
  // no attempt is given up for being late: only the broker can say that nobody listens to job subjects
  const manager = await connectManager(t, pool, { acceptTimeoutMs: 60_000 });
  const bus = await connectBus(t, broker);
  const beat = { worker: "gone", incarnation: "1", seq: "1", state: "WORKER_STATE_READY", slots: 32, busy: 0 };
  bus.publish(`pool.${pool}.heartbeat.gone`, Buffer.from(JSON.stringify({ pool, ...beat, takesBundles: true })));
  bus.subscribe(`pool.${pool}.control.gone`, (msg) => msg.respond());
  await eventually(() => manager.capacity.slots === 64, { what: "both workers" });
  const ids = Array.from({ length: 21 }, (_, i) => `job-${i}`);
  const results = await within(Promise.all(ids.map((id) => manager.submit("", { id }))));
  assert.deepEqual(
    results.map((result) => result.json()),
    ids,
  );
});

test("a worker that does not say that it takes bundles gets each job by itself", async (t) => {
  const { pool } = await startWorker(t, broker, { slots: 8, run: () => 1 });
  const { manager, bus, jobs } = await startManager(t, pool, 8);
  const silent = await connectBus(t, broker);
  const beat = { worker: "plain", incarnation: "1", seq: "1", state: "WORKER_STATE_READY", slots: 50, busy: 0 };
  silent.subscribe(`pool.${pool}.control.plain`, (msg) => msg.respond());
  silent.subscribe(`pool.${pool}.job.plain`, (msg) => {
    msg.respond(`${msg.headers?.get(HEADER.jobId)}`);
  });
  silent.publish(`pool.${pool}.heartbeat.plain`, Buffer.from(JSON.stringify({ pool, ...beat })));
  await eventually(() => manager.capacity.slots === 58, { what: "both workers" });
  const results = await Promise.all(Array.from({ length: 20 }, () => manager.submit("")));
  assert.ok(results.every((result) => result instanceof JobResult));
  await bus.flush();
  const plain = jobs.filter(({ subject }) => subject.endsWith(".plain"));
  assert.ok(plain.length >= 8, `${plain.length} jobs`);
  assert.deepEqual(new Set(held(plain)), new Set([1]));
});

test("a broker that takes small messages only: bundles are no larger, with jobs and with results", async (t) => {
  const small = await startBroker(t, { maxPayloadBytes: 8_192 });
  const { pool } = await startWorker(t, small, { slots: 64, run: (job) => job.payload });
  const manager = await Manager.connect({ pool, servers: small.url, graceMs: 100 });
  t.after(() => manager.close());
  await eventually(() => manager.capacity.slots === 64, { what: "the worker's slots" });
  const payloads = Array.from({ length: 64 }, (_, i) => JSON.stringify(`${i} ${"x".repeat(3_000)}`));
  const results = await Promise.all(payloads.map((payload) => manager.submit(payload)));
  assert.deepEqual(
    results.map((result) => result.text()),
    payloads,
  );
});
