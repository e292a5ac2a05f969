/**
 * What one pool has done at one manager since it became known there: counts, and
 * how fast its jobs end. Pure.
 */
import type { Reason } from "../../../mesh/errors.js";

export class Totals {
  /** Jobs taken. */
  submitted = 0;
  /** `busy` replies of workers. */
  refused = 0;
  /** Replies that came too late or for a stale attempt; dropped. */
  late = 0;
  /** Replies that are no answer of a worker: unknown kinds, acknowledgements of streams; dropped. */
  strangers = 0;
  readonly #outcomes = new Map<Reason | "ok", number>();
  /** A stream that answered in the place of a worker, and when it did so last. */
  #stream: { readonly name: string; readonly atMs: number } | undefined;
  readonly #rate = new ServiceRate();

  /** A job has its outcome. @param nowMs monotonic milliseconds */
  ended(outcome: Reason | "ok", nowMs: number): void {
    this.#rate.ended(nowMs);
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
  }

  /** Outcomes by reason, "ok" for a result. */
  outcomes(): ReadonlyMap<Reason | "ok", number> {
    return this.#outcomes;
  }

  /** A stream's acknowledgement came in the place of an answer. */
  streamAnswered(name: string, nowMs: number): void {
    this.#stream = { name, atMs: nowMs };
  }

  /** The stream that answered within the last minute. */
  stream(nowMs: number): string | undefined {
    const { name, atMs } = this.#stream ?? {};
    return atMs !== undefined && nowMs - atMs < STREAM_SHOWN_MS ? name : undefined;
  }

  /** When a caller that was refused may come back: the time until `jobs` will have ended, 50 to 30,000 milliseconds. */
  timeForMs(jobs: number, nowMs: number): number {
    return this.#rate.timeForMs(jobs, nowMs);
  }
}

/** How long a stream that answered is told about, in milliseconds. */
const STREAM_SHOWN_MS = 60_000;
/** The time constant of the rate. */
const TIME_CONSTANT_MS = 5_000;

/** How fast jobs end: an exponentially weighted rate. */
class ServiceRate {
  #perMs = 0;
  #lastAt: number | undefined;

  /** Counts a job that ended at `now`, monotonic milliseconds. */
  ended(now: number): void {
    this.#decay(now);
    this.#perMs += 1 / TIME_CONSTANT_MS;
  }

  /** Time until `jobs` will have ended at this rate, 50 to 30,000 milliseconds. */
  timeForMs(jobs: number, now: number): number {
    this.#decay(now);
    const estimate = this.#perMs > 0 ? jobs / this.#perMs : 1_000;
    return Math.min(30_000, Math.max(50, Math.ceil(estimate)));
  }

  #decay(now: number): void {
    if (this.#lastAt !== undefined && now > this.#lastAt) {
      this.#perMs *= Math.exp((this.#lastAt - now) / TIME_CONSTANT_MS);
    }
    this.#lastAt = now;
  }
}
