/** Which finished results a worker keeps, and for how long. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PoolError } from "../../../mesh/errors.js";
import {
  CONFIRMED_TTL_MS,
  FINISHED_TTL_MS,
  KEPT_BYTES_LIMIT,
  KEPT_LIMIT,
  Results,
  UNCONFIRMED_TTL_MS,
} from "../../../services/worker/jobs/results.js";

const result = (bytes = 1) => ({ ok: true as const, payload: new Uint8Array(bytes) });
const to = (id: string, attempt = 1) => ({ id, nonce: "", attempt, reply: "_INBOX.x" });
const ids = (results: Results, nowMs: number): string[] => results.allUnconfirmed(nowMs).map((each) => each.id);

describe("kept results", () => {
  test("what a flush confirmed is not sent again, what came after its start is", () => {
    const results = new Results();
    results.keep(to("a"), result(), 0);
    const atFlush = results.seq;
    results.keep(to("b"), result(), 1);
    results.confirm(atFlush, 2);
    assert.deepEqual([ids(results, 3), results.unconfirmed], [["b"], 1]);
  });

  test("a confirmed result can be asked for a while longer", () => {
    const results = new Results();
    results.keep(to("a"), result(), 0);
    results.confirm(results.seq, 5);
    assert.equal(results.findJobs(new Set(["a"]), 5 + CONFIRMED_TTL_MS).length, 1);
    assert.equal(results.findJobs(new Set(["a"]), 6 + CONFIRMED_TTL_MS).length, 0);
  });

  test("an unconfirmed one is given up after its time, and its name is remembered no longer than its own", () => {
    const results = new Results();
    results.keep(to("a"), { ok: false, error: new PoolError("job_failed", "no") }, 0);
    assert.deepEqual([ids(results, UNCONFIRMED_TTL_MS), ids(results, UNCONFIRMED_TTL_MS + 1)], [["a"], []]);
    assert.equal(results.hasFinished(to("a", 1), FINISHED_TTL_MS), true);
    assert.equal(results.hasFinished(to("a", 1), FINISHED_TTL_MS + 1), false);
  });

  test("an id that is used again is another job: its results are kept by the nonce of the submission", () => {
    const results = new Results();
    results.keep({ ...to("a"), nonce: "n1" }, result(1), 0);
    assert.equal(results.hasFinished({ ...to("a"), nonce: "n2" }, 0), false);
    assert.equal(results.hasFinished(to("a"), 0), false);
    assert.deepEqual(
      results.findJobs(new Set(["a n1", "a"]), 0).map(({ nonce }) => nonce),
      ["n1"],
    );
  });

  test("attempts of one job are kept apart", () => {
    const results = new Results();
    results.keep(to("a", 1), result(1), 0);
    results.keep(to("a", 2), result(2), 0);
    assert.equal(results.find(to("a", 2), 0)?.outcome.ok, true);
    assert.deepEqual([results.hasFinished(to("a", 3), 0), results.findJobs(new Set(["a"]), 0).length], [false, 2]);
  });

  test("a result that is kept again for somebody else is published again to both", () => {
    const results = new Results();
    results.keep(to("a"), result(), 0);
    results.keep({ ...to("a"), reply: "_INBOX.y" }, result(), 1);
    assert.deepEqual([results.find(to("a", 1), 1)?.reply, ids(results, 1)], ["_INBOX.y", ["a", "a"]]);
  });

  test("a small result does not hold the large buffer that it is part of", () => {
    const results = new Results();
    const message = new Uint8Array(2 ** 20);
    results.keep(to("a"), { ok: true, payload: message.subarray(0, 10) }, 0);
    const outcome = results.find(to("a", 1), 0)?.outcome;
    assert.equal(outcome?.ok && outcome.payload.buffer.byteLength, 10);
  });

  test("number and bytes are bounded, the oldest go first, and the bytes are counted right", () => {
    const many = new Results();
    for (let i = 0; i < KEPT_LIMIT + 10; i += 1) many.keep(to(`j${i}`), result(), 0);
    assert.deepEqual([ids(many, 0).length, ids(many, 0)[0], many.bytes], [KEPT_LIMIT, "j10", KEPT_LIMIT]);
    const large = new Results();
    const quarter = KEPT_BYTES_LIMIT / 4;
    for (let i = 0; i < 6; i += 1) large.keep(to(`j${i}`), result(quarter), 0);
    assert.deepEqual([ids(large, 0), large.bytes], [["j2", "j3", "j4", "j5"], KEPT_BYTES_LIMIT]);
  });
});
