/** The dispatcher's rules, event by event, on a number for a clock. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolError } from "../../../mesh/errors.js";
import { CoreRig } from "../../support/core/core-rig.js";

/** Who got each message, an offer as "any". */
function route(rig: CoreRig): string[] {
  return rig.sender.sent.map(({ attempt, worker }) => `${attempt.job.id} → ${worker ?? "any"} #${attempt.number}`);
}

test("dispatch - a job is offered while the pool has room, and parked when every free slot has an offer on its way", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 2);
  for (let i = 0; i < 3; i += 1) rig.submit();
  assert.deepEqual(route(rig), ["j1 → any #1", "j2 → any #1"]);
  assert.equal(rig.dispatcher.parked.size, 1);
});

test("dispatch - a caller that asks again for its job hears one outcome, and each time that the job is here", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  const { job } = rig.last(rig.submit()).attempt;
  const heard: string[] = [];
  const caller = (reply: string | undefined) => ({
    reply,
    onTaken: () => heard.push(`${reply} taken`),
    onEnd: () => heard.push(`${reply} ends`),
  });
  for (let i = 0; i < 100; i += 1) job.listen(caller("x"));
  job.listen(caller("y"));
  assert.equal(job.listeners.length, 3);
  for (let i = 0; i < 2; i += 1) job.listen(caller(undefined));
  rig.result(job.id, "a");
  assert.equal(heard.filter((each) => each === "x taken").length, 100);
  assert.deepEqual(
    heard.filter((each) => each.endsWith("ends")),
    ["x ends", "y ends", "undefined ends", "undefined ends"],
  );
});

test("dispatch - a refused job is assigned to a worker that is known to be free, and the refusal is no attempt", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  rig.heartbeat("b", 1);
  const id = rig.submit();
  rig.busy(id, "a");
  assert.deepEqual(route(rig), ["j1 → any #1", "j1 → b #1"]);
  assert.equal(rig.totals.refused, 1);
});

test("dispatch - a refused job that finds no free worker goes next when a slot comes free", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  const first = rig.submit();
  const second = rig.submit();
  rig.busy(first, "a");
  assert.equal(rig.dispatcher.parked.size, 2);
  rig.heartbeat("a", 1);
  assert.deepEqual(route(rig).at(-1), `${first} → a #1`);
  rig.result(first, "a", 1);
  assert.deepEqual([route(rig).at(-1), rig.outcome(first)], [`${second} → a #1`, "ok"]);
});

test("dispatch - what leaves in one turn is assigned to free workers, the job offered first among them", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  rig.heartbeat("b", 1);
  rig.submit();
  rig.sender.sent.length = 0;
  const together = new CoreRig();
  together.heartbeat("a", 1);
  together.heartbeat("b", 1);
  const send = together.sender.send.bind(together.sender);
  together.sender.send = (attempt, worker) => {
    together.sender.holds = true;
    send(attempt, worker);
  };
  together.submit();
  together.submit();
  together.sender.flush();
  assert.deepEqual(route(together), ["j1 → a #1", "j2 → b #1"]);
  assert.equal(together.dispatcher.inFlight.offers, 0);
});

test("lease - the next attempt leaves only when the first can no longer start, whatever was measured", () => {
  for (const slowestMs of [undefined, 1, 50, 200, 700, 2_000]) {
    const rig = new CoreRig();
    rig.heartbeat("a", 1);
    if (slowestMs !== undefined) rig.timeouts.workerMeasured("a", slowestMs);
    rig.timeouts.checkLate(0);
    const { attempt } = rig.last(rig.submit());
    const wayMs = Math.min(slowestMs ?? 500, attempt.answerWithinMs / 2);
    for (const heldMs of [0, 5, 15]) {
      const latestStartMs = heldMs + rig.timeouts.leaseMs(attempt, heldMs) + wayMs;
      assert.ok(latestStartMs < attempt.answerWithinMs, `${slowestMs} ms away: ${latestStartMs}`);
    }
    rig.advance(attempt.answerWithinMs - 1);
    assert.equal(attempt.state, "offered");
  }
});

