/** What a dispatcher's totals tell of the jobs that ended. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PoolError } from "../../../mesh/errors.js";
import { timeBucketStart } from "../../../mesh/job/containers.js";
import { CoreRig } from "../../support/core/core-rig.js";

/** A rig with a worker of `slots` slots. */
function rigOf(slots: number): CoreRig {
  const rig = new CoreRig();
  rig.heartbeat("w1", slots);
  return rig;
}

/** Runs a job that takes so long. */
function run(rig: CoreRig, ms: number, error?: PoolError): string {
  const id = rig.submit();
  rig.accepted(id, "w1");
  rig.nowMs += ms;
  if (error === undefined) rig.result(id, "w1");
  else rig.error(id, "w1", error);
  return id;
}

const counted = (counts: Float64Array) =>
  [...counts].flatMap((count, bucket) => (count === 0 ? [] : [[timeBucketStart(bucket), count]]));

test("report - a job that waited for a slot has its wait, its run and both", () => {
  const rig = rigOf(1);
  const first = rig.submit();
  rig.accepted(first, "w1", 0);
  const second = rig.submit();
  rig.nowMs = 64;
  rig.result(first, "w1", 1);
  rig.accepted(second, "w1", 0);
  rig.nowMs = 192;
  rig.result(second, "w1", 1);
  const ended = rig.totals.report(1_000);
  assert.deepEqual(counted(ended?.wait.counts ?? new Float64Array()), [
    [0, 1],
    [64, 1],
  ]);
  assert.deepEqual(counted(ended?.run.counts ?? new Float64Array()), [
    [64, 1],
    [128, 1],
  ]);
  assert.deepEqual(counted(ended?.total.counts ?? new Float64Array()), [
    [64, 1],
    [192, 1],
  ]);
});

test("report - a job that no worker ended is a failure without a run", () => {
  const rig = new CoreRig({ bare: true });
  const id = rig.submit({ timeoutMs: 100 });
  rig.advance(200);
  assert.equal(rig.outcome(id), "deadline_exceeded");
  const ended = rig.totals.report(1_000);
  assert.deepEqual(counted(ended?.run.counts ?? new Float64Array()), []);
  assert.deepEqual(
    ended?.failures.map(({ jobId, outcome }) => [jobId, outcome]),
    [[id, "deadline_exceeded"]],
  );
});

test("report - the last failures say why, newest first, and a cancel is none", () => {
  const rig = rigOf(4);
  const codes = Array.from({ length: 7 }, (_, i) => `code-${i}`);
  for (const jobCode of codes) run(rig, 10, new PoolError("job_failed", "no luck", { jobCode }));
  const canceled = rig.submit();
  const job = rig.dispatcher.live(canceled);
  assert.ok(job);
  rig.dispatcher.cancel(job, new PoolError("canceled", "the caller canceled the job"));
  const { failures = [] } = rig.totals.report(1_000) ?? {};
  assert.deepEqual(
    failures.map(({ code }) => code),
    codes.slice(2).reverse(),
  );
  assert.deepEqual(failures.map(({ message, worker, totalMs }) => [message, worker, totalMs])[0], [
    "no luck",
    "w1",
    10,
  ]);
});

test("report - the five slowest of the last minute, however many jobs were quicker", () => {
  const rig = rigOf(4);
  for (const ms of [50, 900, 20, 700, 800, 30, 600, 500, 400]) run(rig, ms);
  for (let i = 0; i < 200; i += 1) run(rig, 1);
  const slowest = () => rig.totals.report(rig.nowMs)?.slowest.map(({ totalMs }) => totalMs);
  rig.nowMs += 1_000;
  assert.deepEqual(slowest(), [900, 800, 700, 600, 500]);
  rig.nowMs += 70_000;
  assert.deepEqual(slowest(), []);
  run(rig, 5);
  rig.nowMs += 1_000;
  assert.deepEqual(slowest(), [5]);
});

test("report - at most eight jobs become samples between two reports", () => {
  const rig = rigOf(4);
  for (let i = 0; i < 100; i += 1) run(rig, 1);
  const first = rig.totals.report(1_000)?.recent.map(({ jobId }) => jobId);
  assert.deepEqual(first, ["j8", "j7", "j6", "j5", "j4", "j3", "j2", "j1"]);
  for (let i = 0; i < 3; i += 1) run(rig, 1);
  rig.nowMs = 3_000;
  assert.deepEqual(
    rig.totals
      .report(3_000)
      ?.recent.slice(0, 4)
      .map(({ jobId }) => jobId),
    ["j103", "j102", "j101", "j8"],
  );
});

test("report - is told once a second while jobs end, every ten seconds while none does, and never before the first", () => {
  const rig = rigOf(4);
  assert.equal(rig.totals.report(5_000), undefined);
  run(rig, 1);
  assert.ok(rig.totals.report(5_000));
  run(rig, 1);
  assert.equal(rig.totals.report(5_500), undefined);
  assert.ok(rig.totals.report(6_000));
  assert.equal(rig.totals.report(15_000), undefined);
  assert.ok(rig.totals.report(16_000));
});
