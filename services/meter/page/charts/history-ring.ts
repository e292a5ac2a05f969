/**
 * The last 15 minutes, a point a second, newest last. Pure.
 *
 * Time is counted back from now, so the clocks of the meter and of the reader may
 * differ. A second of which nothing is known is a gap, not a zero.
 */

/** Points kept: 15 minutes of seconds. */
export const HISTORY_POINTS = 900;

/** One second; null is unknown. */
export interface HistoryPoint {
  readonly utilization: number | null;
  readonly jobsPerSecond: number | null;
  readonly parked: number | null;
}

/** What the meter returns of the past. */
export interface HistorySeed {
  readonly stepMs: number;
  readonly utilization: readonly number[];
  readonly jobsPerSecond: readonly number[];
  readonly slots: readonly number[];
  readonly parked: readonly number[];
}

/** One value a second, by name. */
export type HistoryLane = keyof HistoryPoint;

const LANES: readonly HistoryLane[] = ["utilization", "jobsPerSecond", "parked"];

/** A sliding window over the seconds. */
export class HistoryRing {
  readonly #values: Record<HistoryLane, (number | null)[]>;
  #lastAtMs: number | undefined;

  constructor() {
    this.#values = { utilization: unknown(), jobsPerSecond: unknown(), parked: unknown() };
  }

  /** Values of one lane, oldest first; always {@link HISTORY_POINTS} of them. */
  lane(name: HistoryLane): readonly (number | null)[] {
    return this.#values[name];
  }

  /** Forgets everything. */
  clear(): void {
    for (const lane of LANES) this.#values[lane] = unknown();
    this.#lastAtMs = undefined;
  }

  /** Takes the meter's past; its newest point is now. */
  seed(history: HistorySeed, nowMs: number): void {
    const stepMs = Math.max(1, history.stepMs);
    const length = history.utilization.length;
    for (const lane of LANES) {
      this.#values[lane] = Array.from({ length: HISTORY_POINTS }, (_, i) => {
        const index = length - 1 - Math.floor(((HISTORY_POINTS - 1 - i) * 1_000) / stepMs);
        if ((history.utilization[index] ?? -1) < 0) return null;
        // Without slots there is nothing that could be full.
        if (lane === "utilization" && history.slots[index] === 0) return null;
        return history[lane][index] ?? null;
      });
    }
    this.#lastAtMs = nowMs;
  }

  /** Replaces the newest point, so that it shows the current value. */
  amend(point: HistoryPoint): void {
    if (this.#lastAtMs === undefined) return;
    for (const lane of LANES) this.#values[lane][HISTORY_POINTS - 1] = point[lane];
  }

  /**
   * Adds the point of this second; seconds that passed unseen become gaps.
   *
   * @param nowMs the reader's monotonic clock, in milliseconds
   * @returns whether there was a gap
   */
  advance(point: HistoryPoint, nowMs: number): boolean {
    const elapsed = this.#lastAtMs === undefined ? 1 : Math.round((nowMs - this.#lastAtMs) / 1_000);
    if (elapsed < 1) return false;
    const steps = Math.min(HISTORY_POINTS, elapsed);
    for (const lane of LANES) {
      const gap = Array.from({ length: steps - 1 }, () => null);
      this.#values[lane] = [...this.#values[lane].slice(steps), ...gap, point[lane]];
    }
    this.#lastAtMs = nowMs;
    return steps > 3;
  }
}

function unknown(): (number | null)[] {
  return Array.from({ length: HISTORY_POINTS }, () => null);
}
