/**
 * Whether an inline worker may let a result be its own acceptance.
 *
 * Pure. A handler that blocks the event loop could not say `accepted` in time
 * and its job would be offered twice. So a worker is cautious (it says
 * `accepted` before it runs) until enough jobs in a row were quick, and becomes
 * cautious again when one was not.
 *
 * States: cautious → trusting after a streak of quick jobs; trusting → cautious
 * at a slow synchronous part or a stall of the event loop.
 */

export const TRUST_AFTER_JOBS = 100;
export const SLOW_SYNC_MS = 5;
export const SLOW_LOOP_MS = 25;

/** Counts quick jobs. */
export class Caution {
  #streak = 0;

  get trusting(): boolean {
    return this.#streak >= TRUST_AFTER_JOBS;
  }

  /** A job's synchronous part took this long. */
  ran(syncMs: number): void {
    if (syncMs >= SLOW_SYNC_MS) this.#streak = 0;
    else if (this.#streak < TRUST_AFTER_JOBS) this.#streak += 1;
  }

  /** The event loop was late by this much. */
  lagged(lagMs: number): void {
    if (lagMs > SLOW_LOOP_MS) this.#streak = 0;
  }
}
