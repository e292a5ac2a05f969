/**
 * A topic: one filtered view, kept current once for all its readers.
 *
 * Pure; time is an argument. There are two kinds with the same methods: capacities by
 * pool, and rows by process. A heartbeat only marks what changed, which is cheap.
 * refresh() does the work, once a tick.
 */
import type { PoolCapacity } from "../../../gen/poolmesh/v1/view_pb.js";
import { addUp, sameCapacity } from "../registry/capacity.js";
import type { RowChange } from "../registry/row-store.js";
import { includesLabels, type WorkerRow } from "../registry/worker-row.js";
import { Feed } from "./feed.js";
import type { Filter, View } from "./view.js";

/** What changes.ts needs of every topic. */
export interface Topic<V> {
  readonly feed: Feed<V>;
  /** Note what changed, for refresh(). */
  rowChanged(row: WorkerRow, change: RowChange): void;
  rowRemoved(row: WorkerRow): void;
  poolChanged(pool: string): void;
  /** Computes what was noted and makes it visible. Returns whether anything changed. */
  refresh(nowMs: number): boolean;
}

/** Capacities by pool, and their total. */
export class CapacityTopic implements Topic<PoolCapacity> {
  readonly feed = new Feed<PoolCapacity>();
  readonly #view: View;
  readonly #filter: Filter;
  readonly #dirty = new Set<string>();
  #total: PoolCapacity;

  constructor(view: View, filter: Filter, nowMs: number) {
    this.#view = view;
    this.#filter = filter;
    for (const pool of view.poolNames(filter)) this.#dirty.add(pool);
    this.#total = addUp([]);
    this.refresh(nowMs);
  }

  /** All pools of the filter added up. */
  get total(): PoolCapacity {
    return this.#total;
  }

  rowChanged(row: WorkerRow, change: RowChange): void {
    if (change === "capacity") this.poolChanged(row.pool);
  }

  rowRemoved(row: WorkerRow): void {
    this.poolChanged(row.pool);
  }

  poolChanged(pool: string): void {
    if (this.#filter.pool === "" || this.#filter.pool === pool) this.#dirty.add(pool);
  }

  refresh(nowMs: number): boolean {
    for (const pool of this.#dirty) {
      const before = this.feed.get(pool);
      const after = this.#view.capacity(pool, this.#filter.labels, nowMs);
      if (after === undefined) this.feed.delete(pool);
      else if (before === undefined || !sameCapacity(before, after)) this.feed.set(pool, after);
    }
    this.#dirty.clear();
    const changed = this.feed.commit();
    if (changed) this.#total = this.#view.total(this.#filter, this.feed.values());
    return changed;
  }
}

/** A new heartbeat that changes nothing but a row's age is shown at most so often, and so many rows a second at most. */
const AGE_REFRESH_MS = 1_000;
const AGE_ROWS_PER_MS = 1;

/** Rows by process. */
export class WorkersTopic implements Topic<WorkerRow> {
  readonly feed = new Feed<WorkerRow>();
  readonly #filter: Filter;
  readonly #aged = new Set<WorkerRow>();
  #agedMs: number;
  #size = 0;

  constructor(view: View, filter: Filter, nowMs: number) {
    this.#filter = filter;
    this.#agedMs = nowMs;
    for (const row of view.workers(filter)) this.#set(row);
    this.feed.commit();
  }

  rowChanged(row: WorkerRow, change: RowChange): void {
    if (!this.#matches(row)) this.rowRemoved(row);
    else if (change === "age") this.#aged.add(row);
    else this.#set(row);
  }

  rowRemoved(row: WorkerRow): void {
    if (this.feed.get(row.key) === undefined) return;
    this.feed.delete(row.key);
    this.#aged.delete(row);
    this.#size -= 1;
  }

  poolChanged(): void {}

  refresh(nowMs: number): boolean {
    if (nowMs - this.#agedMs >= Math.max(AGE_REFRESH_MS, this.#size / AGE_ROWS_PER_MS)) {
      this.#agedMs = nowMs;
      for (const row of this.#aged) this.#set(row);
      this.#aged.clear();
    }
    return this.feed.commit();
  }

  #set(row: WorkerRow): void {
    if (this.feed.get(row.key) === undefined) this.#size += 1;
    this.feed.set(row.key, row);
    this.#aged.delete(row);
  }

  #matches(row: WorkerRow): boolean {
    const { pool, labels } = this.#filter;
    return (pool === "" || pool === row.pool) && includesLabels(row.beat.labels, labels);
  }
}
