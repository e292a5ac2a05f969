/** Quantiles of times out of the counts of a histogram (TimeHistogram in mesh/job/containers.ts). Pure. */
import { TIME_BUCKETS, timeBucketStart } from "../../../mesh/job/containers.js";

/** What is told of a histogram; 0 where nothing was counted. */
export interface Quantiles {
  readonly jobs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

/** The quantiles of these counts, one for each bucket; within a bucket times count as spread evenly. */
export function quantilesOf(counts: Float64Array): Quantiles {
  const jobs = counts.reduce((sum, count) => sum + count, 0);
  const at = (share: number): number => (jobs === 0 ? 0 : timeAt(counts, share * jobs));
  return { jobs, p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99) };
}

/** The time that so many of the jobs did not exceed. */
function timeAt(counts: Float64Array, jobs: number): number {
  let before = 0;
  for (let bucket = 0; bucket < TIME_BUCKETS; bucket += 1) {
    const count = counts[bucket] ?? 0;
    if (count > 0 && before + count >= jobs) {
      const [from, to] = [timeBucketStart(bucket), timeBucketStart(bucket + 1)];
      return from + ((to - from) * (jobs - before)) / count;
    }
    before += count;
  }
  return timeBucketStart(TIME_BUCKETS);
}
