/** The first submissions of a sender, which nobody can tell the age of. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Newcomers } from "../../../services/manager/doors/newcomers.js";

/** Newcomers whose round trips the test ends, in their order; what is taken is a line. */
function rig() {
  const ends: ((arrived: boolean) => void)[] = [];
  const newcomers = new Newcomers({ flush: () => new Promise((end) => ends.push(end)) });
  const taken: string[] = [];
  const hold = (sender: string, job: string, attempt = 1): void =>
    newcomers.hold(`${sender}.1.1`, {
      pool: "p",
      job,
      nonce: "",
      attempt,
      take: (refusal) => void taken.push(`${job} ${attempt} ${refusal?.reason ?? "taken"}`),
    });
  const end = async (): Promise<void> => {
    ends.shift()?.(true);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { newcomers, taken, hold, end };
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
