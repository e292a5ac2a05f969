/** The first submissions of a sender, which nobody can tell the age of. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Runtime, systemRuntime } from "../../../mesh/link/runtime.js";
import { Newcomers } from "../../../services/manager/doors/newcomers.js";

/** Newcomers whose round trips and time the test ends; what is asked, taken or given up is a line. */
function rig() {
  const ends: ((arrived: boolean) => void)[] = [];
  const timers = new Map<object, () => void>();
  let nowMs = 0;
  const runtime: Runtime = {
    ...systemRuntime,
    now: () => nowMs,
    after: (_ms, work) => {
      const timer = {};
      timers.set(timer, work);
      return timer;
    },
    cancel: (timer) => void (timer && timers.delete(timer)),
  };
  const newcomers = new Newcomers({ runtime, flush: () => new Promise((end) => ends.push(end)) });
  const taken: string[] = [];
  const hold = (sender: string, job: string, attempt = 1, answersClock = false, bytes = 1): void =>
    newcomers.hold({
      pool: "p",
      job,
      reply: `${sender}.1.${job} ${attempt}`,
      nonce: "",
      attempt,
      cameAtMs: nowMs,
      bytes,
      measure: () => {},
      take: (wayMs) => void taken.push(`${job} ${attempt} taken${wayMs === 0 ? "" : ` at ${wayMs}`}`),
      refuse: (error) => void taken.push(`${job} ${attempt} ${error.reason}`),
      askClock: answersClock ? () => void taken.push(`${sender} is asked through ${job}`) : undefined,
      giveUp: () => void taken.push(`${job} ${attempt} given up`),
    });
  const end = async (): Promise<void> => {
    ends.shift()?.(true);
    await new Promise((resolve) => setImmediate(resolve));
  };
  const passes = (ms: number): void => {
    nowMs += ms;
    const due = [...timers.values()];
    timers.clear();
    for (const work of due) work();
  };
  return { newcomers, taken, hold, end, timers, passes };
}

test("newcomers - the first submissions of a sender are taken in their order, when a round trip has ended", async () => {
  const { newcomers, taken, hold, end } = rig();
  hold("a", "one");
  hold("b", "other");
  assert.deepEqual([newcomers.has("a.1.2"), newcomers.has("c.1.2")], [true, false]);
  hold("a", "two");
  assert.deepEqual(taken, []);
  await end();
  assert.deepEqual(taken, ["one 1 taken", "two 1 taken"]);
  assert.deepEqual(
    [newcomers.has("a.1.2"), newcomers.has("b.1.2")],
    [false, true],
    "each sender has its own round trip",
  );
});

test("newcomers - what its caller revoked or canceled meanwhile is never taken, in its own pool", async () => {
  const { newcomers, taken, hold, end } = rig();
  for (const job of ["revoked", "canceled", "kept"]) hold("a", job);
  hold("a", "revoked", 1_001);
  assert.equal(newcomers.revoke("p", "revoked", { upToAttempt: 1_000, nonce: undefined }), true);
  assert.equal(newcomers.revoke("p", "canceled", { upToAttempt: undefined, nonce: undefined }), true);
  assert.equal(newcomers.revoke("other", "kept", { upToAttempt: undefined, nonce: undefined }), false);
  await end();
  assert.deepEqual(taken, ["revoked 1 canceled", "canceled 1 canceled", "kept 1 taken", "revoked 1001 taken"]);
});

test("newcomers - a sender that answers is asked for its clock once, and its submissions are taken at its answer", () => {
  const { newcomers, taken, hold, timers } = rig();
  hold("a", "one", 1, true);
  hold("a", "two", 1, true);
  newcomers.measured("b.1.1", 0);
  assert.deepEqual(taken, ["a is asked through one"]);
  newcomers.measured("a.1.1", 0);
  assert.deepEqual(taken, ["a is asked through one", "one 1 taken", "two 1 taken"]);
  newcomers.measured("a.1.1", 0);
  assert.equal(timers.size, 0);
});

test("newcomers - a sender that should answer and does not is asked again, and after two seconds what it sent is given up, not taken", () => {
  const { newcomers, taken, hold, passes, timers } = rig();
  hold("a", "one", 1, true);
  passes(500);
  passes(500);
  hold("a", "two", 1, true);
  passes(500);
  assert.deepEqual(taken.splice(0), [
    "a is asked through one",
    "a is asked through one",
    "a is asked through one",
    "a is asked through two",
  ]);
  passes(500);
  assert.deepEqual(taken.splice(0), ["one 1 given up", "a is asked through two"]);
  assert.deepEqual([newcomers.has("a.1.1"), newcomers.size], [true, 1]);
  passes(500);
  passes(500);
  assert.deepEqual(taken, ["a is asked through two", "two 1 given up"]);
  assert.deepEqual([newcomers.has("a.1.1"), newcomers.size, timers.size], [false, 0, 0]);
});

test("newcomers - a sender that answers through a later submission is measured, and all are taken in the order in which they came", () => {
  const { newcomers, taken, hold, passes } = rig();
  for (const job of ["over", "live", "last"]) hold("a", job, 1, true);
  passes(500);
  newcomers.measured("a.1.1", 20);
  const asked = ["a is asked through over", "a is asked through live"];
  assert.deepEqual(taken, [...asked, "over 1 taken at 20", "live 1 taken at 20", "last 1 taken at 20"]);
});

