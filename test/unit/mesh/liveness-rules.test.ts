import assert from "node:assert/strict";
import { test } from "node:test";
import { intervalMs, isNewer, lostAfterMs } from "../../../mesh/wire/liveness-rules.js";

test("liveness - a sender is lost after three of its own intervals, which have bounds", () => {
  const cases: [saidMs: number, intervalMs: number][] = [
    [0, 1_000],
    [1, 100],
    [250, 250],
    [1_000, 1_000],
    [60_000, 60_000],
    [4_294_967_295, 60_000],
  ];
  for (const [saidMs, wanted] of cases) {
    assert.equal(intervalMs(saidMs), wanted);
    assert.equal(lostAfterMs(saidMs), 3 * wanted);
  }
});

test("liveness - a later process is newer whatever its numbers, and within a process the number decides", () => {
  const known = { incarnation: 5n, seq: 10n };
  assert.ok(isNewer({ incarnation: 6n, seq: 1n }, known));
  assert.ok(isNewer({ incarnation: 5n, seq: 11n }, known));
  for (const old of [known, { incarnation: 5n, seq: 9n }, { incarnation: 4n, seq: 99n }]) {
    assert.ok(!isNewer(old, known));
  }
});
