/** What a dispatcher's totals tell of the jobs that ended. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { timeBucketStart } from "../../../mesh/job/containers.js";
import { CoreRig } from "../../support/core/core-rig.js";

/** A rig with a worker of `slots` slots. */
function rigOf(slots: number): CoreRig {
  const rig = new CoreRig();
  rig.heartbeat("w1", slots);
  return rig;
}

/** Runs a job that takes so long. */
function run(rig: CoreRig, ms: number): void {
  const id = rig.submit();
  rig.accepted(id, "w1");
  rig.nowMs += ms;
  rig.result(id, "w1");
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

test("report - a job that no worker ended has no run", () => {
  const rig = new CoreRig({ bare: true });
  const id = rig.submit({ timeoutMs: 100 });
  rig.advance(200);
  assert.equal(rig.outcome(id), "deadline_exceeded");
  const ended = rig.totals.report(1_000);
  assert.deepEqual(counted(ended?.run.counts ?? new Float64Array()), []);
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
