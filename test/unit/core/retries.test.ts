/** When a job is sent again and when it ends instead, on a number for a clock. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PoolError } from "../../../mesh/errors.js";
import { INQUIRY_ROUND_MS } from "../../../services/manager/jobs/timeouts.js";
import { CoreRig } from "../../support/core/core-rig.js";

test("accept timeout - an attempt that nobody accepts is revoked and the job sent again as the next attempt", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  rig.heartbeat("b", 1);
  for (const worker of ["a", "b"]) rig.workers.measured(worker, 1);
  rig.timeouts.checkLate(0);
  const id = rig.submit({ idempotent: true });
  rig.advance(249);
  assert.equal(rig.sender.revoked.length, 0);
  rig.advance(1);
  assert.deepEqual(rig.sender.revoked, ["j1 1"]);
  assert.equal(rig.last(id).attempt.number, 2);
});

test("accept timeout - it is four round trips to the farthest worker, and a second until one was measured", () => {
  const rig = new CoreRig();
  assert.equal(rig.timeouts.acceptTimeoutMs, 1_000);
  rig.heartbeat("near", 1);
  rig.heartbeat("far", 1);
  rig.timeouts.workerMeasured("near", 1);
  assert.equal(rig.timeouts.acceptTimeoutMs, 250);
  rig.timeouts.workerMeasured("far", 200);
  assert.equal(rig.timeouts.acceptTimeoutMs, 800);
  rig.timeouts.workerMeasured("far", 2_000);
  assert.equal(rig.timeouts.acceptTimeoutMs, 3_000, "a longer round trip tells of a process that stalled");
});

test("accept timeout - a job that may run once has the time of a worker half a second away while there may be one that nobody has measured", () => {
  const rig = new CoreRig();
  rig.heartbeat("near", 8);
  rig.timeouts.workerMeasured("near", 1);
  const timeAndLease = (idempotent: boolean): number[] => {
    const { attempt } = rig.last(rig.submit({ idempotent }));
    return [attempt.answerWithinMs, Math.round(rig.timeouts.leaseMs(attempt, rig.nowMs))];
  };
  const unknown = [1_000, 489];
  const known = [250, 239];
  rig.timeouts.listens(rig.nowMs);
  assert.deepEqual(timeAndLease(false), unknown, "a manager that has just begun to listen");
  assert.deepEqual(timeAndLease(true), [250, 115], "what may run twice is sent again soon");
  rig.nowMs += 2_500;
  rig.timeouts.checkLate(rig.nowMs);
  assert.deepEqual(timeAndLease(false), known, "it has heard each worker that there is");
  rig.timeouts.restartUnanswered(rig.nowMs);
  assert.deepEqual(timeAndLease(false), unknown, "its connection was away");
  rig.nowMs += 2_500;
  rig.timeouts.checkLate(rig.nowMs);
  rig.heartbeat("new", 1);
  rig.timeouts.workerJoined();
  assert.deepEqual(timeAndLease(false), unknown, "a worker is new");
});

test("accept timeout - time in which this manager stalled counts against no attempt", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  rig.submit({ idempotent: true });
  rig.nowMs = 5_000;
  rig.timeouts.excuseStall(4_990, rig.nowMs);
  rig.advance(900);
  assert.equal(rig.sender.revoked.length, 0);
  rig.advance(100);
  assert.equal(rig.sender.revoked.length, 1);
});

test("accept timeout - more time to be answered, after a stall or an outage, changes nothing in when the job is said to have started", () => {
  for (const excuse of ["excuseStall", "restartUnanswered"] as const) {
    const rig = new CoreRig();
    rig.heartbeat("a", 1);
    const id = rig.submit();
    rig.nowMs = 500;
    if (excuse === "excuseStall") rig.timeouts.excuseStall(490, rig.nowMs);
    else rig.timeouts.restartUnanswered(rig.nowMs);
    rig.result(id, "a");
    const [outcome] = rig.outcomes.get(id) ?? [];
    assert.ok(outcome?.ok);
    assert.deepEqual([outcome.result.waitMs, outcome.result.totalMs], [0, 500]);
  }
});

test("inquiry - a worker that was lost since may have begun a stored job that left before, whatever stalled meanwhile", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  const id = rig.submit({ runTimeoutMs: 30_000, idempotent: false });
  rig.nowMs = 100;
  rig.dispatcher.retries.workerLost("a");
  rig.timeouts.restartUnanswered(200);
  rig.dispatcher.retries.neverArrived(rig.last(id).attempt);
  assert.equal(rig.outcome(id), "worker_lost");
});

test("inquiry - a job that may run once only ends when this manager was cut off and a worker is lost since: its acceptance may be lost too", () => {
  for (const isTold of [true, false]) {
    const rig = new CoreRig();
    for (const id of ["a", "b"]) rig.heartbeat(id, 4);
    const sent = {
      once: rig.submit(),
      again: rig.submit({ idempotent: true }),
    };
    rig.nowMs = 100;
    rig.timeouts.restartUnanswered(rig.nowMs);
    rig.dispatcher.retries.workerLost("a");
    for (const id of [sent.once, sent.again]) {
      if (isTold) rig.dispatcher.retries.neverArrived(rig.last(id).attempt);
    }
    if (!isTold) for (const ms of [1_000, INQUIRY_ROUND_MS]) rig.advance(ms);
    assert.equal(rig.outcome(sent.once), "worker_lost");
    assert.equal(rig.outcome(sent.again), undefined);
    assert.equal(rig.last(sent.again).attempt.number, 2);
  }
});

test("inquiry - a job is sent again when a worker is lost and the connection held, and when the connection broke and no worker is lost", () => {
  for (const isCutOff of [true, false]) {
    const rig = new CoreRig();
    for (const id of ["a", "b"]) rig.heartbeat(id, 4);
    const id = rig.submit();
    if (isCutOff) rig.timeouts.restartUnanswered(rig.nowMs);
    else rig.dispatcher.retries.workerLost("a");
    rig.dispatcher.retries.neverArrived(rig.last(id).attempt);
    assert.deepEqual([rig.outcome(id), rig.last(id).attempt.number], [undefined, 2]);
  }
});

test("inquiry - a job that was sent to one worker alone does not end because another one is lost", () => {
  const rig = new CoreRig();
  for (const id of ["a", "b"]) rig.heartbeat(id, 1);
  for (const id of [rig.submit(), rig.submit()]) rig.busy(id, "c", 0);
  const id = ["j1", "j2"].find((each) => rig.last(each).worker === "b");
  assert.ok(id !== undefined);
  rig.timeouts.restartUnanswered(rig.nowMs);
  rig.dispatcher.retries.workerLost("a");
  rig.dispatcher.retries.neverArrived(rig.last(id).attempt);
  assert.deepEqual([rig.outcome(id), rig.sender.revoked], [undefined, [`${id} 1`]]);
});

test("inquiry - after a broken connection workers are asked again, whatever they were asked before", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  const once = rig.submit();
  rig.advance(1_000);
  rig.timeouts.restartUnanswered(rig.nowMs);
  rig.advance(1_000 + INQUIRY_ROUND_MS);
  assert.deepEqual([rig.inquired, rig.sender.revoked], [[once, once], []]);
});

test("accept timeout - a worker that answers no assignment is out of the line until it speaks", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  const id = rig.submit({ idempotent: true });
  rig.busy(id, "a", 1);
  assert.equal(rig.last(id).worker, "a");
  rig.advance(1_000);
  assert.equal(rig.workers.free, 0);
  assert.equal(rig.dispatcher.parked.size, 1);
  rig.heartbeat("a", 1);
  assert.deepEqual([rig.last(id).worker, rig.last(id).attempt.number], ["a", 2]);
});

test("accept timeout - a late reply to a revoked attempt is dropped, counted, and tells how far away its worker is", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  rig.heartbeat("b", 1);
  const id = rig.submit({ idempotent: true });
  const { attempt } = rig.last(id);
  rig.advance(1_000);
  rig.nowMs += 100;
  rig.dispatcher.replied(attempt, { kind: "result", worker: "a" }, new Uint8Array());
  assert.equal(rig.outcome(id), undefined);
  assert.deepEqual([rig.totals.late, rig.workers.get("a")?.roundTripMs], [1, 1_100]);
  rig.result(id, rig.last(id).worker ?? "");
  assert.equal(rig.outcome(id), "ok");
});

test("accept timeout - late replies are waited for two seconds, and no longer", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  const { attempt } = rig.last(rig.submit({ idempotent: true }));
  rig.advance(1_000);
  assert.equal(attempt.state, "revoked");
  rig.timeouts.checkLate(1_999);
  assert.equal(attempt.state, "revoked");
  rig.timeouts.checkLate(2_001);
  assert.equal(attempt.state, "over");
  assert.ok(rig.sender.forgotten.includes(attempt));
});

test("inquiry - before a job that may run once only is sent again, its workers are asked and have half a second", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  rig.heartbeat("b", 1);
  const once = rig.submit();
  const again = rig.submit({ idempotent: true });
  rig.advance(1_000);
  assert.deepEqual([rig.inquired, rig.sender.revoked], [[once], [`${again} 1`]]);
  rig.advance(INQUIRY_ROUND_MS - 1);
  assert.equal(rig.last(once).attempt.number, 1);
  rig.advance(1);
  assert.deepEqual([rig.inquired, rig.sender.revoked], [[once], [`${again} 1`, `${once} 1`]]);
});

test("inquiry - while the question does not reach the workers it is asked again, and no job is sent again", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  const once = rig.submit();
  rig.reachesWorkers = false;
  rig.advance(1_000);
  for (let i = 0; i < 4; i += 1) rig.advance(INQUIRY_ROUND_MS);
  assert.deepEqual([rig.inquired.length, rig.sender.revoked], [5, []]);
  rig.reachesWorkers = true;
  rig.advance(INQUIRY_ROUND_MS);
  rig.advance(INQUIRY_ROUND_MS);
  assert.deepEqual([rig.inquired.length, rig.sender.revoked], [6, [`${once} 1`]]);
});

test("inquiry - a job that no worker knows is sent again at once, one whose acceptance comes late is not", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 2);
  const [lost, late] = [rig.submit(), rig.submit()];
  rig.advance(1_000);
  rig.accepted(late, "a", 1);
  for (const id of [lost, late]) rig.dispatcher.retries.neverArrived(rig.last(id).attempt);
  assert.deepEqual([rig.last(lost).attempt.number, rig.last(late).attempt.number], [2, 1]);
  assert.deepEqual(rig.sender.revoked, [`${lost} 1`]);
});

test("unresponsive workers - while a worker answers nothing, jobs are assigned to the others and not left to the broker's choice", () => {
  const rig = new CoreRig();
  for (const id of ["a", "b"]) rig.heartbeat(id, 4);
  rig.workers.didNotAnswer("a", rig.nowMs);
  assert.deepEqual(rig.workers.answering(), ["b"]);
  rig.submit();
  assert.notEqual(rig.sender.sent.at(-1)?.worker, undefined);
  rig.heartbeat("a", 4);
  rig.submit();
  assert.equal(rig.sender.sent.at(-1)?.worker, undefined, "it speaks again");
});

test("unknown attempt - a worker that never got an attempt is not lost, however many attempts there were", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  const id = rig.submit({ idempotent: true });
  for (let attempt = 1; attempt <= 6; attempt += 1) {
    rig.dispatcher.retries.unknownAt(rig.last(id).attempt);
    rig.heartbeat("a", 1);
    assert.deepEqual([rig.outcome(id), rig.last(id).attempt.number], [undefined, attempt + 1]);
  }
  rig.accepted(id, "a", 0);
  rig.dispatcher.retries.unknownAt(rig.last(id).attempt);
  assert.equal(rig.outcome(id), "worker_lost", "it had this one");
});

test("lost worker - a job that it accepted ends as worker_lost, and may have run", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  const id = rig.submit();
  rig.accepted(id, "a", 0);
  rig.workers.remove("a");
  rig.dispatcher.workerLost("a", "is gone");
  const { reason, maybeExecuted, retryable } = rig.failure(id);
  assert.deepEqual(
    { reason, maybeExecuted, retryable },
    { reason: "worker_lost", maybeExecuted: true, retryable: false },
  );
});

test("lost worker - a job that may run again goes to another worker at once", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  rig.heartbeat("b", 1);
  const id = rig.submit({ idempotent: true });
  rig.accepted(id, "a", 0);
  rig.workers.remove("a");
  rig.dispatcher.workerLost("a", "is gone");
  assert.deepEqual([rig.last(id).worker, rig.last(id).attempt.number], ["b", 2]);
});

test("lost worker - a job that it never accepted goes to another one when the first attempt can no longer start", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  rig.heartbeat("b", 1);
  const id = rig.submit();
  rig.busy(id, "b", 1);
  assert.equal(rig.last(id).worker, "a");
  rig.workers.remove("a");
  rig.dispatcher.workerLost("a", "is gone");
  assert.equal(rig.last(id).attempt.number, 1, "the message may still be on its way");
  rig.advance(1_000);
  rig.dispatcher.retries.neverArrived(rig.last(id).attempt);
  assert.deepEqual([rig.last(id).worker, rig.last(id).attempt.number], ["b", 2]);
});

test("poison - a job whose worker was lost twice ends, and says so", () => {
  const rig = new CoreRig();
  const id = rig.submit({ idempotent: true });
  for (const worker of ["w1", "w2"]) {
    assert.equal(rig.outcome(id), undefined);
    rig.heartbeat(worker, 1);
    rig.accepted(id, worker, 0);
    rig.workers.remove(worker);
    rig.dispatcher.workerLost(worker, "is gone");
  }
  const { reason, retryable, message } = rig.failure(id);
  assert.deepEqual([reason, retryable], ["worker_lost", false]);
  assert.match(message, /2 workers that were lost/);
});

test("attempt limit - a job gets five attempts at one manager, whatever its workers say", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 1);
  const id = rig.submit();
  let attempts = 0;
  for (; rig.outcome(id) === undefined && attempts < 20; attempts += 1) {
    rig.heartbeat("a", 1);
    rig.error(id, "a", new PoolError("draining", "leaves"));
  }
  assert.deepEqual([attempts, rig.outcome(id)], [5, "draining"]);
});

test("draining - a job that a leaving worker did not run goes to another, one that may have run ends", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 2);
  rig.heartbeat("b", 2);
  const unstarted = rig.submit();
  const started = rig.submit();
  rig.error(unstarted, "a", new PoolError("draining", "leaves"));
  rig.error(started, "a", new PoolError("draining", "leaves", { maybeExecuted: true }));
  assert.deepEqual([rig.outcome(unstarted), rig.outcome(started)], [undefined, "draining"]);
  assert.equal(rig.last(unstarted).attempt.number, 2);
});

test("crashes - an idempotent job of a worker that says that it crashed goes to another, once; any other ends", () => {
  const crash = new PoolError("worker_lost", "crashed", { maybeExecuted: true });
  const rig = new CoreRig();
  rig.heartbeat("a", 2);
  rig.heartbeat("b", 2);
  const idempotent = rig.submit({ idempotent: true });
  const other = rig.submit();
  for (const id of [idempotent, other]) rig.accepted(id, "a", 0);
  for (const id of [idempotent, other]) rig.error(id, "a", crash);
  assert.deepEqual([rig.outcome(idempotent), rig.outcome(other)], [undefined, "worker_lost"]);
  rig.accepted(idempotent, "b", 0);
  rig.error(idempotent, "b", crash);
  assert.equal(rig.outcome(idempotent), "worker_lost");
});

test("a worker that listed a job, does not run it and has not got this attempt - the job is sent again when it may run again", () => {
  const rig = new CoreRig();
  rig.heartbeat("a", 4);
  const [listed, once, said] = [rig.submit({ idempotent: true }), rig.submit(), rig.submit({ idempotent: true })];
  for (const id of [listed, once, said]) rig.dispatcher.runsAt(id, "", "a");
  rig.accepted(said, "a", 1);
  for (const id of [listed, once, said]) rig.dispatcher.retries.ranEarlierAttempt(rig.last(id).attempt);
  assert.deepEqual(
    [listed, once, said].map((id) => rig.last(id).attempt.number),
    [2, 1, 1],
    "who said accepted has got it",
  );
  assert.deepEqual(rig.sender.revoked, [`${listed} 1`]);
});

test("a job that may run once and has begun at a worker as an earlier attempt goes to that worker alone, and to no other", () => {
  const rig = new CoreRig();
  rig.answersLaterAttempts = true;
  rig.heartbeat("a", 4);
  rig.heartbeat("b", 4);
  const [answered, forgotten, gone] = [rig.submit(), rig.submit(), rig.submit()];
  for (const id of [answered, forgotten, gone]) {
    rig.dispatcher.runsAt(id, "", "a");
    rig.dispatcher.retries.ranEarlierAttempt(rig.last(id).attempt);
    const { attempt, worker } = rig.last(id);
    assert.deepEqual([attempt.number, attempt.joins, worker], [2, true, "a"]);
  }
  rig.result(answered, "a");
  assert.equal(rig.outcome(answered), "ok");
  rig.dispatcher.replied(rig.last(forgotten).attempt, { kind: "busy", worker: "a", free: 4 }, new Uint8Array());
  assert.equal(rig.outcome(forgotten), "worker_lost", "its result is not kept any more");
  rig.dispatcher.workerLost("a", "went silent");
  rig.advance(60_000);
  assert.notEqual(rig.outcome(gone), undefined);
  for (const id of [forgotten, gone]) assert.equal(rig.last(id).worker, "a", "no other worker got it");
});
