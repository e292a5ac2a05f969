import assert from "node:assert/strict";
import { test } from "node:test";
import { Guesses } from "../../../mesh/auth/guesses.js";

const HOUR_MS = 3_600_000;

test("guesses - a few wrong tokens are free, then each costs twice the wait of the one before, up to 30 seconds", () => {
  const guesses = new Guesses();
  const waits = Array.from({ length: 10 }, () => {
    guesses.wrong("10.0.0.1", 0);
    return guesses.waitMs("10.0.0.1", 0);
  });
  assert.deepEqual(waits, [0, 0, 0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  assert.equal(guesses.waitMs("10.0.0.1", 30_000), 0, "the wait ends");
  assert.equal(guesses.waitMs("10.0.0.2", 0), 0, "another address does not wait");
});

test("guesses - in an hour an address makes no more than a hundred and thirty of them", () => {
  const guesses = new Guesses();
  let made = 0;
  for (let nowMs = 0; nowMs < HOUR_MS; nowMs += 10) {
    if (guesses.waitMs("::ffff:10.0.0.1", nowMs) > 0) continue;
    guesses.wrong("::ffff:10.0.0.1", nowMs);
    made += 1;
  }
  assert.ok(made <= 130, String(made));
});

test("guesses - ten quiet minutes clear an address", () => {
  const guesses = new Guesses();
  for (let i = 0; i < 8; i += 1) guesses.wrong("a", 0);
  assert.equal(guesses.wrong("a", 600_000), 9);
  assert.equal(guesses.wrong("a", 1_200_001), 1);
});

test("guesses - the addresses of one IPv6 network count as one", () => {
  const guesses = new Guesses();
  for (const source of ["2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2:ffff::", "2001:db8:1:2::9%eth0"]) {
    guesses.wrong(source, 0);
  }
  assert.ok(guesses.waitMs("2001:db8:1:2::77", 0) > 0);
  assert.equal(guesses.waitMs("2001:db8:1:3::1", 0), 0);
  assert.equal(guesses.waitMs("::1", 0), 0);
});

test("guesses - what is remembered is bounded", () => {
  const guesses = new Guesses();
  for (let i = 0; i < 8; i += 1) guesses.wrong("first", 0);
  for (let i = 0; i < 10_000; i += 1) guesses.wrong(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, 1);
  assert.equal(guesses.waitMs("first", 1), 0);
});