test("large payloads - the time on the wire counts, and what came late is learned from", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 2);
  rig.timeouts.workerMeasured("a", 1);
  rig.timeouts.checkLate(0);
  const small = rig.submit({ payload: new Uint8Array(100) });
  const large = rig.submit({ payload: new Uint8Array(200_000) });
  assert.deepEqual([rig.last(small).attempt.answerWithinMs, rig.last(large).attempt.answerWithinMs], [250, 450]);
  rig.dispatcher.replied(rig.last(large).attempt, { kind: "busy", worker: "a", free: 2, ageMs: 800 }, new Uint8Array());
  assert.equal(rig.last(large).attempt.answerWithinMs, 250 + 1_600);
  assert.equal(rig.last(large).attempt.number, 1, "a refusal is no attempt");
  rig.advance(250);
  assert.deepEqual(rig.inquired, [small], "a large payload before it delays no small one");
});

test("strangers - what is no answer of a worker decides nothing: an unknown kind, a stream, a bare answer where workers beat", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  const id = rig.submit({ timeoutMs: 400 });
  const { attempt } = rig.last(id);
  rig.dispatcher.replied(attempt, { kind: "unknown", worker: "a" }, new Uint8Array());
  rig.dispatcher.replied(attempt, { kind: "result", bare: true }, new Uint8Array());
  rig.dispatcher.streamAnswered("AUDIT");
  assert.deepEqual([rig.outcome(id), rig.totals.strangers], [undefined, 3]);
  rig.advance(410);
  assert.match(rig.failure(id).message, /stream AUDIT captures/);
});

test("hooks - every start has one finish: a job that ends while it is parked has neither", () => {
  const seen: string[] = [];
  const rig = new CoreRig({
    onStart: (job) => seen.push(`start ${job.id}`),
    onFinish: (outcome) => seen.push(`finish ${outcome.id}`),
  });
  rig.heartbeat("a", 1);
  const ran = rig.submit({ idempotent: true });
  const parked = rig.submit({ timeoutMs: 100 });
  rig.accepted(ran, "a", 0);
  rig.advance(110);
  rig.workers.remove("a");
  rig.dispatcher.workerLost("a", "is gone");
  rig.heartbeat("b", 1);
  rig.accepted(ran, "b", 0);
  rig.result(ran, "b", 1);
  assert.deepEqual([seen, rig.outcome(parked)], [[`start ${ran}`, `finish ${ran}`], "deadline_exceeded"]);
});

test("identity - a worker that runs another submission of the same id has not accepted this one", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  const id = rig.submit({ id: "same", nonce: "n2" });
  rig.dispatcher.runsAt(id, "n1", "a");
  assert.equal(rig.last(id).attempt.state, "offered");
  rig.dispatcher.runsAt(id, "n2", "a");
  assert.equal(rig.last(id).attempt.state, "accepted");
});

test("attempt numbers - a job from another manager begins after that manager's block", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  const { attempt } = rig.last(rig.submit({ attemptsBefore: 1_000 }));
  assert.deepEqual([attempt.number, attempt.count], [1_001, 2]);
});

test("not delivered - a worker that does not listen gets nothing until its next heartbeat, its job goes on at once", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  rig.heartbeat("b", 1);
  const id = rig.submit();
  rig.busy(id, "b", 1);
  const { attempt, worker } = rig.last(id);
  assert.equal(worker, "a");
  rig.dispatcher.notDelivered([attempt]);
  assert.deepEqual([rig.last(id).worker, rig.workers.get("a")?.free], ["b", 0]);
});

test("replies - one for another attempt, or from another worker than the one that has the job, changes nothing", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  const id = rig.submit();
  rig.accepted(id, "a", 0);
  const { attempt } = rig.last(id);
  rig.dispatcher.replied(attempt, { kind: "result", worker: "b", attempt: 1 }, new Uint8Array());
  rig.dispatcher.replied(attempt, { kind: "result", worker: "a", attempt: 7 }, new Uint8Array());
  assert.deepEqual([rig.outcome(id), rig.totals.late], [undefined, 2]);
  rig.result(id, "a", 1);
  assert.equal(rig.outcome(id), "ok");
});

