/** Submissions whose callers gave them up before they came. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RevokedSubmissions } from "../../../services/manager/doors/revoked-submissions.js";

const ALL = { upToAttempt: undefined };

test("revoked submissions - what was given up is known by pool, id, nonce and attempt", () => {
  const revoked = new RevokedSubmissions();
  revoked.add("p", "a", { ...ALL, nonce: "whole" });
  revoked.add("p", "a", { upToAttempt: 1_000, nonce: "moved" });
  const has = (nonce: string, attempt = 1, pool = "p", job = "a"): boolean =>
    revoked.has(pool, { job, nonce, attempt });
  assert.deepEqual([has("whole"), has("whole", 3_001), has("moved"), has("moved", 1_001)], [true, true, true, false]);
  assert.deepEqual([has("other"), has("whole", 1, "q"), has("whole", 1, "p", "b")], [false, false, false]);
  revoked.add("p", "a", { upToAttempt: 2_000, nonce: "moved" });
  revoked.add("p", "a", { upToAttempt: 1_000, nonce: "moved" });
  assert.equal(has("moved", 2_000), true, "an earlier word takes nothing back");
  revoked.add("p", "a", { upToAttempt: 1, nonce: "other" });
  assert.equal(has("other"), false, "an attempt of its manager's own is not the submission");
});

test("revoked submissions - a cancel of every job of an id is of what was there: a later submission is another one", () => {
  const revoked = new RevokedSubmissions();
  revoked.add("p", "a", { ...ALL, nonce: undefined });
  revoked.add("p", "a", { ...ALL, nonce: "" });
  assert.equal(revoked.has("p", { job: "a", nonce: "", attempt: 1 }), false);
  assert.equal(revoked.has("p", { job: "a", nonce: "n", attempt: 1 }), false);
});

test("revoked submissions - ten thousand are remembered, the oldest goes first", () => {
  const revoked = new RevokedSubmissions();
  for (let i = 0; i <= 10_000; i += 1) revoked.add("p", "a", { ...ALL, nonce: String(i) });
  const has = (nonce: string): boolean => revoked.has("p", { job: "a", nonce, attempt: 1 });
  assert.deepEqual([has("0"), has("1"), has("10000")], [false, true, true]);
});
