/**
 * The view: every pool as the heartbeats of its workers and managers show it.
 *
 * Pure; `nowMs` is a monotonic clock. A pool is known while it has a row or a
 * manager. Not decided here: who is told of changes (changes.ts).
 */
import type { Heartbeat, ManagerHeartbeat } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { PoolCapacity } from "../../../gen/poolmesh/v1/view_pb.js";
import { addUp, capacityOf } from "../registry/capacity.js";
import { JobStats } from "../registry/job-stats.js";
import { ManagerRegistry, type ManagerVerdict } from "../registry/manager-registry.js";
import { Rates } from "../registry/rate.js";
import { Registry, type Verdict } from "../registry/registry.js";
import type { RowEvents, RowStoreOptions } from "../registry/row-store.js";
import { includesLabels, type WorkerRow } from "../registry/worker-row.js";

/** What a reader wants to see. */
export interface Filter {
  /** "" for all pools. */
  readonly pool: string;
  /** Only workers that bear all of these. */
  readonly labels: Readonly<Record<string, string>>;
}

/** Everything. */
export const ALL: Filter = { pool: "", labels: {} };

/** Who wants to know of changes. */
export interface ViewEvents extends RowEvents {
  /** Its managers' sums or its rate changed. */
  poolChanged(pool: string): void;
}

/** Every pool as its heartbeats show it. */
export class View {
  readonly registry: Registry;
  readonly managers: ManagerRegistry;
  /** How jobs end. */
  readonly jobs = new JobStats();
  readonly #rates = new Rates();
  readonly #events: ViewEvents;
  #nowMs = 0;

  constructor(events: ViewEvents, options: RowStoreOptions = {}) {
    this.#events = events;
    const onForgotten = (pool: string, manager: string): void => this.jobs.silent(pool, manager);
    this.managers = new ManagerRegistry((pool) => events.poolChanged(pool), { ...options, onForgotten });
    this.registry = new Registry(
      {
        rowChanged: (row, change) => events.rowChanged(row, change),
        rowRemoved: (row) => events.rowRemoved(row),
        jobsEnded: (row, count, sinceMs) => this.#rates.ended(row, count, { sinceMs, nowMs: this.#nowMs }),
      },
      { ...options, parkedFromMs: (pool) => this.managers.parkedFromMs(pool) },
    );
  }

  /** Takes in a worker's heartbeat. */
  observe(beat: Heartbeat, nowMs: number): Verdict {
    this.#nowMs = nowMs;
    return this.registry.observe(beat, nowMs);
  }

  /** Takes in a manager's heartbeat. */
  observeManager(beat: ManagerHeartbeat, nowMs: number): ManagerVerdict {
    const verdict = this.managers.observe(beat, nowMs);
    const counts = verdict !== "old_seq" && verdict !== "full" && this.hasPool(beat.pool);
    if (counts && this.jobs.observe(beat, nowMs)) this.#events.poolChanged(beat.pool);
    return verdict;
  }

  /** Judges silence; returns the live rows that are quiet for longer than they should be. */
  sweep(nowMs: number): WorkerRow[] {
    this.managers.sweep(nowMs);
    return this.registry.sweep(nowMs);
  }

  /** The meter could not hear until now: silence is counted from here. */
  forgiveSilence(nowMs: number): void {
    this.managers.forgiveSilence(nowMs);
    this.registry.forgiveSilence(nowMs);
  }

  /** Called once a second: rates fall also without a heartbeat. */
  advanceRates(nowMs: number): void {
    const moving = [...this.#rates.moving(nowMs), ...this.jobs.advance(nowMs)];
    for (const pool of new Set(moving)) this.#events.poolChanged(pool);
    this.jobs.forget((pool) => this.hasPool(pool));
  }

  hasPool(pool: string): boolean {
    return this.registry.pools.has(pool) || this.managers.has(pool);
  }

  /** The known pools that a filter names, in the order of their names. */
  poolNames(filter: Filter): string[] {
    if (filter.pool !== "") return this.hasPool(filter.pool) ? [filter.pool] : [];
    return [...new Set([...this.registry.pools.keys(), ...this.managers.pools()])].sort();
  }

  /** The capacity of a pool now; undefined when the pool is not known. */
  capacity(pool: string, labels: Filter["labels"], nowMs: number): PoolCapacity | undefined {
    if (!this.hasPool(pool)) return undefined;
    const rows = this.registry.pools.get(pool);
    const all = Object.keys(labels).length === 0;
    return capacityOf({
      pool,
      rows: all ? (rows?.rows ?? []) : this.workers({ pool, labels }),
      managers: this.managers.sums(pool),
      jobs: this.jobs.counts(pool),
      jobsPerSecond: this.#rates.perSecond(pool, labels, nowMs),
      goneDone: all ? (rows?.goneDone ?? 0) : 0,
      goneFailed: all ? (rows?.goneFailed ?? 0) : 0,
    });
  }

  /** The same for every pool that a filter names. */
  capacities(filter: Filter, nowMs: number): PoolCapacity[] {
    return this.poolNames(filter).flatMap((pool) => this.capacity(pool, filter.labels, nowMs) ?? []);
  }

  /** The pools of a filter added up. */
  total(filter: Filter, pools: Iterable<PoolCapacity>): PoolCapacity {
    return filter.pool === "" ? addUp(pools, this.managers.count) : addUp(pools);
  }

  /** The rows that a filter names. */
  *workers(filter: Filter): IterableIterator<WorkerRow> {
    for (const row of this.registry.rows(filter.pool === "" ? undefined : filter.pool)) {
      if (includesLabels(row.beat.labels, filter.labels)) yield row;
    }
  }
}