test("deadline - a parked job ends with deadline_exceeded and cannot have run, a sent one may have", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  const sent = rig.submit({ timeoutMs: 500 });
  const parked = rig.submit({ timeoutMs: 500 });
  rig.accepted(sent, "a", 0);
  rig.advance(510);
  assert.deepEqual([rig.failure(sent).maybeExecuted, rig.failure(parked).maybeExecuted], [true, false]);
  assert.deepEqual([rig.outcome(sent), rig.outcome(parked)], ["deadline_exceeded", "deadline_exceeded"]);
  assert.deepEqual(rig.sender.revoked, [`${sent} 1000`]);
});

test("overload - past its bound the pool says pool_full with figures, and takes what it took before", () => {
  const rig = new CoreRig({ limits: { jobs: 1 } });
  rig.heartbeat("a", 1);
  rig.submit();
  rig.submit();
  assert.throws(
    () => rig.submit(),
    (error: PoolError) => error.reason === "pool_full" && error.parked === 1 && error.utilization === 1,
  );
  assert.equal(rig.dispatcher.liveJobs, 2);
});

test("no wait - a job that does not want to wait hears why: full, no READY worker, or a pool nobody knows", () => {
  const reason = (rig: CoreRig): string => {
    try {
      rig.submit({ wait: false });
      return "taken";
    } catch (error) {
      return (error as PoolError).reason;
    }
  };
  const full = new CoreRig();
  full.heartbeat("a", 1);
  full.submit();
  const paused = new CoreRig();
  paused.heartbeat("a", 1, 0, 1n, WorkerState.PAUSED);
  assert.deepEqual([reason(full), reason(paused)], ["pool_full", "no_workers"]);
});

test("bare pool - jobs are offered without heartbeats, and after silence one at a time until somebody answers", () => {
  const rig = new CoreRig({ bare: true });
  const first = rig.submit();
  rig.dispatcher.notDelivered([rig.last(first).attempt]);
  rig.submit();
  assert.equal(rig.dispatcher.parked.size, 2);
  rig.dispatcher.probeBare();
  assert.equal(rig.dispatcher.parked.size, 1);
  rig.dispatcher.replied(rig.sender.sent.at(-1)?.attempt as never, { kind: "result" }, new Uint8Array());
  assert.equal(rig.dispatcher.parked.size, 0);
});

test("a slot is counted once - whether the heartbeat or the accepted reply of a foreign worker comes first", () => {
  for (const order of ["heartbeat first", "accepted first"]) {
    const rig = new CoreRig();
    rig.heartbeat("a", 2);
    const id = rig.submit();
    rig.nowMs += 5;
    const heartbeat = (): void => {
      rig.dispatcher.runsAt(id, "", "a");
      rig.heartbeat("a", 2, 1);
    };
    if (order === "heartbeat first") heartbeat();
    rig.nowMs += 50;
    rig.accepted(id, "a");
    if (order === "accepted first") heartbeat();
    assert.equal(rig.workers.free, 1, order);
    rig.result(id, "a");
    assert.equal(rig.workers.free, 2, order);
  }
});

test("a slot is counted once - a heartbeat that counts a job without listing it leaves no slot unused", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 2);
  const id = rig.submit();
  rig.nowMs += 5;
  rig.heartbeat("a", 2, 1);
  rig.nowMs += 50;
  rig.accepted(id, "a");
  assert.equal(rig.workers.free, 1);
});

test("payload limit - jobs that a broker with a smaller limit does not take any more are refused, the others stay", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1, 0, 1n, WorkerState.PAUSED);
  rig.submit({ payload: new Uint8Array(10) });
  rig.submit({ payload: new Uint8Array(1_000) });
  rig.sender.limitBytes = 100;
  rig.dispatcher.refuseTooLarge();
  assert.deepEqual([rig.outcome("j1"), rig.outcome("j2")], [undefined, "payload_too_large"]);
});

test("cancel - a parked job is simply gone, a sent one is revoked at its worker, and both end once", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  const sent = rig.submit();
  const parked = rig.submit();
  for (const id of [parked, sent, parked]) {
    const job = rig.dispatcher.live(id);
    if (job !== undefined) rig.dispatcher.cancel(job, new PoolError("canceled", "no"));
  }
  assert.deepEqual([rig.outcome(sent), rig.outcome(parked)], ["canceled", "canceled"]);
  assert.deepEqual(rig.sender.revoked, [`${sent} 1000`]);
});
