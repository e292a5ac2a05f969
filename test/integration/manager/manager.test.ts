/** The manager against real workers and a real broker. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "nats";
import type { Broker } from "../../../broker/broker.js";
import { Client } from "../../../client/client.js";
import type { PoolError } from "../../../mesh/errors.js";
import type { Outcome } from "../../../mesh/job/job.js";
import { HEADER_RESERVE_BYTES } from "../../../mesh/wire/headers.js";
import { Manager, type ManagerOptions } from "../../../services/manager/manager.js";
import { type Handler, Worker, type WorkerOptions } from "../../../services/worker/worker.js";
import { type Owner, startBroker, WHOLE_FILE } from "../../support/broker.js";
import { failure } from "../../support/failure.js";
import { eventually, gate, within } from "../../support/wait.js";

const broker: Broker = await startBroker(WHOLE_FILE);
const servers = broker.url;

async function startManager(t: Owner, pool: string, options: ManagerOptions = {}): Promise<Manager> {
  const manager = await Manager.connect({ pool, servers, graceMs: 100, ...options });
  t.after(() => manager.close());
  return manager;
}

async function startWorker(
  t: Owner,
  pool: string,
  run: Handler<unknown, unknown>,
  options: Partial<WorkerOptions> = {},
): Promise<Worker> {
  const worker = new Worker({ pool, run, graceMs: 100, servers, ...options });
  t.after(() => worker.stop());
  await worker.start();
  return worker;
}

/** A pool whose jobs end when the test says so. */
async function heldPool(t: Owner, pool: string, slots: number, options: ManagerOptions = {}) {
  const held = gate();
  const started: string[] = [];
  const manager = await startManager(t, pool, options);
  await startWorker(
    t,
    pool,
    async (job) => {
      started.push(job.id);
      await Promise.race([held.promise, new Promise((resolve) => job.signal.addEventListener("abort", resolve))]);
      return job.id;
    },
    { slots },
  );
  await eventually(() => manager.capacity.slots === slots, { what: "capacity" });
  return { manager, started, open: () => held.open() };
}

test("manager - a job's result is what its handler returned", async (t) => {
  const manager = await startManager(t, "plus");
  await startWorker(t, "plus", (job) => Number(job.payload) + 1);
  const result = await manager.submit("41", { timeoutMs: 5_000 });
  assert.equal(result.json(), 42);
  assert.equal(result.attempt, 1);
  assert.notEqual(result.worker, "");
});

test("manager - a job that is submitted before any worker is there runs when one comes", async (t) => {
  const manager = await startManager(t, "early");
  const pending = manager.submit("1");
  await startWorker(t, "early", () => "late");
  assert.equal((await pending).json(), "late");
});

test("manager - an offer from before the first heartbeat whose taker says nothing is made again when a worker comes", async (t) => {
  for (const idempotent of [true, false]) {
    const pool = `first-moment-${idempotent}`;
    const manager = await startManager(t, pool);
    const nc = await connect({ servers });
    t.after(() => nc.close());
    const taken = gate();
    const taker = nc.subscribe(`pool.${pool}.job`, { queue: "workers", callback: () => taken.open() });
    await nc.flush();
    const pending = manager.submit("1", { idempotent, timeoutMs: 600_000 });
    await within(taken.promise);
    taker.unsubscribe();
    await nc.flush();
    await startWorker(t, pool, () => "ran");
    assert.equal((await within(pending)).json(), "ran");
  }
});

test("manager - never more jobs run than there are slots, and none is lost", async (t) => {
  const manager = await startManager(t, "bounded");
  let running = 0;
  let most = 0;
  await startWorker(
    t,
    "bounded",
    async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise(setImmediate);
      running -= 1;
      return null;
    },
    { slots: 3 },
  );
  const outcomes: Outcome[] = [];
  for await (const outcome of manager.submitMany(Array.from({ length: 500 }, (_, i) => String(i))))
    outcomes.push(outcome);
  assert.equal(outcomes.filter(({ ok }) => ok).length, 500);
  assert.equal(most, 3);
});

