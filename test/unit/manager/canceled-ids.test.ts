/** Ids that were canceled as a whole: what a manager remembers of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeRevocation, encodeRevocation } from "../../../mesh/wire/headers.js";
import { CanceledIds } from "../../../services/manager/pool/canceled-ids.js";

test("canceled ids - one is told once, for 15 s, and 10,000 are remembered", () => {
  const ids = new CanceledIds();
  ids.add("a", 0);
  assert.deepEqual([ids.take("b", 0), ids.take("a", 15_000), ids.take("a", 15_000)], [false, true, false]);
  ids.add("a", 0);
  assert.equal(ids.take("a", 15_001), false);
  for (let i = 0; i <= 10_000; i += 1) ids.add(`n${i}`, 0);
  assert.deepEqual([ids.take("n0", 0), ids.take("n1", 0)], [false, true]);
});

test("canceled ids - the word that takes a cancel back is read as it was written, and means no attempt", () => {
  const said = decodeRevocation(encodeRevocation({ upToAttempt: 0, nonce: undefined }));
  assert.deepEqual(said, { upToAttempt: 0, nonce: undefined });
});
