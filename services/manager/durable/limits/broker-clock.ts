/**
 * What time it is at the broker, as far as it has said so.
 *
 * Decided here: the broker's time is at least that of a message that it has stored, and goes on
 * as this process's monotonic clock does. So it is never taken to be later than it is, and no manager's wall
 * clock counts. What was heard long ago is forgotten, since clocks drift.
 */
import type { Runtime } from "../../../../mesh/link/runtime.js";

/** What was heard counts for so long, and for twice as long at most, in milliseconds. */
const KEEP_MS = 60_000;

export class BrokerClock {
  readonly #runtime: Pick<Runtime, "now">;
  #aheadMs = Number.NEGATIVE_INFINITY;
  #aheadBeforeMs = Number.NEGATIVE_INFINITY;
  #sinceMs: number;

  constructor(runtime: Pick<Runtime, "now">) {
    this.#runtime = runtime;
    this.#sinceMs = runtime.now();
  }

  /** The broker has stored something. @param storedAtMs milliseconds since the epoch; undefined tells nothing */
  hear(storedAtMs: number | undefined): void {
    if (storedAtMs === undefined || !Number.isFinite(storedAtMs)) return;
    const nowMs = this.#runtime.now();
    if (nowMs - this.#sinceMs >= KEEP_MS) {
      this.#aheadBeforeMs = this.#aheadMs;
      this.#aheadMs = Number.NEGATIVE_INFINITY;
      this.#sinceMs = nowMs;
    }
    this.#aheadMs = Math.max(this.#aheadMs, storedAtMs - nowMs);
  }

  /** The earliest that it may be, milliseconds since the epoch; undefined while nothing was heard. */
  now(): number | undefined {
    const aheadMs = Math.max(this.#aheadMs, this.#aheadBeforeMs);
    return aheadMs === Number.NEGATIVE_INFINITY ? undefined : this.#runtime.now() + aheadMs;
  }
}
