/** A worker's life: heartbeats, grace, outages of the broker, stalls, bad configuration. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Heartbeat, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { decodeHeartbeat } from "../../../mesh/wire/heartbeat-codec.js";
import { Worker } from "../../../services/worker/worker.js";
import { startBroker, WHOLE_FILE } from "../../support/broker.js";
import type { JobCaller } from "../../support/core/job-caller.js";
import { lifecycleContract } from "../../support/core/lifecycle-contract.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startWorker } from "../../support/started-worker.js";
import { eventually, gate, loadTimeoutMs, within } from "../../support/wait.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);
const HANDLERS = new URL("../../support/handlers/", import.meta.url).pathname;

for (const isolation of ["inline", "thread", "process"] as const) {
  const make = (file: string) => () =>
    new Worker({
      pool: "life",
      handlerFile: HANDLERS + file,
      isolation,
      servers: broker.url,
      graceMs: 0,
      loadTimeoutMs,
    });
  lifecycleContract(`worker (${isolation})`, make("bytes-echo.ts"), make("no-function.ts"));
}

async function hear(caller: JobCaller, pool: string): Promise<Heartbeat[]> {
  const heard: Heartbeat[] = [];
  caller.bus.subscribe(caller.subjects.heartbeat(pool, "w1"), (msg) => {
    const decoded = decodeHeartbeat({ data: msg.data, contentType: "", pool, sender: "w1" });
    assert.ok(decoded.ok);
    heard.push(decoded.beat);
  });
  await caller.bus.flush();
  return heard;
}

describe("worker heartbeats", () => {
  test("they rise in seq, come by themselves, and show busy slots and running jobs on change", async (t) => {
    const held = gate();
    const { caller, pool } = await startWorker(t, broker, {
      run: () => held.promise,
      slots: 2,
      heartbeatIntervalMs: 100,
    });
    const heard = await hear(caller, pool);
    await eventually(() => heard.length >= 3);
    const sent = caller.send("", { jobId: "seen" });
    const busy = await eventually(() => heard.find((each) => each.busy === 1));
    assert.deepEqual([busy.runningJobs, busy.slots, busy.acceptedTotal], [["seen"], 2, 1n]);
    held.open();
    await sent.outcome();
    await eventually(() => heard.at(-1)?.busy === 0 && heard.at(-1)?.jobsDone === 1n);
    const seqs = heard.map((each) => each.seq);
    assert.ok(seqs.every((seq, i) => i === 0 || seq > (seqs[i - 1] as bigint)));
    assert.equal(new Set(heard.map((each) => each.incarnation)).size, 1);
  });

  test("many changes are coalesced, and a manager's pace makes them rarer", async (t) => {
    const { caller, pool } = await startWorker(t, broker, {
      run: () => 1,
      heartbeatIntervalMs: 60_000,
      coalesceMs: 20,
    });
    caller.control('{"pace":{"coalesceMs":10000}}');
    await caller.bus.flush();
    const heard = await hear(caller, pool);
    for (let i = 0; i < 200; i += 1) await caller.send("", { jobId: `j${i}` }).outcome();
    assert.ok(heard.length <= 2, `${heard.length} heartbeats`);
    caller.control('{"rollCall":{}}');
    await eventually(() => heard.at(-1)?.jobsDone === 200n);
  });
});

describe("worker life", () => {
  test("stop() lets running jobs finish within the grace", async (t) => {
    const held = gate<string>();
    const { caller, worker } = await startWorker(t, broker, { run: () => held.promise, graceMs: 20_000 });
    const sent = caller.send("", { jobId: "j" });
    await sent.first("accepted");
    const stopped = worker.stop();
    await eventually(() => worker.workerState === WorkerState.DRAINING);
    held.open("in time");
    await within(stopped);
    assert.equal((await sent.outcome()).text, '"in time"');
  });

  test("stop() answers what is longer than the grace with draining, which may have run, and fires its signal", async (t) => {
    let aborted = false;
    const { caller, worker } = await startWorker(t, broker, {
      graceMs: 50,
      run: ({ signal }) =>
        new Promise(() => {
          signal.addEventListener("abort", () => {
            aborted = true;
          });
        }),
    });
    const sent = caller.send("", { jobId: "j" });
    await sent.first("accepted");
    await within(worker.stop());
    const { error } = await sent.outcome();
    assert.deepEqual([error?.reason, error?.retryable, error?.maybeExecuted, aborted], ["draining", true, true, true]);
  });

  test("a result that was finished while the broker was away arrives when it is back", async (t) => {
    const own = await startBroker(t);
    const held = gate<string>();
    const { caller, worker } = await startWorker(t, own, { run: () => held.promise, slots: 2 });
    const sent = [caller.send("", { jobId: "a" }), caller.send("", { jobId: "b" })];
    await Promise.all(sent.map((each) => each.first("accepted")));
    await own.crash();
    await eventually(() => !caller.bus.connected);
    held.open("kept");
    await eventually(() => worker.busy === 0);
    await own.revive();
    await eventually(() => caller.bus.connected);
    caller.control('{"owed":{"jobIds":["a","b"]}}', "w1");
    await eventually(
      () => {
        caller.control('{"owed":{"jobIds":["a","b"]}}', "w1");
        return sent.every((each) => each.outcomes()[0]?.text === '"kept"');
      },
      { pollMs: 100 },
    );
  });

  test("a worker that stops in the turn in which its last jobs end says that it has left after their results", async (t) => {
    const jobs = 8;
    let run = 0;
    let stopped: Promise<void> | undefined;
    const { worker, caller, pool } = await startWorker(t, broker, {
      slots: jobs,
      graceMs: 20_000,
      coalesceMs: 0,
      heartbeatIntervalMs: 1,
      run: () => {
        run += 1;
        if (run === jobs) stopped = worker.stop();
      },
    });
    const sent = Array.from({ length: jobs }, (_, i) => caller.send("", { jobId: `last-${i}` }));
    const resultsAt = (): number => sent.flatMap((each) => each.outcomes()).length;
    const atLeave: number[] = [];
    caller.bus.subscribe(caller.subjects.heartbeat(pool, "w1"), ({ data }) => {
      const decoded = decodeHeartbeat({ data, contentType: "", pool, sender: "w1" });
      if (decoded.ok && decoded.beat.state === WorkerState.STOPPED) atLeave.push(resultsAt());
    });
    await eventually(() => stopped !== undefined, { what: "a stop" });
    await stopped;
    await eventually(() => atLeave.length > 0, { what: "the last heartbeat" });
    assert.deepEqual(atLeave, [jobs]);
  });

  test("stop() ends in time while the broker is away", async (t) => {
    const own = await startBroker(t);
    const { worker } = await startWorker(t, own, { run: () => 1, graceMs: 200 });
    await own.crash();
    await within(worker.stop(), { limitMs: 15_000 });
  });

  test("stop() ends a start that waits for a broker", async () => {
    const worker = new Worker({ pool: "p", run: () => 1, servers: "nats://127.0.0.1:1" });
    const starting = worker.start();
    setImmediate(() => void worker.stop());
    await assert.rejects(within(starting), { reason: "canceled" });
    await within(worker.closed);
  });

  test("after a stall offers are refused until a round trip has ended, and plain jobs are run", async (t) => {
    const { caller, worker } = await startWorker(t, broker, { run: () => "ran" });
    await caller.send("", { jobId: "warm" }).outcome();
    const offer = caller.send("", { jobId: "old", once: true });
    const plain = caller.sendPlain("");
    // both are on the socket after this turn, and are read after the stall
    await Promise.resolve();
    const endMs = performance.now() + 400;
    while (performance.now() < endMs);
    assert.equal((await offer.first("busy")).free, 1);
    assert.equal((await plain.outcome()).text, '"ran"');
    assert.equal((await caller.send("", { jobId: "new" }).outcome()).text, '"ran"');
    assert.equal(worker.busy, 0);
  });

  test("options that cannot work are refused before any connection, by name", async () => {
    const run = () => 1;
    const cases: [string, () => unknown][] = [
      ["pool", () => new Worker({ pool: "a b", run })],
      ["worker", () => new Worker({ pool: "p", id: "a.b", run })],
      ["slots", () => new Worker({ pool: "p", slots: 0, run })],
      ["handler", () => new Worker({ pool: "p" })],
      ["handler", () => new Worker({ pool: "p", run, exec: "cat" })],
      ["isolation", () => new Worker({ pool: "p", run, isolation: "thread" })],
      ["labels", () => new Worker({ pool: "p", run, labels: { zone: "x".repeat(64) } })],
      ["graceMs", () => new Worker({ pool: "p", run, graceMs: Number.NaN })],
      ["prefix", () => new Worker({ pool: "p", run, prefix: "a..b" })],
    ];
    for (const [field, make] of cases) assert.throws(make, { reason: "invalid_argument", field });
  });

  test("a handler file that is missing, broken or has no function is refused before any connection", async () => {
    for (const isolation of ["inline", "thread", "process"] as const) {
      for (const name of ["missing.ts", "no-function.ts", "broken.ts"]) {
        const worker = new Worker({
          pool: "p",
          handlerFile: HANDLERS + name,
          isolation,
          servers: "nats://127.0.0.1:1",
        });
        await assert.rejects(
          within(worker.start()),
          { reason: "invalid_argument", field: "handler" },
          `${isolation} ${name}`,
        );
      }
    }
  });
});
