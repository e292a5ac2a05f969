/**
 * Notices that the event loop stood still, and how late it runs.
 *
 * Pure. After a stall (a blocking handler, SIGSTOP and SIGCONT) whatever was
 * buffered may have been revoked meanwhile: it is suspect until a round trip to
 * the broker that began after the stall has ended.
 */

/** How often tick() is to be called, in milliseconds. */
export const TICK_MS = 50;
/** A gap longer than a tick by more than this is a stall, in milliseconds. */
export const STALL_MS = 100;

/** Watches the gaps between ticks. */
export class StallWatch {
  #lastMs: number;
  #longestLagMs = 0;
  #stalls = 0;
  #suspect = false;

  constructor(nowMs: number) {
    this.#lastMs = nowMs;
  }

  /** Whether what is buffered may be out of date. */
  get suspect(): boolean {
    return this.#suspect;
  }

  /** How many stalls there were; hand it to {@link cleared}. */
  get stalls(): number {
    return this.#stalls;
  }

  /** The regular tick. Returns how late it is, in milliseconds. */
  tick(nowMs: number): number {
    const lagMs = Math.max(0, nowMs - this.#lastMs - TICK_MS);
    this.#lastMs = nowMs;
    this.#longestLagMs = Math.max(this.#longestLagMs, lagMs);
    if (lagMs > STALL_MS) {
      this.#stalls += 1;
      this.#suspect = true;
    }
    return lagMs;
  }

  /** Looks at the clock between two ticks; true when it finds a stall. */
  check(nowMs: number): boolean {
    if (nowMs - this.#lastMs <= TICK_MS + STALL_MS) return false;
    this.tick(nowMs);
    return true;
  }

  /** A round trip ended that began after stall number `stalls`. */
  cleared(stalls: number): void {
    if (stalls === this.#stalls) this.#suspect = false;
  }

  /** The longest lag since the last call, in milliseconds. */
  takeLongestLagMs(): number {
    const lagMs = this.#longestLagMs;
    this.#longestLagMs = 0;
    return lagMs;
  }
}