test("newcomers - when the job through which its sender was asked is canceled, the sender is asked through another one", () => {
  const { newcomers, taken, hold, timers } = rig();
  const cancel = { upToAttempt: undefined, nonce: undefined };
  hold("a", "one", 1, true);
  hold("a", "two", 1, true);
  newcomers.revoke("p", "two", cancel);
  assert.deepEqual(taken.splice(0), ["a is asked through one", "two 1 canceled"]);
  newcomers.revoke("p", "one", cancel);
  hold("a", "three", 1, true);
  hold("a", "four", 1, true);
  assert.deepEqual(taken.splice(0), ["one 1 canceled", "a is asked through three"]);
  newcomers.revoke("p", "three", cancel);
  assert.deepEqual(taken.splice(0), ["three 1 canceled", "a is asked through four"]);
  newcomers.measured("a.1.1", 0);
  assert.deepEqual([taken, timers.size], [["four 1 taken"], 0]);
});

test("newcomers - when the connection breaks, what waits for its sender's clock is given up", async () => {
  const { newcomers, taken, hold, end, passes, timers } = rig();
  hold("a", "asked", 1, true);
  hold("b", "round trip");
  newcomers.onDisconnect();
  passes(500);
  newcomers.measured("a.1.1", 0);
  assert.deepEqual(
    [taken, newcomers.has("a.1.2"), timers.size],
    [["a is asked through asked", "asked 1 given up"], false, 0],
  );
  await end();
  assert.deepEqual(taken.slice(2), ["round trip 1 taken"]);
});

test("newcomers - a sender has half of the room that others leave; what finds none is given up, or taken when its sender is not asked", () => {
  const { newcomers, taken, hold } = rig();
  const MIB = 2 ** 20;
  hold("a", "large", 1, true, 128 * MIB);
  hold("a", "one byte", 1, true, 1);
  for (let i = 2; i <= 10_000; i += 1) hold("a", `small ${i}`, 1, true, 0);
  hold("a", "one more", 1, true, 0);
  assert.deepEqual(taken.splice(0), ["a is asked through large", "one byte 1 given up", "one more 1 given up"]);
  hold("b", "first", 1, true, 64 * MIB);
  hold("b", "second", 1, true, 1);
  hold("c", "third", 1, true, 64 * MIB);
  hold("d", "fourth", 1, true, 1);
  hold("e", "fifth", 1, false, 1);
  const asked = ["b is asked through first", "second 1 given up", "c is asked through third", "fourth 1 given up"];
  assert.deepEqual(taken.splice(0), [...asked, "fifth 1 taken"]);
  assert.equal(newcomers.revoke("p", "large", { upToAttempt: undefined, nonce: undefined }), true);
  for (const job of ["small 9998", "small 9999"])
    newcomers.revoke("p", job, { upToAttempt: undefined, nonce: undefined });
  hold("a", "fits", 1, true, 1);
  const canceled = ["large 1 canceled", "a is asked through small 2", "small 9998 1 canceled", "small 9999 1 canceled"];
  assert.deepEqual(taken.splice(0), canceled);
  assert.deepEqual([newcomers.holds("p", "fits"), newcomers.holds("p", "large")], [true, false]);
  for (const sender of ["a", "b", "c"]) newcomers.measured(`${sender}.1.1`, 0);
  assert.deepEqual([taken.length, newcomers.size, newcomers.holds("p", "fits")], [10_000, 0, false]);
});

test("newcomers - another copy of a submission is not held beside it, and another attempt is", () => {
  const { newcomers, taken, hold } = rig();
  for (const attempt of [1, 1, 1_001]) hold("a", "one", attempt, true);
  assert.equal(newcomers.size, 2);
  newcomers.measured("a.1.1", 0);
  assert.deepEqual(taken, ["a is asked through one", "one 1 taken", "one 1001 taken"]);
});

test("newcomers - the way is known by an answer, and not by a question for a job that is held", () => {
  const { newcomers, taken, hold, passes } = rig();
  hold("a", "answered", 1, true);
  hold("b", "asked for", 1, true);
  passes(500);
  const has = (job: string, pool = "p"): boolean => newcomers.has("b.1.1", { pool, job });
  assert.deepEqual([has("asked for"), has("answered"), has("asked for", "q")], [true, false, false]);
  newcomers.measured("a.1.1", 20);
  newcomers.measured("b.1.1", 0);
  assert.deepEqual(taken.slice(-2), ["answered 1 taken at 20", "asked for 1 taken"]);
});

test("newcomers - what is held is measured before any of it is taken: the quickest of them counts", () => {
  const { newcomers } = rig();
  const said: string[] = [];
  for (const job of ["slow", "quick"])
    newcomers.hold({
      ...{ pool: "p", job, nonce: "", attempt: 1, reply: `a.1.${job}`, cameAtMs: 0, bytes: 0 },
      measure: () => void said.push(`${job} measured`),
      take: () => void said.push(`${job} taken`),
      refuse: () => assert.fail(),
      giveUp: () => assert.fail(),
      askClock: () => {},
    });
  newcomers.measured("a.1.1", 0);
  assert.deepEqual(said, ["slow measured", "quick measured", "slow taken", "quick taken"]);
});

test("newcomers - when nobody hears an answer any more, all is given up", () => {
  const { newcomers, taken, hold, timers } = rig();
  hold("a", "one", 1, true);
  hold("a", "two", 1, true);
  hold("b", "other", 1, true);
  newcomers.stop();
  const asked = ["a is asked through one", "b is asked through other"];
  assert.deepEqual(taken, [...asked, "one 1 given up", "two 1 given up", "other 1 given up"]);
  assert.deepEqual([newcomers.size, timers.size], [0, 0]);
});
