/**
 * How the jobs of one pool ended within the last minute, and their times over the last
 * 15 minutes.
 *
 * Pure; `nowMs` is a monotonic clock. Managers tell sums since their start; what is kept here is
 * by how much they rose, in steps of five seconds. The window is the last twelve steps that
 * are over and the current one. A point of the series is the window at the end of a step.
 */
import { TIME_BUCKETS } from "../../../mesh/job/containers.js";
import { type Quantiles, quantilesOf } from "./time-quantiles.js";

/** One step, in milliseconds. */
export const STEP_MS = 5_000;
/** Steps of the window that are over. */
const STEPS = 12;
/** The window, in milliseconds. */
export const WINDOW_MS = STEPS * STEP_MS;
/** Points of a series: 15 minutes. */
const POINTS = 180;

/** What is timed. */
export const TIMED = ["wait", "run", "total"] as const;
export type Timed = (typeof TIMED)[number];

/** By how much sums rose. */
export interface Rise {
  readonly outcomes: ReadonlyMap<string, number>;
  /** For each that is timed, one count for each bucket; undefined when nothing was told. */
  readonly times: Readonly<Record<Timed, Float64Array>> | undefined;
}

/** Quantiles over time; negative where nothing is known. */
export interface TimeSeries {
  readonly p50Ms: number[];
  readonly p95Ms: number[];
  readonly p99Ms: number[];
}

interface Step {
  readonly number: number;
  readonly outcomes: Map<string, number>;
  times: Record<Timed, Float64Array> | undefined;
}

/** The window of one pool. */
export class JobWindow {
  /** Oldest first; steps in which nothing ended are left out. */
  #steps: Step[] = [];
  #step: number;
  readonly #series = new Float32Array(POINTS * TIMED.length * 3).fill(-1);
  #points = 0;
  #failed = 0;
  #ended = 0;

  constructor(nowMs: number) {
    this.#step = stepOf(nowMs);
  }

  /** Jobs that ended within the window. */
  get ended(): number {
    return this.#ended;
  }

  /** Those of them that ended otherwise than with a result or a cancel. */
  get failed(): number {
    return this.#failed;
  }

  /** Counts what ended now. */
  add(rise: Rise, nowMs: number): void {
    this.advance(nowMs);
    const step = this.#current();
    for (const [outcome, count] of rise.outcomes) step.outcomes.set(outcome, (step.outcomes.get(outcome) ?? 0) + count);
    if (rise.times !== undefined) {
      step.times ??= { wait: noCounts(), run: noCounts(), total: noCounts() };
      for (const timed of TIMED) addCounts(step.times[timed], rise.times[timed]);
    }
    this.#addUp();
  }

  /** Lets time pass. Returns whether that changed the counts. */
  advance(nowMs: number): boolean {
    const now = stepOf(nowMs);
    if (now <= this.#step) return false;
    for (let step = Math.max(this.#step, now - POINTS); step < now; step += 1) {
      this.#step = step + 1;
      this.#drop();
      this.#write();
    }
    const before = this.#ended;
    this.#addUp();
    return before !== this.#ended;
  }

  /** Outcomes within the window. */
  outcomes(): Map<string, number> {
    const sums = new Map<string, number>();
    for (const step of this.#steps) {
      for (const [outcome, count] of step.outcomes) sums.set(outcome, (sums.get(outcome) ?? 0) + count);
    }
    return sums;
  }

  /** The times of the jobs that workers ended within the window. */
  quantiles(timed: Timed): Quantiles {
    const sum = noCounts();
    for (const { times } of this.#steps) if (times !== undefined) addCounts(sum, times[timed]);
    return quantilesOf(sum);
  }

  /** Oldest first, one point a step. */
  series(timed: Timed): TimeSeries {
    const count = Math.min(this.#points, POINTS);
    const of = (quantile: number): number[] =>
      Array.from({ length: count }, (_, i) => {
        const point = (this.#points - count + i) % POINTS;
        return this.#series[placeOf(point, timed) + quantile] ?? -1;
      });
    return { p50Ms: of(0), p95Ms: of(1), p99Ms: of(2) };
  }

  #current(): Step {
    let step = this.#steps.at(-1);
    if (step?.number !== this.#step) {
      step = { number: this.#step, outcomes: new Map(), times: undefined };
      this.#steps.push(step);
    }
    return step;
  }

  #drop(): void {
    while (this.#steps[0] !== undefined && this.#steps[0].number < this.#step - STEPS) this.#steps.shift();
  }

  #write(): void {
    const point = this.#points % POINTS;
    for (const timed of TIMED) {
      const { jobs, p50Ms, p95Ms, p99Ms } = this.quantiles(timed);
      this.#series.set(jobs === 0 ? [-1, -1, -1] : [p50Ms, p95Ms, p99Ms], placeOf(point, timed));
    }
    this.#points += 1;
  }

  #addUp(): void {
    this.#ended = 0;
    this.#failed = 0;
    for (const [outcome, count] of this.outcomes()) {
      this.#ended += count;
      if (outcome !== "ok" && outcome !== "canceled") this.#failed += count;
    }
  }
}

function stepOf(nowMs: number): number {
  return Math.floor(nowMs / STEP_MS);
}

function placeOf(point: number, timed: Timed): number {
  return (point * TIMED.length + TIMED.indexOf(timed)) * 3;
}

function noCounts(): Float64Array {
  return new Float64Array(TIME_BUCKETS);
}

function addCounts(sum: Float64Array, counts: Float64Array): void {
  counts.forEach((count, bucket) => {
    if (count > 0) sum[bucket] = (sum[bucket] ?? 0) + count;
  });
}
