/** How a meter adds up what managers tell of the jobs that ended. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DURATION_BOUNDS_MS, TIME_BUCKETS, TimeHistogram, timeBucketStart } from "../../../mesh/job/containers.js";
import { JobStats } from "../../../services/meter/registry/job-stats.js";
import { quantilesOf } from "../../../services/meter/registry/time-quantiles.js";
import { View } from "../../../services/meter/streams/view.js";
import { beatOf, managerBeatOf } from "../../support/meter/beats.js";
import { seededRandom } from "../../support/random.js";

type Beat = Parameters<typeof managerBeatOf>[0];

/** Sums as a manager tells them after these jobs. */
function histogram(times: readonly number[]): bigint[] {
  const counted = new TimeHistogram();
  for (const ms of times) counted.add(ms);
  return [...counted.counts].map(BigInt);
}

function report(times: readonly number[]) {
  return { wait: histogram([]), run: histogram(times), total: histogram(times) };
}

class Rig {
  readonly stats = new JobStats();
  #seq = 0n;

  beat(nowMs: number, fields: Beat): boolean {
    this.#seq += 1n;
    return this.stats.observe(managerBeatOf({ seq: this.#seq, ...fields }), nowMs);
  }

  counts(): readonly [ended: number, failed: number] {
    const { ended, failed } = this.stats.counts("adder");
    return [ended, failed];
  }
}

describe("times of jobs", () => {
  it("a time is in the bucket that begins at or before it, from nothing to a day", () => {
    const random = seededRandom(3);
    for (let i = 0; i < 5_000; i += 1) {
      const ms = 2 ** (random() * 40 - 8);
      const { counts } = new TimeHistogram();
      const one = new TimeHistogram();
      one.add(ms);
      const bucket = one.counts.indexOf(1);
      assert.ok(bucket >= 0 && bucket < TIME_BUCKETS);
      assert.equal(counts.length, TIME_BUCKETS);
      if (ms < 2 ** 27) assert.ok(timeBucketStart(bucket) <= ms && ms < timeBucketStart(bucket + 1), `${ms}`);
    }
  });

  it("nothing, less than nothing and no number are the shortest time", () => {
    const shortest = new TimeHistogram();
    for (const ms of [0, -5, Number.NaN, Number.NEGATIVE_INFINITY]) shortest.add(ms);
    assert.equal(shortest.counts[0], 4);
  });

  it("quantiles are within a tenth of the true ones", () => {
    const random = seededRandom(11);
    const times = Array.from({ length: 20_000 }, () => Math.exp(random() * 3 + random() * 3 + random() * 3));
    const all = new TimeHistogram();
    for (const ms of times) all.add(ms);
    const sorted = times.sort((a, b) => a - b);
    const { jobs, p50Ms, p95Ms, p99Ms } = quantilesOf(all.counts);
    assert.equal(jobs, times.length);
    for (const [share, told] of [
      [0.5, p50Ms],
      [0.95, p95Ms],
      [0.99, p99Ms],
    ] as const) {
      const true_ = sorted[Math.floor(share * times.length)] ?? 0;
      assert.ok(Math.abs(told / true_ - 1) < 0.1, `${share}: ${told} for ${true_}`);
    }
  });

  it("of no job there are no quantiles", () => {
    assert.deepEqual(quantilesOf(new TimeHistogram().counts), { jobs: 0, p50Ms: 0, p95Ms: 0, p99Ms: 0 });
  });
});

describe("how jobs end", () => {
  it("what a manager had done before it was heard first does not count", () => {
    const rig = new Rig();
    assert.equal(rig.beat(0, { outcomes: { ok: 1_000n, job_failed: 500n }, report: report([5]) }), false);
    assert.deepEqual(rig.counts(), [0, 0]);
    assert.equal(rig.beat(1_000, { outcomes: { ok: 1_003n, job_failed: 501n, canceled: 2n } }), true);
    assert.deepEqual(rig.counts(), [6, 1], "a cancel is no failure");
  });

  it("a lost heartbeat loses no job, and managers are added up", () => {
    const rig = new Rig();
    rig.beat(0, {});
    rig.beat(0, { manager: "m2" });
    rig.beat(3_000, { outcomes: { ok: 5n } });
    rig.beat(3_000, { manager: "m2", outcomes: { deadline_exceeded: 2n } });
    assert.deepEqual(rig.counts(), [7, 2]);
  });

  it("a process that starts again, and sums that begin anew, count from there", () => {
    const rig = new Rig();
    rig.beat(0, { outcomes: { ok: 50n } });
    rig.beat(1_000, { incarnation: 2_000n, outcomes: { ok: 7n } });
    assert.deepEqual(rig.counts(), [0, 0]);
    rig.beat(2_000, { incarnation: 2_000n, outcomes: { ok: 9n } });
    rig.beat(3_000, { incarnation: 2_000n, outcomes: { ok: 1n } });
    assert.deepEqual(rig.counts(), [3, 0]);
  });

  it("after a minute a job does not count any more, and its times are in the series for 15 minutes", () => {
    const rig = new Rig();
    rig.beat(1_000, {});
    rig.beat(2_000, { outcomes: { ok: 2n }, report: report([100, 100]) });
    const window = rig.stats.window("adder");
    assert.equal(window?.quantiles("run").jobs, 2);
    assert.deepEqual(rig.stats.advance(59_000), []);
    assert.deepEqual(rig.counts(), [2, 0]);
    assert.deepEqual(rig.stats.advance(66_000), ["adder"]);
    assert.deepEqual(rig.counts(), [0, 0]);
    assert.equal(window?.quantiles("run").jobs, 0);
    const { p50Ms } = window?.series("run") ?? { p50Ms: [] };
    assert.equal(p50Ms.length, 13);
    assert.ok(Math.abs((p50Ms[0] ?? 0) - 100) < 10 && p50Ms[12] === -1, p50Ms.join());
    rig.stats.advance(2_000_000);
    assert.equal(window?.series("run").p50Ms.length, 180);
    assert.ok(window?.series("run").p50Ms.every((ms) => ms === -1));
  });

  it("streams that answer are named while a manager says so, and not by one that is silent", () => {
    const rig = new Rig();
    rig.beat(0, { coveringStream: "AUDIT", durableRetrying: 3, durableLimited: 4 });
    assert.deepEqual(rig.stats.counts("adder").streams, ["AUDIT"]);
    assert.deepEqual(rig.stats.heldBack("adder"), { retrying: 3, limited: 4 });
    rig.stats.silent("adder", "m1");
    assert.deepEqual(rig.stats.counts("adder").streams, []);
    assert.deepEqual(rig.stats.heldBack("adder"), { retrying: 0, limited: 0 });
  });

  it("is part of a pool's capacity, and a change of it is told", () => {
    const told: string[] = [];
    const view = new View({ rowChanged() {}, rowRemoved() {}, poolChanged: (pool) => told.push(pool) });
    view.observe(beatOf(), 0);
    view.observeManager(managerBeatOf({ seq: 1n }), 0);
    told.length = 0;
    view.observeManager(managerBeatOf({ seq: 2n, outcomes: { ok: 3n, internal: 1n }, coveringStream: "AUDIT" }), 500);
    assert.deepEqual(told, ["adder"]);
    const capacity = view.capacity("adder", {}, 500);
    assert.deepEqual(
      [capacity?.endedLastMinute, capacity?.failedLastMinute, capacity?.coveringStreams],
      [4n, 1n, ["AUDIT"]],
    );
    view.observeManager(managerBeatOf({ seq: 1n, outcomes: { ok: 30n } }), 600);
    assert.equal(view.capacity("adder", {}, 600)?.endedLastMinute, 4n, "an older heartbeat tells nothing");
  });

  it("remembers a bounded number of managers and pools", () => {
    const rig = new Rig();
    for (let i = 0; i < 2_000; i += 1) rig.beat(0, { manager: `m${i}`, durableRetrying: 1 });
    assert.equal(rig.stats.heldBack("adder").retrying, 64);
    for (let i = 0; i < 2_000; i += 1) rig.beat(0, { pool: `p${i}` });
    assert.equal(rig.stats.window("p1999"), undefined);
    rig.stats.forget(() => false);
    assert.equal(rig.stats.window("adder"), undefined);
  });
});

it("time histogram - what metrics show below a bound is what was below it", () => {
  const histogram = new TimeHistogram();
  const random = seededRandom(5);
  const times = Array.from({ length: 3_000 }, () => 2 ** (random() * 22 - 4));
  for (const ms of times) histogram.add(ms);
  const { below, all } = histogram.below(DURATION_BOUNDS_MS);
  assert.deepEqual(
    below,
    DURATION_BOUNDS_MS.map((bound) => times.filter((ms) => ms < bound).length),
  );
  assert.equal(all, times.length);
  const both = new TimeHistogram();
  both.addAll(histogram);
  both.addAll(histogram);
  assert.equal(both.below([1]).all, 2 * all);
});
