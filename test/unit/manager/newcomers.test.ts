/** The first submissions of a sender, which nobody can tell the age of. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Runtime, systemRuntime } from "../../../mesh/link/runtime.js";
import { Newcomers } from "../../../services/manager/doors/newcomers.js";

/** Newcomers whose round trips and time the test ends; what is asked or taken is a line. */
function rig() {
  const ends: ((arrived: boolean) => void)[] = [];
  const timers = new Map<object, () => void>();
  const runtime: Runtime = {
    ...systemRuntime,
    after: (_ms, work) => {
      const timer = {};
      timers.set(timer, work);
      return timer;
    },
    cancel: (timer) => void (timer && timers.delete(timer)),
  };
  const newcomers = new Newcomers({ runtime, flush: () => new Promise((end) => ends.push(end)) });
  const taken: string[] = [];
  const hold = (sender: string, job: string, attempt = 1, answersClock = false): void =>
    newcomers.hold(`${sender}.1.1`, {
      pool: "p",
      job,
      nonce: "",
      attempt,
      take: (refusal) => void taken.push(`${job} ${attempt} ${refusal?.reason ?? "taken"}`),
      askClock: answersClock ? () => void taken.push(`${sender} is asked`) : undefined,
    });
  const end = async (): Promise<void> => {
    ends.shift()?.(true);
    await new Promise((resolve) => setImmediate(resolve));
  };
  const timeIsOver = (): void => {
    for (const work of timers.values()) work();
  };
  return { newcomers, taken, hold, end, timers, timeIsOver };
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
  assert.equal(newcomers.measured("b.1.1", "one"), false, "the answer of another sender");
  assert.deepEqual(taken, ["a is asked"]);
  assert.equal(newcomers.measured("a.1.1", "one"), true);
  assert.deepEqual(taken, ["a is asked", "one 1 taken", "two 1 taken"]);
  assert.equal(newcomers.measured("a.1.1", "one"), false, "nothing is held any more");
  assert.equal(timers.size, 0);
});

test("newcomers - a sender that should answer and does not is waited for half a second at most", () => {
  const { newcomers, taken, hold, timeIsOver } = rig();
  hold("a", "one", 1, true);
  timeIsOver();
  assert.deepEqual(taken, ["a is asked", "one 1 taken"]);
  assert.equal(newcomers.has("a.1.1"), false);
});

test("newcomers - when the job through which its sender was asked is canceled, the sender is asked through another one", () => {
  const { newcomers, taken, hold, timers } = rig();
  const cancel = { upToAttempt: undefined, nonce: undefined };
  hold("a", "one", 1, true);
  hold("a", "two", 1, true);
  newcomers.revoke("p", "two", cancel);
  assert.deepEqual(taken.splice(0), ["a is asked", "two 1 canceled"]);
  newcomers.revoke("p", "one", cancel);
  hold("a", "three", 1, true);
  hold("a", "four", 1, true);
  assert.deepEqual(taken.splice(0), ["one 1 canceled", "a is asked"]);
  newcomers.revoke("p", "three", cancel);
  assert.deepEqual(taken.splice(0), ["three 1 canceled", "a is asked"]);
  newcomers.measured("a.1.1", "four");
  assert.deepEqual([taken, timers.size], [["four 1 taken"], 0]);
});

test("newcomers - when the connection breaks, what waits for its sender's clock is not taken: the sender goes to another manager", async () => {
  const { newcomers, taken, hold, end, timeIsOver, timers } = rig();
  hold("a", "asked", 1, true);
  hold("b", "round trip");
  newcomers.onDisconnect();
  timeIsOver();
  assert.equal(newcomers.measured("a.1.1", "asked"), false);
  assert.deepEqual([taken, newcomers.has("a.1.2"), timers.size], [["a is asked"], false, 0]);
  await end();
  assert.deepEqual(taken, ["a is asked", "round trip 1 taken"]);
});
