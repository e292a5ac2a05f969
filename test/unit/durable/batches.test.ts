/** What is kept of a batch, and how it changes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkBatchId,
  checkCompletion,
  completionId,
  decodePlace,
  encodePlace,
  memberId,
} from "../../../mesh/durable/batches/batch-place.js";
import {
  type BatchRecord,
  batchLimit,
  checkContext,
  checkTotal,
  completed,
  countedJobs,
  decodeBatch,
  encodeBatch,
  MAX_FAILURES,
  type Mark,
  markOf,
  newBatch,
  sealed,
  summaryOf,
  withMarks,
} from "../../../mesh/durable/batches/batch-record.js";
import { readStatus, toStatus } from "../../../mesh/durable/batches/batch-status.js";
import { endAt, endOfMarks, type MemberEnd } from "../../../mesh/durable/batches/marks.js";
import { decodeDurableJob, durableDefaults, encodeDurableJob } from "../../../mesh/durable/job.js";
import { PoolError } from "../../../mesh/errors.js";
import { JobResult } from "../../../mesh/job/job.js";
import { seededRandom } from "../../support/random.js";

const completion = { pool: "mail", id: "b-completed" };
const opened: BatchRecord = newBatch({ id: "b", client: "ops", completion, context: '{"a":1}', openedAt: 1_000 });
const mark = (index: number, end: MemberEnd = "succeeded"): Mark => ({
  index,
  id: `b-${index}`,
  reason: end === "succeeded" ? "" : end === "canceled" ? "canceled" : "job_failed",
  end,
});
const reasonOf = (work: () => unknown): string => {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof PoolError) return `${thrown.reason} ${thrown.field}`;
  }
  return "";
};

test("batch record - marks in any order, twice and in groups have the same counts, and only what is news changes it", () => {
  const random = seededRandom(7);
  const ends: MemberEnd[] = ["succeeded", "failed", "canceled"];
  for (let round = 0; round < 50; round += 1) {
    const total = 1 + Math.floor(random() * 40);
    const marks = Array.from({ length: total }, (_, i) => mark(i, ends[Math.floor(random() * 3)]));
    let record = sealed(opened, total, 2_000);
    const told = [...marks, ...marks].sort(() => random() - 0.5);
    while (told.length > 0) record = withMarks(record, told.splice(0, 1 + Math.floor(random() * 5)), 3_000);
    assert.equal(countedJobs(record), total);
    assert.equal(record.fullAt, 3_000);
    for (const { index, end } of marks) assert.equal(endAt(record.marks, index), end);
    assert.equal(withMarks(record, marks, 4_000), record);
  }
});

test("batch record - a failure may become a success, and a success stays one", () => {
  let record = sealed(opened, 3, 2_000);
  record = withMarks(record, [mark(0, "failed"), mark(1)], 2_000);
  assert.deepEqual(
    record.failures,
    [{ index: 0, id: "b-0", reason: "job_failed" }].map((each) => each),
  );
  const better = withMarks(record, [mark(0)], 2_000);
  assert.deepEqual([better.counts, better.failures], [{ succeeded: 2, failed: 0, canceled: 0 }, []]);
  assert.equal(withMarks(better, [mark(0, "failed"), mark(1, "canceled")], 2_000), better);
  assert.equal(withMarks(record, [mark(0, "canceled")], 2_000), record, "the first failure counts");
});

test("batch record - it is full when it is sealed and every job has a mark, whichever comes last, and then it changes no more", () => {
  const marked = withMarks(opened, [mark(0), mark(1, "failed")], 2_000);
  assert.equal(marked.fullAt, undefined);
  const full = sealed(marked, 2, 3_000);
  assert.equal(full.fullAt, 3_000);
  assert.equal(withMarks(full, [mark(1)], 4_000), full);
  assert.equal(sealed(full, 2, 4_000), full);
  assert.equal(sealed(opened, 0, 5_000).fullAt, 5_000);
  const done = completed(full, 6_000);
  assert.deepEqual([done.completedAt, done.marks.length, countedJobs(done)], [6_000, 0, 2]);
  assert.deepEqual(summaryOf("p", done), summaryOf("p", full));
});

test("batch record - another number of jobs is refused, and so is one that is too small for what is counted", () => {
  const record = sealed(opened, 2, 2_000);
  assert.equal(
    reasonOf(() => sealed(record, 3, 2_000)),
    "duplicate_job total",
  );
  assert.equal(
    reasonOf(() => sealed(withMarks(opened, [mark(5)], 2_000), 5, 2_000)),
    "invalid_argument total",
  );
  assert.equal(withMarks(record, [mark(2)], 2_000), record, "beyond the end");
  assert.equal(endOfMarks(withMarks(opened, [mark(5), mark(2)], 2_000).marks), 6);
});

test("batch record - the summary says how the jobs ended, by their places, and at most a hundred failures", () => {
  const marks = Array.from({ length: 300 }, (_, i) => mark(299 - i, i % 3 === 0 ? "succeeded" : "failed"));
  const record = withMarks(sealed(opened, 300, 2_000), marks, 3_000);
  const summary = JSON.parse(Buffer.from(summaryOf("p", record)).toString());
  const { failures, ...rest } = summary;
  const counts = { total: 300, succeeded: 100, failed: 200, canceled: 0 };
  assert.deepEqual(rest, { batch: "b", pool: "p", ...counts, context: { a: 1 } });
  assert.equal(failures.length, MAX_FAILURES);
  const places = failures.map(({ index }: { index: number }) => index);
  assert.deepEqual(
    places,
    [...places].sort((a: number, b: number) => a - b),
  );
});

test("batch record - what is written is read back, and garbage is none; the largest fits into its bound", () => {
  for (const record of [opened, withMarks(sealed(opened, 9, 2), [mark(8, "canceled")], 3)]) {
    assert.deepEqual(decodeBatch(encodeBatch(record)), record);
    assert.deepEqual(readStatus(JSON.parse(JSON.stringify(toStatus(record)))), toStatus(record));
  }
  for (const garbage of ["", "{}", "[]", "null", '{"id":1,"marks":""}']) {
    assert.equal(decodeBatch(Buffer.from(garbage)), undefined);
  }
  assert.equal(
    reasonOf(() => readStatus({})),
    "internal undefined",
  );
  const maxPayload = 64 * 1_024;
  const most = batchLimit(maxPayload);
  const context = JSON.stringify("x".repeat(8_190));
  const id = "i".repeat(50);
  const largest = newBatch({ id, client: "c".repeat(128), completion, context, openedAt: Date.now() });
  const failures = Array.from({ length: MAX_FAILURES }, (_, i) => ({
    ...mark(most - 1 - i, "failed"),
    id: "j".repeat(63),
  }));
  assert.ok(encodeBatch(withMarks(sealed(largest, most, 1), failures, 2)).length < maxPayload - 2_048);
  assert.deepEqual([batchLimit(1_000), batchLimit(1_048_576)], [0, 100_000]);
});

test("batch place - it crosses the wire, names the ids of its jobs, and what is none is refused by its field", () => {
  for (const place of [
    { batch: "import-7", index: 0 },
    { batch: "x", index: 99_999 },
  ]) {
    assert.deepEqual(decodePlace(encodePlace(place)), place);
    const job = { ...durableDefaults(), batch: place };
    assert.deepEqual(decodeDurableJob(encodeDurableJob(job), 30_000, ""), job);
    const unkept = encodeDurableJob({ ...job, keepOutcome: false });
    assert.equal(decodeDurableJob(unkept, 30_000, "").keepOutcome, true, "its outcome is kept");
  }
  assert.equal(decodePlace(undefined), undefined);
  for (const wrong of ["a", "a:", ":1", "a:-1", "a:100000", "a.b:1", "a:1:2", `${"x".repeat(51)}:1`]) {
    assert.equal(
      reasonOf(() => decodePlace(wrong)),
      "invalid_argument Pool-Batch",
      wrong,
    );
  }
  assert.equal(memberId("x".repeat(50), 99_999).length <= 63, true);
  assert.equal(completionId("x".repeat(50)).length <= 63, true);
  assert.equal(
    reasonOf(() => checkBatchId("x".repeat(51))),
    "invalid_argument batch",
  );
  assert.deepEqual(checkCompletion("p", "b", { pool: "p" }), { pool: "p", id: "b-completed" });
  assert.deepEqual(checkCompletion("p", "b", { pool: "q", id: "b-1" }), { pool: "q", id: "b-1" });
  assert.equal(
    reasonOf(() => checkCompletion("p", "b", { pool: "p", id: "b-1" })),
    "invalid_argument onComplete",
  );
  assert.deepEqual([checkContext(undefined), checkContext(null), checkContext([1])], ["", "null", "[1]"]);
  for (const wrong of [1.5, -1, Number.NaN, "3", 11]) {
    assert.equal(
      reasonOf(() => checkTotal(wrong, 10)),
      "invalid_argument total",
    );
  }
});

test("batch mark - a result is a success, canceled is canceled, and every other error is a failure", () => {
  const result = new JobResult("j", new Uint8Array(), "w", 1, 0, 0);
  assert.deepEqual(markOf(3, { ok: true, id: "j", result }), { index: 3, id: "j", reason: "", end: "succeeded" });
  const ended = (reason: "canceled" | "deadline_exceeded" | "job_failed"): string => {
    const error = new PoolError(reason, "why");
    const { end, reason: said } = markOf(3, { ok: false, id: "j", error, worker: "", attempt: 1 });
    return `${end} ${said}`;
  };
  assert.deepEqual(
    [ended("canceled"), ended("deadline_exceeded"), ended("job_failed")],
    ["canceled canceled", "failed deadline_exceeded", "failed job_failed"],
  );
});
