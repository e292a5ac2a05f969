/** Ids that were canceled as a whole: what a manager remembers of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeRevocation,
  encodeRevocation,
  HeardCancels,
  meaningOf,
  type Revocation,
} from "../../../mesh/wire/cancel-messages.js";
import { HEADER } from "../../../mesh/wire/headers.js";
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

const ANY: Revocation = { upToAttempt: undefined, nonce: undefined };

test("cancels that are said again - one that was heard is known by where its sender waits, 10,000 of them; a first one is never one again", () => {
  const heard = new HeardCancels();
  const again: Revocation = { ...ANY, saidAgoMs: 250 };
  const hear = (id: string, reply: string | undefined, said: Revocation, answered: boolean): boolean | undefined => {
    let acted = false;
    const act = (): boolean => {
      acted = true;
      return answered;
    };
    const found = heard.answers(
      { subject: `pool.p.cancel.${id}`, ...(reply === undefined ? {} : { reply }) },
      said,
      act,
    );
    return acted ? undefined : found;
  };
  hear("a", "r1", ANY, true);
  hear("a", "r2", ANY, false);
  hear("a", "r3", { ...ANY, nonce: "n" }, true);
  // What it answers without acting on it.
  const before = (reply: string | undefined, said = again): boolean | undefined => hear("a", reply, said, true);
  assert.deepEqual(
    [before("r1"), before("r2"), before("r3"), before(undefined), before("r1", ANY)],
    [true, false, undefined, undefined, undefined],
  );
  assert.equal(hear("b", "r1", again, true), undefined);
  for (let i = 0; i < 10_000; i += 1) hear("c", `n${i}`, ANY, true);
  assert.equal(before("r1"), undefined);
});

test("cancels that are said again - what was there when it was said first is meant, and how long ago that is is read as it was written", () => {
  assert.deepEqual([meaningOf({ ...ANY, saidAgoMs: 250 }, 1_000), meaningOf(ANY, 1_000)], [{ beforeMs: 750 }, {}]);
  assert.equal(decodeRevocation(encodeRevocation({ ...ANY, saidAgoMs: 249.5 })).saidAgoMs, 250);
  const malformed = encodeRevocation(ANY);
  malformed.append(HEADER.saidAgoMs, "soon");
  assert.throws(() => decodeRevocation(malformed), { reason: "invalid_argument", field: HEADER.saidAgoMs });
});
