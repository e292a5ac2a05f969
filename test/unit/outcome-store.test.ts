import assert from "node:assert/strict";
import { test } from "node:test";
import { JobResult, type Outcome } from "../../mesh/job/job.js";
import { OUTCOME_KEEP_MS, OutcomeStore } from "../../services/manager/jobs/outcomes.js";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function done(id: string, size = 1): Outcome {
  return { ok: true, id, result: new JobResult(id, new Uint8Array(size), "w", 1, 0, 0) };
}

test("outcomes - are kept for a minute", () => {
  const store = new OutcomeStore();
  const outcome = done("a");
  store.keep(outcome, bytes("in"), 0);
  assert.equal(store.get("a", OUTCOME_KEEP_MS - 1), outcome);
  assert.equal(store.get("a", OUTCOME_KEEP_MS), undefined);
});

test("outcomes - a repeat has the same id and the same payload", () => {
  const store = new OutcomeStore();
  store.keep(done("a"), bytes("in"), 0);
  assert.equal(store.repeat("a", bytes("in"), 1)?.id, "a");
  assert.equal(store.repeat("a", bytes("other"), 1), undefined);
});

test("outcomes - are bounded in number and in bytes, oldest first", () => {
  const store = new OutcomeStore();
  for (let i = 0; i < 10_050; i += 1) store.keep(done(`n${i}`), bytes(""), 0);
  assert.equal(store.size, 10_000);
  assert.equal(store.get("n0", 0), undefined);
  for (let i = 0; i < 70; i += 1) store.keep(done(`b${i}`, 1024 * 1024), bytes(""), 0);
  assert.ok(store.size <= 64);
  assert.equal(store.get("b69", 0)?.id, "b69");
});
