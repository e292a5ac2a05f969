/** The totals of one pool at one manager, since the pool became known there. Pure. */
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

  ended(outcome: Reason | "ok"): void {
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
  }

  /** Outcomes by reason, "ok" for a result. */
  outcomes(): ReadonlyMap<Reason | "ok", number> {
    return this.#outcomes;
  }
}

/**
 * How fast a pool ends jobs, to say when a refused caller may come back.
 *
 * Pure. An exponentially weighted rate with a time constant of five seconds.
 */
const TIME_CONSTANT_MS = 5_000;

export class ServiceRate {
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
