import assert from "node:assert/strict";
import { test } from "node:test";
import { Guesses } from "../../../mesh/auth/guesses.js";

const HOUR_MS = 3_600_000;
let made = 0;

/** One more wrong token, unlike those before it. */
function guess(guesses: Guesses, source: string, nowMs: number): number {
  made += 1;
  return guesses.wrong(source, nowMs, String(made));
}

test("guesses - a few wrong tokens are free, then each costs twice the wait of the one before, up to 30 seconds", () => {
  const guesses = new Guesses();
  const waits = Array.from({ length: 10 }, () => {
    guess(guesses, "10.0.0.1", 0);
    return guesses.waitMs("10.0.0.1", 0);
  });
  assert.deepEqual(waits, [0, 0, 0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  assert.equal(guesses.waitMs("10.0.0.1", 30_000), 0, "the wait ends");
  assert.equal(guesses.waitMs("10.0.0.2", 0), 0, "another address does not wait");
});

test("guesses - in an hour an address makes no more than a hundred and thirty of them", () => {
  const guesses = new Guesses();
  let inAnHour = 0;
  for (let nowMs = 0; nowMs < HOUR_MS; nowMs += 10) {
    if (guesses.waitMs("::ffff:10.0.0.1", nowMs) > 0) continue;
    guess(guesses, "::ffff:10.0.0.1", nowMs);
    inAnHour += 1;
  }
  assert.ok(inAnHour <= 130, String(inAnHour));
});

test("guesses - ten quiet minutes clear an address", () => {
  const guesses = new Guesses();
  for (let i = 0; i < 8; i += 1) guess(guesses, "a", 0);
  assert.equal(guess(guesses, "a", 600_000), 9);
  assert.equal(guess(guesses, "a", 1_200_001), 1);
});

test("guesses - the addresses of one IPv6 network count as one", () => {
  const guesses = new Guesses();
  for (const source of ["2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2:ffff::", "2001:db8:1:2::9%eth0"]) {
    guess(guesses, source, 0);
  }
  assert.ok(guesses.waitMs("2001:db8:1:2::77", 0) > 0);
  assert.equal(guesses.waitMs("2001:db8:1:3::1", 0), 0);
  assert.equal(guesses.waitMs("::1", 0), 0);
});

test("guesses - what is remembered is bounded", () => {
  const guesses = new Guesses();
  for (let i = 0; i < 8; i += 1) guess(guesses, "first", 0);
  for (let i = 0; i < 10_000; i += 1) guess(guesses, `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, 1);
  assert.equal(guesses.waitMs("first", 1), 0);
});

test("guesses - the same wrong token again, by however many streams, is one guess", () => {
  const guesses = new Guesses();
  for (const token of ["mistyped", "revoked", "mistyped"]) {
    for (let stream = 0; stream < 5; stream += 1) guesses.wrong("a", 0, token);
  }
  assert.equal(guesses.waitMs("a", 0), 0);
  assert.equal(guess(guesses, "a", 0), 3);
  assert.equal(guess(guesses, "a", 0), 4);
  assert.equal(guesses.waitMs("a", 0), 1_000);
});
