/** What a worker does when it is told to: cancel, revoke, drain, pause, resume, resize, probe, owed, pace. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { type ControlResponse, ControlResponseSchema } from "../../../gen/poolmesh/v1/control_pb.js";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { PoolError } from "../../../mesh/errors.js";
import { encodeControl } from "../../../mesh/wire/control-messages.js";
import { startBroker, WHOLE_FILE } from "../../support/broker.js";
import type { SentJob } from "../../support/core/job-caller.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startWorker } from "../../support/started-worker.js";
import { eventually, gate, settled, within } from "../../support/wait.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);

async function binary(sent: SentJob): Promise<ControlResponse> {
  return fromBinary(ControlResponseSchema, (await sent.outcome()).data);
}

async function json(sent: SentJob): Promise<{ worker: { state: string; slots: number; busy?: number } }> {
  return JSON.parse((await sent.outcome()).text);
}

/** A handler that runs until it is aborted, and says why. */
function untilAborted(reasons: string[]) {
  return ({ signal }: { signal: AbortSignal }): Promise<never> =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => {
        reasons.push((signal.reason as PoolError).reason);
        reject(signal.reason);
      });
    });
}

describe("worker control", () => {
  test("a cancel fires the handler's signal, ends the job as canceled, and only its holder confirms", async (t) => {
    const reasons: string[] = [];
    const { caller, worker } = await startWorker(t, broker, { run: untilAborted(reasons) });
    const sent = caller.send("", { jobId: "j" });
    await sent.first("accepted");
    const cancel = caller.cancel("j");
    assert.equal((await cancel.outcome()).worker, "w1");
    assert.equal((await sent.outcome()).error?.reason, "canceled");
    await eventually(() => worker.busy === 0);
    assert.deepEqual([reasons, sent.outcomes().length], [["canceled"], 1]);
    const unknown = caller.cancel("never-seen");
    await caller.bus.flush();
    assert.deepEqual(unknown.replies, []);
  });

  test("a revoked attempt is not run when it comes late, a later one is", async (t) => {
    const ran: number[] = [];
    const { caller } = await startWorker(t, broker, { run: (job) => ran.push(job.attempt) });
    caller.cancel("j", 2);
    const revoked = [1, 2].map((attempt) => caller.send("", { jobId: "j", attempt }));
    await caller.send("", { jobId: "j", attempt: 3 }).outcome();
    assert.deepEqual([ran, revoked.map((each) => each.replies.length)], [[3], [0, 0]]);
  });

  test("a revocation ends the running attempts that it names and no later one", async (t) => {
    const reasons: string[] = [];
    const { caller } = await startWorker(t, broker, { run: untilAborted(reasons), slots: 2 });
    const first = caller.send("", { jobId: "one", attempt: 1 });
    const second = caller.send("", { jobId: "other", attempt: 2 });
    await Promise.all([first.first("accepted"), second.first("accepted")]);
    for (const id of ["one", "other"]) caller.cancel(id, 1);
    assert.equal((await first.outcome()).error?.reason, "canceled");
    assert.equal(second.outcomes().length, 0);
    caller.cancel("other");
    await second.outcome();
  });

  test("an attempt that joined the one before goes on when that one is revoked, and a cancel ends both", async (t) => {
    const reasons: string[] = [];
    const { caller } = await startWorker(t, broker, { run: untilAborted(reasons), slots: 2 });
    const first = caller.send("", { jobId: "j", attempt: 1 });
    await first.first("accepted");
    const second = caller.send("", { jobId: "j", attempt: 2 });
    await second.first("accepted");
    caller.cancel("j", 1);
    await caller.bus.flush();
    assert.deepEqual([first.outcomes().length, second.outcomes().length, reasons.length], [0, 0, 0]);
    caller.cancel("j");
    assert.equal((await first.outcome()).error?.reason, "canceled");
    assert.equal((await second.outcome()).error?.reason, "canceled");
    assert.equal(reasons.length, 1);
  });

  test("drain takes nothing new, finishes what runs, says STOPPED and ends without an error", async (t) => {
    const held = gate<string>();
    const { caller, worker, pool } = await startWorker(t, broker, {
      run: () => held.promise,
      slots: 2,
      graceMs: 10_000,
    });
    const states: WorkerState[] = [];
    const { decodeHeartbeat } = await import("../../../mesh/wire/heartbeat-codec.js");
    caller.bus.subscribe(caller.subjects.heartbeat(pool, "w1"), (msg) => {
      const decoded = decodeHeartbeat({ data: msg.data, contentType: "", pool, sender: "w1" });
      if (decoded.ok && states.at(-1) !== decoded.beat.state) states.push(decoded.beat.state);
    });
    const running = caller.send("", { jobId: "j" });
    await running.first("accepted");
    const waiting = caller.control(encodeControl("drain", { wait: true }), "w1");
    await eventually(() => worker.workerState === WorkerState.DRAINING);
    assert.equal((await caller.send("", { jobId: "k", to: "w1" }).first("busy")).free, 0);
    assert.equal(waiting.replies.length, 0);
    assert.equal(await settled(worker.closed), "pending");
    held.open("finished");
    assert.equal((await running.outcome()).text, '"finished"');
    assert.equal((await binary(waiting)).worker?.busy, 0);
    assert.equal(await within(worker.closed), undefined);
    await eventually(() => states.at(-1) === WorkerState.STOPPED);
    assert.deepEqual(states.slice(-2), [WorkerState.DRAINING, WorkerState.STOPPED]);
  });

  test("drain without wait is answered at once with DRAINING", async (t) => {
    const held = gate();
    const { caller, worker } = await startWorker(t, broker, { run: () => held.promise });
    await caller.send("", { jobId: "j" }).first("accepted");
    assert.equal((await json(caller.control("drain", "w1"))).worker.state, "WORKER_STATE_DRAINING");
    held.open();
    await within(worker.closed);
  });

  test("a paused worker refuses offers, assignments and plain jobs, and a resumed one takes them", async (t) => {
    const { caller } = await startWorker(t, broker, { run: () => "ran" });
    assert.equal((await json(caller.control("pause", "w1"))).worker.state, "WORKER_STATE_PAUSED");
    assert.equal((await caller.send("", { jobId: "a", to: "w1" }).first("busy")).free, 0);
    const nobody = await caller.send("", { jobId: "b" }).outcome();
    assert.equal(nobody.data.length, 0);
    assert.equal((await json(caller.control("resume", "w1"))).worker.state, "WORKER_STATE_READY");
    assert.equal((await caller.send("", { jobId: "c" }).outcome()).text, '"ran"');
  });

  test("offers that were under way to a pausing worker are answered, none is lost", async (t) => {
    const { caller, worker } = await startWorker(t, broker, { run: () => "ran" });
    const sent = Array.from({ length: 300 }, (_, i) => caller.send("", { jobId: `j${i}` }));
    const paused = worker.pause();
    await eventually(() => sent.every((each) => each.replies.length > 0));
    await paused;
  });

  test("resize changes the slots at once; below busy no job is killed", async (t) => {
    const held = gate<string>();
    const { caller, worker } = await startWorker(t, broker, { run: () => held.promise, slots: 3 });
    const sent = ["a", "b", "c"].map((jobId) => caller.send("", { jobId }));
    await Promise.all(sent.map((each) => each.first("accepted")));
    assert.equal((await json(caller.control("resize 1", "w1"))).worker.slots, 1);
    assert.equal((await caller.send("", { jobId: "d" }).first("busy")).free, 0);
    held.open("kept");
    for (const each of sent) assert.equal((await each.outcome()).text, '"kept"');
    assert.equal((await binary(caller.control(encodeControl("resize", { slots: 5 }), "w1"))).worker?.slots, 5);
    assert.deepEqual([worker.slots, worker.busy], [5, 0]);
  });

  test("a control request that makes no sense is invalid_argument and changes nothing", async (t) => {
    const { caller, worker } = await startWorker(t, broker, { run: () => 1 });
    const bad = [
      "",
      "explode",
      "resize",
      "resize 0",
      "resize 70000",
      "{}",
      '{"resize":{"slots":-1}}',
      "{",
      "\u0001\u0002",
    ];
    for (const request of bad) {
      const { error } = await caller.control(request, "w1").outcome();
      assert.equal(error?.reason, "invalid_argument", JSON.stringify(request));
    }
    assert.deepEqual([worker.slots, worker.workerState], [1, WorkerState.READY]);
  });

  test("a probe is answered with the whole state", async (t) => {
    const { caller, pool } = await startWorker(t, broker, { run: () => 1, labels: { zone: "a" }, slots: 2 });
    const { worker } = await binary(caller.control(encodeControl("probe", {}), "w1"));
    assert.deepEqual(
      [worker?.pool, worker?.worker, worker?.state, worker?.slots, worker?.labels.zone, worker?.pid],
      [pool, "w1", WorkerState.READY, 2, "a", process.pid],
    );
  });

  test("what a manager is owed is sent again: results that are kept, acceptance of what runs", async (t) => {
    const held = gate<string>();
    const { caller } = await startWorker(t, broker, { run: ({ id }) => (id === "runs" ? held.promise : id), slots: 2 });
    const done = caller.send("", { jobId: "done" });
    await done.outcome();
    const runs = caller.send("", { jobId: "runs" });
    await runs.first("accepted");
    const response = await binary(caller.control(encodeControl("owed", { jobIds: ["done", "runs", "never"] }), "w1"));
    assert.deepEqual([response.knownJobIds, response.unknownJobIds], [["done", "runs"], ["never"]]);
    await eventually(() => done.outcomes().length === 2 && runs.replies.length === 2);
    held.open("ran");
    await runs.outcome();
  });

  test("an assignment to an id that two live workers claim runs once", async (t) => {
    let ran = 0;
    const run = (): number => {
      ran += 1;
      return ran;
    };
    const { caller, pool } = await startWorker(t, broker, { run, slots: 20 });
    await startWorker(t, broker, { run, pool, slots: 20 });
    const sent = Array.from({ length: 20 }, (_, i) => caller.send("", { jobId: `h${i}`, to: "w1" }));
    await Promise.all(sent.map((each) => each.first("result")));
    assert.equal(ran, 20);
  });

  test("a pool's workers obey one request to all of them", async (t) => {
    const first = await startWorker(t, broker, { run: () => 1 });
    const second = await startWorker(t, broker, { run: () => 1, pool: first.pool, id: "w2" });
    first.caller.control("pause");
    await eventually(() => [first, second].every(({ worker }) => worker.workerState === WorkerState.PAUSED));
  });
});
