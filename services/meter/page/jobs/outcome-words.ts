/** Outcomes and quantiles as the page shows them. Pure. */
import { age, duration } from "../../../../browser/format.js";
import type { JobView } from "../../../../gen/poolmesh/v1/job_pb.js";
import type { TimeQuantiles } from "../../../../gen/poolmesh/v1/meter_pb.js";
import { plainText } from "../../../../mesh/plain-text.js";

/** One outcome of the window. */
export interface OutcomeCount {
  readonly outcome: string;
  readonly count: number;
  readonly tone: "water" | "soft" | "coral";
}

/** Results first, then the commonest failures; what callers gave up at the end. */
export function outcomeCounts(outcomes: Readonly<Record<string, bigint>>): OutcomeCount[] {
  const all = Object.entries(outcomes).map(([outcome, count]) => ({
    outcome: plainText(outcome, 40),
    count: Number(count),
    tone: toneOf(outcome),
  }));
  return all.sort((a, b) => RANK[a.tone] - RANK[b.tone] || b.count - a.count);
}

/** How many jobs ended, and how many of them failed: as many as the list of outcomes has. */
export function endsOf(counts: readonly OutcomeCount[]): { readonly ended: number; readonly failed: number } {
  let [ended, failed] = [0, 0];
  for (const { count, tone } of counts) {
    ended += count;
    if (tone === "coral") failed += count;
  }
  return { ended, failed };
}

/** Colour of an outcome or a state: a result, a failure, or what is not over or its caller wished. */
export function toneOf(word: string): OutcomeCount["tone"] {
  if (word === "ok" || word === "succeeded") return "water";
  return SOFT.has(word) ? "soft" : "coral";
}

const SOFT: ReadonlySet<string> = new Set(["parked", "sent", "running", "canceled", ""]);
const RANK = { water: 0, coral: 1, soft: 2 } as const;

/** A quantile; nothing for a job that was not timed. */
export function quantileText(quantiles: TimeQuantiles | undefined, which: "p50Ms" | "p95Ms" | "p99Ms"): string {
  if (quantiles === undefined || quantiles.jobs === 0n) return "—";
  return time(quantiles[which]);
}

/** A time of a job; below a millisecond it is said so. */
export function time(ms: number): string {
  return ms < 0.5 ? "< 1 ms" : duration(ms);
}

/** How long ago a job ended, by the meter's wall clock, milliseconds since the epoch. */
export function endedAgo({ endedAt }: Pick<JobView, "endedAt">, wallMs: number): string {
  if (endedAt === undefined) return "";
  const ago = age(wallMs - Number(endedAt.seconds) * 1_000 - endedAt.nanos / 1e6);
  return ago === "now" ? "now" : `${ago} ago`;
}