test("manager - two managers share a pool without running a job twice", async (t) => {
  const managers = [await startManager(t, "shared"), await startManager(t, "shared")];
  const seen = new Map<string, number>();
  const run: Handler<unknown, unknown> = async (job) => {
    seen.set(job.id, (seen.get(job.id) ?? 0) + 1);
    await new Promise(setImmediate);
    return job.payload;
  };
  for (let i = 0; i < 3; i += 1) await startWorker(t, "shared", run, { slots: 2 });
  const payloads = Array.from({ length: 300 }, (_, i) => String(i));
  const all = await Promise.all(
    managers.map(async (manager) => {
      const values: number[] = [];
      for await (const outcome of manager.submitMany(payloads)) if (outcome.ok) values.push(outcome.result.json());
      return values.sort((a, b) => a - b);
    }),
  );
  for (const values of all) assert.deepEqual(values, payloads.map(Number));
  assert.equal(seen.size, 600);
  assert.ok([...seen.values()].every((count) => count === 1));
});

test("manager - a bare `nats reply` worker serves a pool without heartbeats", async (t) => {
  const manager = await startManager(t, "bare");
  const pending = manager.submit("before");
  const nc = await connect({ servers });
  t.after(() => nc.close());
  nc.subscribe("pool.bare.job", { queue: "workers", callback: (_error, msg) => void msg.respond(msg.data) });
  await nc.flush();
  assert.equal((await pending).text(), "before");
  const result = await manager.submit("after");
  assert.equal(result.text(), "after");
  assert.equal(result.worker, "");
});

test("manager - with nobody there only the deadline ends the wait", async (t) => {
  const manager = await startManager(t, "nobody");
  const error = await failure(manager.submit("0", { timeoutMs: 150 }));
  assert.equal(error.reason, "deadline_exceeded");
  assert.equal(error.maybeExecuted, false);
});

test("manager - who does not want to wait hears why at once", async (t) => {
  const { manager, open } = await heldPool(t, "nowait", 1);
  const running = manager.submit("0");
  await eventually(() => manager.capacity.parked === 0);
  const full = await failure(manager.submit("1", { wait: false }));
  assert.equal(full.reason, "pool_full");
  assert.equal(full.retryable, true);
  assert.ok((full.retryAfterMs ?? 0) > 0);
  open();
  await running;
});

test("manager - past the bound the answer is pool_full with the figures", async (t) => {
  const { manager, started, open } = await heldPool(t, "full", 2, { parkedLimit: 3 });
  const accepted: Promise<unknown>[] = [];
  const refused: PoolError[] = [];
  const outcomes = Array.from({ length: 12 }, () =>
    manager.submit("0").then(
      () => "ok",
      (error: PoolError) => error,
    ),
  );
  await eventually(() => started.length === 2);
  open();
  for (const outcome of await Promise.all(outcomes)) {
    if (outcome === "ok") accepted.push(Promise.resolve());
    else refused.push(outcome as PoolError);
  }
  assert.equal(accepted.length, 5, "two slots and three parked");
  for (const { reason, utilization, parked, retryAfterMs } of refused) {
    assert.equal(reason, "pool_full");
    assert.equal(utilization, 1);
    assert.equal(parked, 3);
    assert.ok((retryAfterMs ?? 0) > 0);
  }
});

test("manager - cancel reaches the handler of a running job and frees its slot", async (t) => {
  const { manager, started, open } = await heldPool(t, "cancel", 1);
  const abort = new AbortController();
  const running = failure(manager.submit("0", { signal: abort.signal }));
  await eventually(() => started.length === 1);
  abort.abort();
  assert.equal((await running).reason, "canceled");
  open();
  assert.ok((await manager.submit("1", { timeoutMs: 5_000 })).id);
});

