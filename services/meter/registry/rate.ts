/**
 * Jobs a second over the last five seconds.
 *
 * Pure; `nowMs` is a monotonic clock. It is fed with jobs that ended between two
 * heartbeats that were heard, never with a worker's counters, so that neither a
 * restart nor a first look makes it negative or huge. Jobs of a time in which the
 * worker was not heard are spread over that time. It is kept by pool and labels,
 * not by worker, so that it outlives a process.
 */
import { includesLabels, type WorkerRow } from "./worker-row.js";

/** The window, in seconds. */
const WINDOW_S = 5;

/** Heartbeats that are no further apart than this tell of jobs that ended now, in milliseconds. */
const ADJACENT_MS = 1_500;

/** When jobs ended. */
export interface EndedWhen {
  /** The heartbeat before, by the same clock. */
  readonly sinceMs: number;
  readonly nowMs: number;
}

/** One rate. */
export class Rate {
  /** Jobs by second; one entry more than the window, since the current second is not over. */
  readonly #counts = new Array<number>(WINDOW_S + 1).fill(0);
  #second = Number.NEGATIVE_INFINITY;

  /** Jobs that ended now. */
  add(count: number, nowMs: number): void {
    this.#advance(nowMs);
    const index = this.#second % this.#counts.length;
    this.#counts[index] = (this.#counts[index] ?? 0) + count;
  }

  /** Jobs that ended between two instants, evenly. */
  addOver(count: number, { sinceMs, nowMs }: EndedWhen): void {
    if (nowMs - sinceMs <= ADJACENT_MS) return this.add(count, nowMs);
    this.#advance(nowMs);
    const perMs = count / (nowMs - sinceMs);
    for (let second = this.#second; second > this.#second - this.#counts.length && second >= 0; second -= 1) {
      const ms = Math.min(nowMs, (second + 1) * 1_000) - Math.max(sinceMs, second * 1_000);
      const index = second % this.#counts.length;
      if (ms > 0) this.#counts[index] = (this.#counts[index] ?? 0) + perMs * ms;
    }
  }

  /** Jobs a second over the last five full seconds. */
  perSecond(nowMs: number): number {
    this.#advance(nowMs);
    const current = this.#counts[this.#second % this.#counts.length] ?? 0;
    return (this.#sum() - current) / WINDOW_S;
  }

  /** Whether nothing ended in the window. */
  isIdle(nowMs: number): boolean {
    this.#advance(nowMs);
    return this.#sum() === 0;
  }

  #sum(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  #advance(nowMs: number): void {
    const second = Math.max(0, Math.floor(nowMs / 1_000));
    if (second <= this.#second) return;
    const from = Math.max(this.#second + 1, second - this.#counts.length + 1);
    for (let each = from; each <= second; each += 1) this.#counts[each % this.#counts.length] = 0;
    this.#second = second;
  }
}

interface LabelledRate {
  readonly labels: Readonly<Record<string, string>>;
  readonly rate: Rate;
}

/** The rates of all pools, each split by the labels of its workers. */
export class Rates {
  readonly #pools = new Map<string, Map<string, LabelledRate>>();

  /** Jobs of a worker that ended. */
  ended(row: WorkerRow, count: number, when: EndedWhen): void {
    let pool = this.#pools.get(row.pool);
    if (pool === undefined) {
      pool = new Map();
      this.#pools.set(row.pool, pool);
    }
    const key = keyOf(row.beat.labels);
    let entry = pool.get(key);
    if (entry === undefined) {
      entry = { labels: row.beat.labels, rate: new Rate() };
      pool.set(key, entry);
    }
    entry.rate.addOver(count, when);
  }

  /** Jobs a second of a pool's workers that bear all of `labels`. */
  perSecond(pool: string, labels: Readonly<Record<string, string>>, nowMs: number): number {
    let sum = 0;
    for (const entry of this.#pools.get(pool)?.values() ?? []) {
      if (includesLabels(entry.labels, labels)) sum += entry.rate.perSecond(nowMs);
    }
    return sum;
  }

  /** The pools whose rate may differ from a second ago; forgets those that have come to rest. */
  moving(nowMs: number): string[] {
    const names = [...this.#pools.keys()];
    for (const [name, pool] of this.#pools) {
      for (const [key, { rate }] of pool) if (rate.isIdle(nowMs)) pool.delete(key);
      if (pool.size === 0) this.#pools.delete(name);
    }
    return names;
  }
}

function keyOf(labels: Readonly<Record<string, string>>): string {
  const entries = Object.entries(labels);
  if (entries.length === 0) return "";
  return JSON.stringify(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
