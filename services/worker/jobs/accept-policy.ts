/**
 * The accept policy of an inline worker: say `accepted` first, or let the result
 * be the acceptance. Pure.
 *
 * A handler that blocks the event loop cannot say `accepted` in time, and its job
 * would be offered a second time. So a worker says `accepted` before it runs a
 * job until enough jobs in a row were quick. Then a result is its own acceptance,
 * until a job is slow again.
 *
 * States: accept first → result only after a streak of quick jobs; result only →
 * accept first at a slow synchronous part or a stall of the event loop.
 */

export const QUICK_JOBS_NEEDED = 100;
export const SLOW_SYNC_MS = 5;
export const SLOW_LOOP_MS = 25;

/** Counts quick jobs in a row. */
export class AcceptPolicy {
  #streak = 0;

  /** Whether a job may run before it is accepted. */
  get resultIsEnough(): boolean {
    return this.#streak >= QUICK_JOBS_NEEDED;
  }

  /** A job's synchronous part took this long. */
  ran(syncMs: number): void {
    if (syncMs >= SLOW_SYNC_MS) this.#streak = 0;
    else if (this.#streak < QUICK_JOBS_NEEDED) this.#streak += 1;
  }

  /** The event loop was late by this much. */
  lagged(lagMs: number): void {
    if (lagMs > SLOW_LOOP_MS) this.#streak = 0;
  }
}