test("manager - cancel of a parked job keeps it from running", async (t) => {
  const { manager, started, open } = await heldPool(t, "cancelparked", 1);
  const first = manager.submit("0");
  await eventually(() => started.length === 1);
  const parked = failure(manager.submit("1", { id: "parked-one" }));
  await manager.cancel("parked-one");
  assert.equal((await parked).reason, "canceled");
  open();
  await first;
  assert.equal(started.length, 1);
});

test("manager - a cancel for a job of another manager finds it, of an unknown one is not_found", async (t) => {
  const { manager, started } = await heldPool(t, "cancelfar", 1);
  const other = await startManager(t, "cancelfar");
  const running = failure(manager.submit("0", { id: "far-job" }));
  await eventually(() => started.length === 1);
  await other.cancel("far-job");
  assert.equal((await running).reason, "canceled");
  assert.equal((await failure(other.cancel("far-job"))).reason, "not_found");
});

test("manager - the deadline aborts the handler and is the caller's outcome", async (t) => {
  const manager = await startManager(t, "deadline");
  const aborted = gate();
  await startWorker(t, "deadline", async (job) => {
    await new Promise((resolve) => job.signal.addEventListener("abort", resolve));
    aborted.open();
    return null;
  });
  await eventually(() => manager.capacity.slots === 1);
  const error = await failure(manager.submit("0", { timeoutMs: 2_000 }));
  assert.equal(error.reason, "deadline_exceeded");
  await within(aborted.promise);
});

test("manager - the same id ten times at once is one execution and ten equal outcomes", async (t) => {
  const { manager, started, open } = await heldPool(t, "same", 4);
  const all = Array.from({ length: 10 }, () => manager.submit("0", { id: "one" }));
  await eventually(() => started.length === 1);
  open();
  const texts = await Promise.all(all.map(async (each) => (await each).text()));
  assert.deepEqual(new Set(texts), new Set(['"one"']));
  assert.equal(started.length, 1);
  assert.equal((await manager.submit("0", { id: "one" })).text(), '"one"', "also after the end");
  assert.equal(started.length, 1);
});

test("manager - a live id with another payload is a duplicate_job", async (t) => {
  const { manager, started, open } = await heldPool(t, "dup", 1);
  const first = manager.submit("0", { id: "one" });
  await eventually(() => started.length === 1);
  assert.equal((await failure(manager.submit("1", { id: "one" }))).reason, "duplicate_job");
  open();
  await first;
});

test("manager - one of two callers of a job may leave without ending it for the other", async (t) => {
  const { manager, started, open } = await heldPool(t, "twocallers", 1);
  const abort = new AbortController();
  const stays = manager.submit("0", { id: "one" });
  const leaves = failure(manager.submit("0", { id: "one", signal: abort.signal }));
  await eventually(() => started.length === 1);
  abort.abort();
  assert.equal((await leaves).reason, "canceled");
  open();
  assert.equal((await stays).text(), '"one"');
});

test("manager - detachSubmit returns at once and tells success and failure by id", async (t) => {
  const outcomes: Outcome[] = [];
  const manager = await startManager(t, "detach");
  await startWorker(t, "detach", (job) => {
    if (job.payload === "bad") throw new Error("no");
    return "yes";
  });
  const onOutcome = (outcome: Outcome): void => void outcomes.push(outcome);
  const good = manager.detachSubmit('"good"', { onOutcome });
  const bad = manager.detachSubmit('"bad"', { onOutcome });
  await eventually(() => outcomes.length === 2);
  assert.deepEqual(
    new Map(outcomes.map(({ id, ok }) => [id, ok])),
    new Map([
      [good, true],
      [bad, false],
    ]),
  );
  assert.equal(manager.outcome(good)?.ok, true);
});

