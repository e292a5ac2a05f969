import assert from "node:assert/strict";
import { test } from "node:test";
import { RepeatedLines } from "../../../mesh/process/repeated-lines.js";

test("what anybody can cause again and again is told at once, then rarely, with how often", () => {
  const lines = new RepeatedLines();
  assert.equal(lines.happened("a", 0), 1);
  for (let i = 1; i <= 1_000; i += 1) assert.equal(lines.happened("a", i), 0);
  assert.equal(lines.happened("b", 500), 1);
  assert.equal(lines.happened("a", 10_000), 1_001);
});

test("things that nobody has thought of take no more memory than a few hundred", () => {
  const lines = new RepeatedLines();
  let told = 0;
  for (let i = 0; i < 10_000; i += 1) if (lines.happened(`subject ${i}`, 0) > 0) told += 1;
  assert.ok(told <= 257, String(told));
});
