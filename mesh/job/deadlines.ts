/**
 * Deadlines of many jobs without a timer per job.
 *
 * Pure: time is an argument. Jobs are kept in buckets of one tick; one sweep
 * hands out those whose tick has passed, so a deadline is met within a tick
 * and a sweep interval.
 */
export class Deadlines<T> {
  readonly #tickMs: number;
  readonly #buckets = new Map<number, Set<T>>();
  #sweptTick = Number.NEGATIVE_INFINITY;
  /** The bucket made last stays when it is empty: the next item most likely goes there. */
  #newestTick = Number.NaN;
  #size = 0;

  /** @param tickMs width of a bucket, in milliseconds */
  constructor(tickMs = 10) {
    this.#tickMs = tickMs;
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Remembers `item` until `at` (monotonic milliseconds).
   *
   * @returns the tick to give to delete()
   */
  add(item: T, at: number): number {
    // Rounded up, so that nothing ends early, and never into a tick that was swept already.
    const tick = Math.max(Math.ceil(at / this.#tickMs), this.#sweptTick + 1);
    let bucket = this.#buckets.get(tick);
    if (bucket === undefined) {
      bucket = new Set();
      this.#dropEmpty(this.#newestTick);
      this.#buckets.set(tick, bucket);
      this.#newestTick = tick;
    }
    bucket.add(item);
    this.#size += 1;
    return tick;
  }

  /** Forgets `item`, for which add() returned `tick`. */
  delete(item: T, tick: number): void {
    const bucket = this.#buckets.get(tick);
    if (bucket?.delete(item) !== true) return;
    this.#size -= 1;
    if (tick !== this.#newestTick) this.#dropEmpty(tick);
  }

  /** Takes out everything whose deadline is at or before `now`. */
  expired(now: number): T[] {
    const nowTick = Math.floor(now / this.#tickMs);
    const found: T[] = [];
    if (this.#size > 0) {
      if (nowTick - this.#sweptTick > this.#buckets.size) this.#scanBuckets(nowTick, found);
      else for (let tick = this.#sweptTick + 1; tick <= nowTick; tick += 1) this.#takeBucket(tick, found);
    }
    this.#sweptTick = Math.max(this.#sweptTick, nowTick);
    return found;
  }

  #dropEmpty(tick: number): void {
    if (this.#buckets.get(tick)?.size === 0) this.#buckets.delete(tick);
  }

  #scanBuckets(nowTick: number, found: T[]): void {
    for (const tick of [...this.#buckets.keys()]) if (tick <= nowTick) this.#takeBucket(tick, found);
  }

  #takeBucket(tick: number, found: T[]): void {
    const bucket = this.#buckets.get(tick);
    if (bucket === undefined) return;
    this.#buckets.delete(tick);
    this.#size -= bucket.size;
    found.push(...bucket);
  }
}