test("manager - progress arrives in order and before the result", async (t) => {
  const manager = await startManager(t, "progress");
  await startWorker(t, "progress", async (job) => {
    for (let i = 0; i < 5; i += 1) job.progress(i);
    return "done";
  });
  const seen: string[] = [];
  const onProgress = (payload: Uint8Array): void => void seen.push(new TextDecoder().decode(payload));
  const result = await manager.submit("0", { onProgress });
  assert.deepEqual([...seen, result.text()], ["0", "1", "2", "3", "4", '"done"']);
});

test("manager - hooks tell of workers and jobs", async (t) => {
  const told: string[] = [];
  const manager = await startManager(t, "hooks", {
    hooks: {
      jobStart: ({ id }) => told.push(`start ${id}`),
      jobFinish: ({ id, ok }) => told.push(`finish ${id} ${ok}`),
      workerAdd: ({ id, slots }) => told.push(`add ${id} ${slots}`),
      workerRemove: ({ id, why }) => told.push(`remove ${id} ${why}`),
    },
  });
  const worker = await startWorker(t, "hooks", () => 1, { id: "w1", slots: 2 });
  await eventually(() => told.length === 1);
  await manager.submit("0", { id: "j1" });
  await worker.stop();
  await eventually(() => told.length === 4);
  assert.deepEqual(told, ["add w1 2", "start j1", "finish j1 true", "remove w1 left"]);
});

test("manager - add() runs a worker on the manager's own connection and close() ends both", async () => {
  const manager = await Manager.connect({ pool: "added", servers });
  const worker = new Worker({ pool: "added", run: (job) => job.payload, slots: 1 });
  await manager.add(worker);
  assert.equal((await manager.submit("7")).json(), 7);
  await manager.close();
  assert.equal(worker.state, "stopped");
  assert.equal(manager.state, "stopped");
  assert.equal(await manager.closed, undefined);
});

test("manager - close waits for live jobs up to the grace, then they end as draining", async (t) => {
  const { manager, started } = await heldPool(t, "closing", 1);
  const running = failure(manager.submit("0"));
  await eventually(() => started.length === 1);
  await manager.close();
  const error = await running;
  assert.equal(error.reason, "draining");
  assert.equal(error.maybeExecuted, true);
});

test("manager - a payload of the limit round-trips, one byte over is refused before publishing", async (t) => {
  const manager = await startManager(t, "limit");
  await startWorker(t, "limit", (job) => job.bytes.slice(), {
    codec: (await import("../../../mesh/job/codec.js")).bytes,
  });
  const limit = manager.maxPayloadBytes - HEADER_RESERVE_BYTES;
  const payload = new Uint8Array(limit).map((_, i) => i * 7);
  const result = await manager.submit(payload);
  assert.ok(Buffer.compare(result.payload, payload) === 0);
  const error = await failure(manager.submit(new Uint8Array(limit + 1)));
  assert.equal(error.reason, "payload_too_large");
});

test("manager - names, timeouts and the like are refused by field", async (t) => {
  const manager = await startManager(t, "fields");
  const cases: [object, string][] = [
    [{ id: "a b" }, "job"],
    [{ id: "x".repeat(64) }, "job"],
    [{ timeoutMs: 0 }, "timeoutMs"],
    [{ timeoutMs: Number.NaN }, "timeoutMs"],
    [{ timeoutMs: 1e308 }, "timeoutMs"],
    [{ priority: "urgent" }, "priority"],
    [{ client: "a\r\nb" }, "client"],
    [{ traceparent: "a\r\nPool-Offer: 1" }, "traceparent"],
  ];
  for (const [options, field] of cases) {
    const error = await failure(manager.submit("0", options));
    assert.equal(error.reason, "invalid_argument");
    assert.equal(error.field, field);
  }
  assert.throws(() => new Manager({ pool: "a.b" }), { reason: "invalid_argument", field: "pool" });
});

test("client - a manager's absence is one honest error", async (t) => {
  const client = await Client.connect({ pool: "alone", servers });
  t.after(() => client.close());
  const error = await failure(client.submit("0", { wait: false }));
  assert.equal(error.reason, "bus_unavailable");
});
