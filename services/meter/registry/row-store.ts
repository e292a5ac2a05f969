/**
 * The rows that are kept: how many, and for how long.
 *
 * Pure. The number of rows and pools is bounded. Beyond the bound a new row takes the
 * place of the row that has been STOPPED or LOST for longest; if there is none, it is
 * not added. STOPPED rows are forgotten after a minute, LOST ones after ten. Every
 * change is announced.
 */
import { type Heartbeat, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolRows } from "./pool-rows.js";
import { isLive, newRow, type WorkerRow } from "./worker-row.js";

/** How much of a row changed: its pool's sums, only what the row shows, or only its age. */
export type RowChange = "capacity" | "look" | "age";

/** Who wants to know of rows. */
export interface RowEvents {
  rowChanged(row: WorkerRow, change: RowChange): void;
  rowRemoved(row: WorkerRow): void;
}

/** Bounds and times. */
export interface RowStoreOptions {
  /** Rows at once; default 20,000. */
  readonly maxWorkers?: number;
  /** Pools at once; default 1,000. */
  readonly maxPools?: number;
  /** When a STOPPED row is forgotten; default 60,000. */
  readonly forgetStoppedMs?: number;
  /** When a LOST row is forgotten; default 600,000. */
  readonly forgetLostMs?: number;
}

/** The rows of all pools. */
export class RowStore {
  readonly pools = new Map<string, PoolRows>();
  readonly #events: RowEvents;
  readonly #options: Required<RowStoreOptions>;
  /** Rows that are STOPPED or LOST, in the order in which they became so. */
  readonly #gone = new Set<WorkerRow>();
  #size = 0;

  constructor(events: RowEvents, options: RowStoreOptions) {
    this.#events = events;
    this.#options = {
      maxWorkers: options.maxWorkers ?? 20_000,
      maxPools: options.maxPools ?? 1_000,
      forgetStoppedMs: options.forgetStoppedMs ?? 60_000,
      forgetLostMs: options.forgetLostMs ?? 600_000,
    };
  }

  /** Rows in all pools. */
  get size(): number {
    return this.#size;
  }

  has(row: WorkerRow): boolean {
    return this.pools.get(row.pool)?.rows.has(row) ?? false;
  }

  /** A row for a process that was not known; undefined when there is no room. */
  add(beat: Heartbeat, nowMs: number): WorkerRow | undefined {
    if (this.#size >= this.#options.maxWorkers) this.#evict();
    if (this.#size >= this.#options.maxWorkers) return undefined;
    return this.replace(beat, nowMs);
  }

  /** The same for a process that replaces an older one: it needs no room. */
  replace(beat: Heartbeat, nowMs: number): WorkerRow | undefined {
    let pool = this.pools.get(beat.pool);
    if (pool === undefined) {
      if (this.pools.size >= this.#options.maxPools) return undefined;
      pool = new PoolRows(beat.pool);
      this.pools.set(beat.pool, pool);
    }
    const row = newRow(beat, nowMs);
    pool.add(row);
    this.#size += 1;
    if (!isLive(row)) this.#gone.add(row);
    this.#events.rowChanged(row, "capacity");
    this.#judgeConflict(row);
    return row;
  }

  remove(row: WorkerRow): void {
    const pool = this.pools.get(row.pool);
    if (pool === undefined || !pool.rows.has(row)) return;
    pool.remove(row);
    this.#gone.delete(row);
    this.#size -= 1;
    if (pool.rows.size === 0) this.pools.delete(row.pool);
    this.#events.rowRemoved(row);
    this.#judgeConflict(row);
  }

  setState(row: WorkerRow, state: WorkerState, nowMs: number): void {
    row.state = state;
    row.stateSinceMs = nowMs;
    this.#gone.delete(row);
    if (!isLive(row)) {
      row.unhealthy = false;
      this.#gone.add(row);
    }
    this.#events.rowChanged(row, "capacity");
    this.#judgeConflict(row);
  }

  setUnhealthy(row: WorkerRow, unhealthy: boolean): void {
    if (row.unhealthy === unhealthy) return;
    row.unhealthy = unhealthy;
    this.#events.rowChanged(row, "look");
  }

  /** Forgets the rows that have been STOPPED or LOST for long enough. */
  forget(nowMs: number): void {
    for (const row of this.#gone) {
      const limitMs = row.state === WorkerState.STOPPED ? this.#options.forgetStoppedMs : this.#options.forgetLostMs;
      if (nowMs - row.stateSinceMs >= limitMs) this.remove(row);
    }
  }

  #evict(): void {
    const oldest = this.#gone.values().next().value;
    if (oldest !== undefined) this.remove(oldest);
  }

  #judgeConflict(row: WorkerRow): void {
    for (const each of this.pools.get(row.pool)?.judgeConflict(row.worker) ?? []) {
      this.#events.rowChanged(each, "capacity");
    }
  }
}
