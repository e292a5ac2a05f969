/** The last traced job of each bucket of the histograms of durations: one trace to look at for each. Pure. */

import { DURATION_BOUNDS_MS } from "../../../mesh/job/containers.js";
import type { Exemplar, Exemplars } from "../../../mesh/trace/open-metrics.js";

/** Which of the histograms: see duration-metrics.ts. */
export type DurationKind = "wait" | "run" | "total";

export class JobExemplars {
  readonly #all = new Map<string, Exemplar>();

  /** Of all pools, by the series of their bucket; none where no job was traced. */
  get all(): Exemplars {
    return this.#all;
  }

  /** A job whose trace is recorded has ended. @param ms its value in that histogram, in milliseconds */
  add(kind: DurationKind, labels: { readonly pool: string; readonly outcome: string }, ms: number, trace: Trace): void {
    const boundMs = DURATION_BOUNDS_MS.find((each) => ms < each);
    const le = boundMs === undefined ? "+Inf" : String(boundMs / 1_000);
    const series = `${durationMetric(kind)}_bucket{pool="${labels.pool}",outcome="${labels.outcome}",le="${le}"}`;
    this.#all.set(series, { traceId: trace.traceId, seconds: Math.max(0, ms) / 1_000, atMs: trace.wallMs });
  }
}

/** A trace, and the wall clock, milliseconds since the epoch. */
interface Trace {
  readonly traceId: string;
  readonly wallMs: number;
}

/** The name of a histogram at `/metrics`. */
export function durationMetric(kind: DurationKind): string {
  return `poolmesh_manager_job_${kind}_seconds`;
}
