/**
 * How long to wait before the next attempt. The wait is exponential, has jitter
 * and a bound, and starts anew after a healthy minute. Pure: the caller measures
 * time and waits.
 */

/** The bounds of the waits. */
export interface BackoffOptions {
  /** The first wait, in milliseconds; default 250. */
  readonly baseMs?: number;
  /** The longest wait, in milliseconds; default 10,000. */
  readonly maxMs?: number;
  /** After a connection that lasted this long the waits start anew, in milliseconds; default 60,000. */
  readonly healthyMs?: number;
}

/** Counts failures in a row and says how long to wait after each. */
export class Backoff {
  readonly #baseMs: number;
  readonly #maxMs: number;
  readonly #healthyMs: number;
  #failures = 0;

  constructor(options: BackoffOptions = {}) {
    this.#baseMs = options.baseMs ?? 250;
    this.#maxMs = options.maxMs ?? 10_000;
    this.#healthyMs = options.healthyMs ?? 60_000;
  }

  /** Failures in a row. */
  get failures(): number {
    return this.#failures;
  }

  /**
   * Counts a failure.
   *
   * @param livedMs how long the connection had been good before it failed, in milliseconds
   * @param random 0 to 1; the wait lies between half of the computed wait and all of it
   * @returns the wait before the next attempt, in milliseconds
   */
  failed(livedMs: number, random: number): number {
    this.#failures = livedMs >= this.#healthyMs ? 1 : this.#failures + 1;
    const full = Math.min(this.#maxMs, this.#baseMs * 2 ** Math.min(30, this.#failures - 1));
    return full * (0.5 + random / 2);
  }
}
