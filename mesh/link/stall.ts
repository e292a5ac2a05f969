/**
 * Notices that this process stood still: a blocked event loop, SIGSTOP, a host
 * that took its processors away. Pure.
 *
 * Regular signs of life are expected; a gap between two of them that is longer
 * than expected is a stall. What was read after a stall may be out of date, and
 * nobody's silence during a stall says anything about them.
 */
export class StallDetector {
  #everyMs: number;
  #toleranceMs: number;
  #lastMs: number;
  #stalls = 0;
  #longestLagMs = 0;

  /**
   * @param everyMs how often sign() will be called
   * @param toleranceMs a gap longer than `everyMs` by more than this is a stall
   */
  constructor(nowMs: number, everyMs: number, toleranceMs: number) {
    this.#lastMs = nowMs;
    this.#everyMs = everyMs;
    this.#toleranceMs = toleranceMs;
  }

  /** How many stalls there were. */
  get stalls(): number {
    return this.#stalls;
  }

  /** Signs come at another pace from now on. */
  expect(nowMs: number, everyMs: number, toleranceMs: number): void {
    this.#lastMs = nowMs;
    this.#everyMs = everyMs;
    this.#toleranceMs = toleranceMs;
  }

  /** A sign of life at its regular time. Returns how late it is, in milliseconds. */
  sign(nowMs: number): number {
    const lagMs = Math.max(0, nowMs - this.#lastMs - this.#everyMs);
    this.#lastMs = nowMs;
    if (lagMs > this.#longestLagMs) this.#longestLagMs = lagMs;
    if (this.isStall(lagMs)) this.#stalls += 1;
    return lagMs;
  }

  /** Looks at the clock between two signs; true when it finds a stall, which then counts once. */
  check(nowMs: number): boolean {
    if (!this.isStall(nowMs - this.#lastMs - this.#everyMs)) return false;
    this.sign(nowMs);
    return true;
  }

  /** Whether a sign that is late by this much ends a stall. */
  isStall(lagMs: number): boolean {
    return lagMs > this.#toleranceMs;
  }

  /** The longest lag since resetLag(), in milliseconds. */
  get longestLagMs(): number {
    return this.#longestLagMs;
  }

  resetLag(): void {
    this.#longestLagMs = 0;
  }
}
