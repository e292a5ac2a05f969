import assert from "node:assert/strict";
import { test } from "node:test";
import { JobResult, type Outcome } from "../../../mesh/job/job.js";
import { type KeptSpec, OUTCOME_KEEP_MS, OutcomeStore } from "../../../services/manager/jobs/kept-outcomes.js";

function spec(text: string, more: Partial<KeptSpec> = {}): KeptSpec {
  return {
    payload: new TextEncoder().encode(text),
    nonce: "",
    idempotent: false,
    priority: "normal",
    client: "",
    ...more,
  };
}

function done(id: string, size = 1): Outcome {
  return { ok: true, id, result: new JobResult(id, new Uint8Array(size), "w", 1, 0, 0) };
}

test("outcomes - are kept for a minute", () => {
  const store = new OutcomeStore();
  const outcome = done("a");
  store.keep(outcome, spec("in"), 0);
  assert.equal(store.get("a", OUTCOME_KEEP_MS - 1), outcome);
  assert.equal(store.get("a", OUTCOME_KEEP_MS), undefined);
});

test("outcomes - a repeat has the same id, payload and options; an id that is used again for another job never hears it", () => {
  const store = new OutcomeStore();
  store.keep(done("a"), spec("in"), 0);
  assert.equal(store.repeat({ id: "a", ...spec("in", { nonce: "n2" }) }, 1)?.id, "a");
  assert.equal(store.repeat({ id: "a", ...spec("other") }, 1), undefined);
  for (const other of [{ idempotent: true }, { priority: "high" as const }, { client: "c" }]) {
    assert.equal(store.repeat({ id: "a", ...spec("in", other) }, 1), undefined);
  }
});

test("outcomes - a submission that is asked for by its nonce hears its own outcome, also when others share it, and no other's", () => {
  const store = new OutcomeStore();
  const shared = done("a");
  store.keep(shared, spec("in", { nonce: "n1" }), 0);
  store.keep(shared, spec("in", { nonce: "n2" }), 0);
  assert.deepEqual(
    ["n1", "n2", "n3", undefined].map((nonce) => store.of("a", nonce, 1)),
    [shared, shared, undefined, shared],
  );
});

test("outcomes - who missed the outcome of an earlier job of an id hears it after a later one has ended, and nobody else does", () => {
  const store = new OutcomeStore();
  const [first, second] = [done("a"), done("a")];
  store.keep(first, spec("in", { nonce: "n1" }), 0);
  store.keep(second, spec("other", { nonce: "n2" }), 1);
  assert.deepEqual(
    ["n1", "n2", "n3", undefined].map((nonce) => store.of("a", nonce, 1)),
    [first, second, undefined, second],
  );
  assert.deepEqual([store.get("a", 1), store.repeat({ id: "a", ...spec("in") }, 1)], [second, undefined]);
  assert.equal(
    store.repeat({ id: "a", ...spec("in", { nonce: "n1" }) }, 1),
    first,
    "a copy that comes late runs nothing",
  );
  assert.equal(store.of("a", "n1", OUTCOME_KEEP_MS), undefined, "it is kept as long as it would be");
  assert.equal(store.of("a", "n2", OUTCOME_KEEP_MS), second);
  assert.equal(store.size, 1);
  for (let i = 0; i < 10_050; i += 1) store.keep(done("a"), spec("", { nonce: `m${i}` }), 2);
  assert.equal(store.size, 10_000);
  assert.deepEqual(
    ["m49", "m50", "m10049"].map((nonce) => store.of("a", nonce, 2)?.id),
    [undefined, "a", "a"],
  );
  store.keep(done("b"), spec("in"), 2);
  store.keep(done("b"), spec("in"), 2);
  assert.equal(store.size, 10_000, "a submission without a nonce asks for the last one only");
});

test("outcomes - are bounded in number and in bytes, oldest first", () => {
  const store = new OutcomeStore();
  for (let i = 0; i < 10_050; i += 1) store.keep(done(`n${i}`), spec(""), 0);
  assert.equal(store.size, 10_000);
  assert.equal(store.get("n0", 0), undefined);
  for (let i = 0; i < 70; i += 1) store.keep(done(`b${i}`, 1024 * 1024), spec(""), 0);
  assert.ok(store.size <= 64);
  assert.equal(store.get("b69", 0)?.id, "b69");
});
