/**
 * The last 15 minutes, a point a second, so that a chart is full when it is opened.
 *
 * Pure. There is a ring for each pool and one for all pools together. A ring takes about
 * 14 kB, so the number of pools with a ring is bounded. A pool beyond the bound has none
 * until another pool is forgotten. A second in which the meter was cut off is a point
 * "not known".
 */

/** Points kept, and the time between two. */
export const HISTORY_POINTS = 900;
export const HISTORY_STEP_MS = 1_000;
/** The utilization of a point of which nothing is known. */
export const UNKNOWN = -1;

/** One point. */
export interface HistoryPoint {
  readonly utilization: number;
  readonly jobsPerSecond: number;
  readonly slots: number;
  readonly parked: number;
}

/** Points in the order of time. */
export interface HistorySeries {
  readonly utilization: number[];
  readonly jobsPerSecond: number[];
  readonly slots: number[];
  readonly parked: number[];
}

const NOTHING: HistoryPoint = { utilization: UNKNOWN, jobsPerSecond: 0, slots: 0, parked: 0 };

class Ring {
  readonly #utilization = new Float32Array(HISTORY_POINTS).fill(UNKNOWN);
  readonly #jobsPerSecond = new Float32Array(HISTORY_POINTS);
  readonly #slots = new Uint32Array(HISTORY_POINTS);
  readonly #parked = new Uint32Array(HISTORY_POINTS);

  write(index: number, point: HistoryPoint): void {
    this.#utilization[index] = point.utilization;
    this.#jobsPerSecond[index] = point.jobsPerSecond;
    this.#slots[index] = point.slots;
    this.#parked[index] = point.parked;
  }

  read(first: number, count: number): HistorySeries {
    return {
      utilization: unroll(this.#utilization, first, count),
      jobsPerSecond: unroll(this.#jobsPerSecond, first, count),
      slots: unroll(this.#slots, first, count),
      parked: unroll(this.#parked, first, count),
    };
  }
}

/** The rings of all pools; "" is all pools added up. */
export class History {
  readonly #rings = new Map<string, Ring>();
  readonly #maxPools: number;
  #next = 0;
  #count = 0;

  /** @param maxPools pools that have a ring; default 200 */
  constructor(maxPools = 200) {
    this.#maxPools = maxPools;
  }

  /**
   * Adds a second.
   *
   * @param points a point for each pool that is known, and one for ""; undefined: nothing is known of this second
   */
  sample(points: ReadonlyMap<string, HistoryPoint> | undefined): void {
    for (const pool of points?.keys() ?? []) {
      if (!this.#rings.has(pool) && (pool === "" || this.#hasRoom())) this.#rings.set(pool, new Ring());
    }
    for (const [pool, ring] of this.#rings) ring.write(this.#next, points?.get(pool) ?? NOTHING);
    this.#next = (this.#next + 1) % HISTORY_POINTS;
    this.#count = Math.min(this.#count + 1, HISTORY_POINTS);
  }

  /** A pool's points, oldest first; empty when it has none. */
  series(pool: string): HistorySeries {
    const ring = this.#rings.get(pool);
    const first = (this.#next - this.#count + HISTORY_POINTS) % HISTORY_POINTS;
    return ring?.read(first, this.#count) ?? { utilization: [], jobsPerSecond: [], slots: [], parked: [] };
  }

  /** Forgets pools that are not known any more. */
  forget(isKnown: (pool: string) => boolean): void {
    for (const pool of this.#rings.keys()) {
      if (pool !== "" && !isKnown(pool)) this.#rings.delete(pool);
    }
  }

  #hasRoom(): boolean {
    return this.#rings.size - Number(this.#rings.has("")) < this.#maxPools;
  }
}

function unroll(values: Float32Array | Uint32Array, first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => values[(first + i) % HISTORY_POINTS] ?? 0);
}
