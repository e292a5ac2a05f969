/** What a client does when managers come and go, event by event, on a number for a clock. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PoolError } from "../../../mesh/errors.js";
import { FailoverRig } from "../../support/core/failover-rig.js";

test("failover - a submission that nobody listens to is repeated for two seconds and then ends as bus_unavailable", () => {
  const rig = new FailoverRig();
  const job = rig.submit("a");
  let repeats = 0;
  for (; rig.outcomes.size === 0 && repeats < 100; repeats += 1) {
    rig.failover.noManager(job, rig.nowMs);
    rig.pass(100);
  }
  assert.ok(repeats >= 20 && repeats <= 22, `${repeats} repeats`);
  const { reason, maybeExecuted, retryAfterMs } = rig.failure("a");
  assert.deepEqual(
    { reason, maybeExecuted, retryAfterMs },
    { reason: "bus_unavailable", maybeExecuted: false, retryAfterMs: 1_000 },
  );
});

test("failover - managers have two seconds to come back after an outage, however old a submission is", () => {
  const rig = new FailoverRig();
  const submission = rig.submit("a", { idempotent: true });
  rig.pass(6_000);
  rig.failover.reconnected(rig.nowMs);
  rig.pass(1_980);
  rig.failover.noManager(submission, rig.nowMs);
  assert.equal(rig.outcomes.size, 0);
  rig.pass(40);
  rig.failover.noManager(submission, rig.nowMs);
  assert.equal(rig.failure("a").reason, "bus_unavailable");
});

test("failover - a caller that does not want to wait hears at once that no manager is there", () => {
  const rig = new FailoverRig();
  rig.failover.noManager(rig.submit("a", { wait: false }), 5);
  assert.equal(rig.failure("a").reason, "bus_unavailable");
});

test("failover - who waits for a manager to take a job hears it once, however often managers say so", () => {
  const rig = new FailoverRig();
  const job = rig.submit("a", { idempotent: true });
  let heard = 0;
  job.onTaken = () => {
    heard += 1;
  };
  assert.equal(heard, 0);
  for (const manager of ["m1", "m1", "m2"]) rig.failover.taken(job, manager);
  rig.failover.managerGone("m1", rig.nowMs);
  rig.failover.taken(job, "m2");
  assert.equal(heard, 1);
  const late = rig.submit("b");
  late.onTaken = () => assert.fail("it has ended");
  rig.end(late);
  rig.failover.taken(late, "m1");
});

test("failover - a manager is watched from the first job that it takes to the last that it has", () => {
  const rig = new FailoverRig();
  const [a, b] = [rig.submit("a"), rig.submit("b")];
  for (const job of [a, b, a]) rig.failover.taken(job, "m1");
  assert.deepEqual([...rig.watched], ["m1"]);
  rig.end(a);
  assert.deepEqual([...rig.watched], ["m1"]);
  rig.end(b);
  assert.deepEqual([...rig.watched], []);
});

test("failover - when the manager of a job is gone, a job that may run again goes to another one with new attempts, others end", () => {
  const rig = new FailoverRig();
  rig.failover.taken(rig.submit("again", { idempotent: true }), "m1");
  rig.failover.taken(rig.submit("once"), "m1");
  rig.failover.taken(rig.submit("elsewhere"), "m2");
  rig.failover.managerGone("m1", rig.nowMs);
  assert.deepEqual(rig.log.slice(-2), ["revoke again to 1000", "give again again"]);
  const { reason, maybeExecuted, retryable } = rig.failure("once");
  assert.deepEqual(
    { reason, maybeExecuted, retryable },
    { reason: "bus_unavailable", maybeExecuted: true, retryable: false },
  );
  assert.equal(rig.outcomes.size, 1);
});

test("failover - a manager that was started again, and one that is silent after it was asked, is asked for the job", () => {
  const rig = new FailoverRig();
  rig.failover.taken(rig.submit("a"), "m1");
  assert.deepEqual(rig.pass(1_980), [], "a job that was taken is at peace");
  rig.failover.managerRestarted("m1", rig.nowMs);
  assert.equal(rig.log.at(-1), "ask m1 for a");
  assert.deepEqual(rig.pass(1_020), ["ask m1 for a", "ask m1 for a"]);
});

test("failover - a job that its manager has forgotten is submitted again only when it may run again", () => {
  const rig = new FailoverRig();
  const [again, once] = [rig.submit("again", { idempotent: true }), rig.submit("once")];
  for (const job of [again, once]) rig.failover.taken(job, "m1");
  for (const job of [again, once]) rig.failover.forgotten(job, "m1", rig.nowMs);
  assert.deepEqual([again.state, once.state], ["asking", "ended"]);
  assert.equal(rig.failure("once").maybeExecuted, true);
});

test("failover - a manager that says nothing to a new job for 2.5 seconds has stalled: the job goes to one that is awake", () => {
  const rig = new FailoverRig();
  rig.submit("a");
  assert.deepEqual(rig.pass(1_480), []);
  assert.deepEqual(rig.pass(1_000), ["call roll", "call roll"]);
  assert.deepEqual(rig.pass(520), ["revoke a to 1000", "give a again"]);
});

test("failover - a manager has stalled when its silence is confirmed by a round trip that began after its word was due", () => {
  const rig = new FailoverRig();
  rig.submit("a");
  rig.arrivedMs = 2_100;
  rig.pass(5_000);
  assert.deepEqual(
    rig.log.filter((line) => /again/.test(line)),
    [],
    "its word may be on a slow way to this client",
  );
  rig.arrivedMs = 2_101;
  rig.pass(600);
  assert.deepEqual(
    rig.log.filter((line) => /again/.test(line)),
    ["give a again"],
  );
});

test("failover - what is past its deadline is given to no other manager, and to none once more", () => {
  const rig = new FailoverRig();
  rig.submit("silent", { timeoutMs: 2_450 });
  rig.submit("again", { timeoutMs: 2_450, idempotent: true });
  rig.pass(2_420);
  rig.connected = false;
  rig.submit("unsent", { timeoutMs: 60 });
  rig.pass(80);
  rig.connected = true;
  rig.failover.reconnected(rig.nowMs);
  const log = rig.pass(1_000);
  assert.deepEqual(
    [...log, ...rig.log].filter((line) => /^(give|revoke) .* (again|to)/.test(line)),
    [],
  );
  for (const id of ["silent", "again", "unsent"]) assert.equal(rig.failure(id).reason, "deadline_exceeded");
});

test("failover - while a job has not reached the broker no manager is taken for stalled, and nothing is given again", () => {
  const rig = new FailoverRig();
  rig.arrivedMs = 0;
  rig.submit("a");
  rig.pass(10_000);
  assert.equal(rig.log.filter((line) => line !== "call roll").join(), "give a");
  rig.arrivedMs = Number.POSITIVE_INFINITY;
  assert.deepEqual(rig.pass(520), ["revoke a to 1000", "give a again"]);
});

test("failover - after a reconnect every manager is asked, what never left is sent, and doubt ends when no manager can be on its way any more", () => {
  const rig = new FailoverRig();
  const taken = rig.submit("taken");
  rig.failover.taken(taken, "m1");
  rig.submit("doubtful");
  rig.submit("repeatable", { idempotent: true });
  rig.connected = false;
  rig.failover.disconnected();
  rig.submit("unsent");
  rig.connected = true;
  rig.log.length = 0;
  rig.failover.reconnected(rig.nowMs);
  assert.deepEqual(rig.log.sort(), [
    "ask all for doubtful",
    "ask m1 for taken",
    "give repeatable again",
    "give unsent",
    "revoke repeatable to 1000",
  ]);
  rig.pass(4_980);
  assert.equal(rig.outcomes.size, 0);
  rig.pass(40);
  const { reason, maybeExecuted } = rig.failure("doubtful");
  assert.deepEqual([reason, maybeExecuted, rig.outcomes.size], ["bus_unavailable", true, 1]);
});

test("failover - after an outage every manager is asked who has a job whose manager is not known, until one says so", () => {
  const rig = new FailoverRig();
  const job = rig.submit("a");
  rig.failover.disconnected();
  rig.log.length = 0;
  rig.failover.reconnected(rig.nowMs);
  assert.deepEqual(rig.log, ["ask all for a"]);
  // a manager that does not have it, and one that serves other pools only
  rig.failover.forgotten(job, "m1", rig.nowMs);
  rig.failover.noManager(job, rig.nowMs);
  assert.equal(job.state, "doubtful");
  assert.deepEqual(rig.pass(600), ["ask all for a"], "another manager may be back later");
  rig.failover.taken(job, "m2");
  assert.deepEqual(rig.pass(1_000), []);
  assert.deepEqual([job.state, job.manager, rig.outcomes.size], ["taken", "m2", 0]);
});

test("failover - a manager that does not know a job decides nothing while another one has it, or none has said so", () => {
  const rig = new FailoverRig();
  const [asking, taken] = [rig.submit("asking"), rig.submit("taken")];
  rig.failover.taken(taken, "m2");
  for (const job of [asking, taken]) rig.failover.forgotten(job, "m1", rig.nowMs);
  assert.deepEqual([asking.state, taken.state, rig.outcomes.size], ["asking", "taken", 0]);
  rig.failover.forgotten(taken, undefined, rig.nowMs);
  assert.equal(taken.state, "ended", "an answer that names no manager is that of the one that has it");
});

test("failover - a manager is asked for a job that it has, seldom and ever more seldom: its outcome may be lost on the way", () => {
  const rig = new FailoverRig();
  rig.failover.taken(rig.submit("a", { timeoutMs: 600_000 }), "m1");
  const askedAtMs: number[] = [];
  while (rig.nowMs < 130_000) {
    const said = rig.pass(500);
    assert.ok(said.every((each) => each === "ask m1 for a"));
    if (said.length > 0) askedAtMs.push(rig.nowMs);
  }
  assert.deepEqual(askedAtMs, [2_000, 4_000, 8_000, 16_000, 32_000, 62_000, 92_000, 122_000]);
  assert.equal(rig.outcomes.size, 0);
});

test("failover - however many jobs managers have, they are asked for few at once, and for each in its turn", () => {
  const rig = new FailoverRig();
  for (let i = 0; i < 1_000; i += 1) rig.failover.taken(rig.submit(`j${i}`, { timeoutMs: 600_000 }), "m1");
  let most = 0;
  while (rig.nowMs < 16_000) most = Math.max(most, rig.pass(500).length);
  assert.ok(most <= 64, `${most} at once`);
  assert.equal(new Set(rig.log.filter((line) => line.startsWith("ask"))).size, 1_000);
});

test("failover - a manager's word ends the doubt of an outage", () => {
  const rig = new FailoverRig();
  const job = rig.submit("a");
  rig.failover.disconnected();
  rig.failover.reconnected(rig.nowMs);
  assert.equal(job.state, "doubtful");
  rig.failover.taken(job, "m1");
  rig.pass(10_000);
  assert.deepEqual([job.state, rig.outcomes.size], ["taken", 0]);
});

test("failover - what the bus held during a handover is not in doubt: it left afterwards, or it never left", () => {
  for (const end of ["reconnected", "outage"]) {
    const rig = new FailoverRig();
    rig.submit("before");
    rig.nowMs += 10;
    rig.failover.handoverBegins(rig.nowMs);
    assert.equal(rig.failover.isOwedAnswers, true, "the answer to what left before is due");
    const held = rig.submit("held");
    if (end === "outage") rig.failover.disconnected();
    rig.failover.reconnected(rig.nowMs);
    assert.equal(held.state, "asking", end);
    rig.pass(5_040);
    assert.deepEqual([...rig.outcomes.keys()], ["before"], end);
  }
});

test("failover - a job that no manager took ends at its deadline and a little, and may have run only if it left", () => {
  const rig = new FailoverRig();
  rig.submit("left", { timeoutMs: 500 });
  rig.connected = false;
  rig.submit("unsent", { timeoutMs: 500 });
  rig.pass(740);
  assert.equal(rig.outcomes.size, 0);
  rig.pass(40);
  assert.deepEqual([rig.failure("left").maybeExecuted, rig.failure("unsent").maybeExecuted], [true, false]);
  assert.ok(rig.log.includes("abandon left"), "what expires at its client is not started any more");
});

test("failover - something that is no manager decides nothing, and is named when no manager answers", () => {
  const rig = new FailoverRig();
  const [hidden, served] = [rig.submit("hidden"), rig.submit("served")];
  rig.failover.strangerAnswered(hidden, "AUDIT");
  rig.failover.strangerAnswered(served, "AUDIT");
  rig.failover.taken(served, "m1");
  assert.equal(rig.outcomes.size, 0);
  rig.pass(2_600);
  const { reason, message } = rig.failure("hidden");
  assert.equal(reason, "bus_unavailable");
  assert.match(message, /the stream AUDIT answers/);
  assert.equal(rig.outcomes.size, 1);
});

test("failover - a payload that the broker does not take any more ends its job and no other", () => {
  const rig = new FailoverRig();
  rig.refusal = new PoolError("payload_too_large", "too large");
  rig.submit("large");
  rig.refusal = undefined;
  rig.submit("small");
  assert.deepEqual([...rig.outcomes.keys()], ["large"]);
});

test("failover - what a manager says that it did not take is given again, as another attempt, ever more seldom, and has not run", () => {
  const rig = new FailoverRig();
  const job = rig.submit("j");
  const waits: number[] = [];
  for (let i = 0; i < 6; i += 1) {
    rig.failover.notTaken(job, rig.nowMs);
    const fromMs = rig.nowMs;
    while (job.state === "unsent") rig.pass(20);
    waits.push(rig.nowMs - fromMs);
  }
  assert.deepEqual(waits, [100, 200, 400, 800, 1_600, 2_000]);
  assert.equal(rig.log.filter((line) => line === "give j again").length, 6);
  assert.ok(rig.log.includes("revoke j to 6000"));
  rig.failover.notTaken(job, rig.nowMs);
  rig.pass(40_000);
  assert.equal(rig.failure("j").maybeExecuted, true, "at its deadline a manager had it");
  const waiting = rig.submit("waiting", { timeoutMs: 300 });
  for (const at of [0, 100]) {
    rig.pass(at);
    rig.failover.notTaken(waiting, rig.nowMs);
  }
  rig.connected = false;
  rig.pass(600);
  assert.equal(rig.failure("waiting").maybeExecuted, false, "nobody had it");
});

test("failover - after an outage, who says that it did not take a job ends the doubt; of a job that a manager has it says nothing", () => {
  const rig = new FailoverRig();
  const [doubtful, taken] = [rig.submit("doubtful"), rig.submit("taken")];
  rig.failover.taken(taken, "m1");
  rig.failover.disconnected();
  rig.failover.reconnected(rig.nowMs);
  assert.equal(doubtful.state, "doubtful");
  for (const each of [doubtful, taken]) rig.failover.notTaken(each, rig.nowMs);
  assert.deepEqual([doubtful.state, taken.state], ["unsent", "asked-again"]);
  rig.pass(100);
  assert.ok(rig.log.includes("give doubtful again"));
  for (const each of [doubtful, taken]) rig.end(each);
  rig.failover.notTaken(doubtful, rig.nowMs);
  assert.equal(rig.outcomes.size, 2);
});

test("failover - a job that no manager takes ends as bus_unavailable when its attempts have no more numbers", () => {
  const rig = new FailoverRig();
  const job = rig.submit("j", { timeoutMs: 10_000_000 });
  for (let i = 0; i <= 999; i += 1) {
    rig.failover.notTaken(job, rig.nowMs);
    while (job.state === "unsent") rig.pass(20);
  }
  const { reason, maybeExecuted } = rig.failure("j");
  assert.deepEqual([reason, maybeExecuted], ["bus_unavailable", false]);
});
