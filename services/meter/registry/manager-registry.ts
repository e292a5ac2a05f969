/**
 * What managers report of each pool: jobs parked, the oldest wait, jobs in flight.
 *
 * Pure; `nowMs` is a monotonic clock. The newest heartbeat of a manager counts. A
 * manager is forgotten with its last heartbeat, or after three of its own intervals of
 * silence. Its parked jobs are then no longer counted.
 */
import type { ManagerHeartbeat } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { isNewer, lostAfterMs } from "../../../mesh/wire/liveness-rules.js";
import { type ManagerSums, NO_MANAGERS } from "./capacity.js";

/** What a manager's heartbeat changed, or why it was dropped. */
export type ManagerVerdict = "new" | "changed" | "unchanged" | "old_seq" | "full";

/** Bounds. */
export interface ManagerRegistryOptions {
  /** Managers of all pools at once; default 2,000. */
  readonly maxManagers?: number;
  /** Pools that managers may name; default 1,000. */
  readonly maxPools?: number;
  /** Called with a manager that was forgotten. */
  readonly onForgotten?: (pool: string, manager: string) => void;
}

interface Entry {
  beat: ManagerHeartbeat;
  quietFromMs: number;
}

interface Pool {
  readonly managers: Map<string, Entry>;
  /** Since when something has been parked without a break. */
  parkedFromMs: number | undefined;
  sums: ManagerSums;
}

/** The managers of all pools. */
export class ManagerRegistry {
  readonly #pools = new Map<string, Pool>();
  readonly #changed: (pool: string) => void;
  readonly #onForgotten: NonNullable<ManagerRegistryOptions["onForgotten"]>;
  readonly #maxManagers: number;
  readonly #maxPools: number;
  /** In how many pools each manager is known. */
  readonly #serving = new Map<string, number>();
  #size = 0;

  /** @param changed called with the pool whose sums changed */
  constructor(changed: (pool: string) => void, options: ManagerRegistryOptions = {}) {
    this.#changed = changed;
    this.#onForgotten = options.onForgotten ?? (() => {});
    this.#maxManagers = options.maxManagers ?? 2_000;
    this.#maxPools = options.maxPools ?? 1_000;
  }

  /** Pools that a manager has named and still serves. */
  pools(): IterableIterator<string> {
    return this.#pools.keys();
  }

  /** Managers of all pools, each counted once. */
  get count(): number {
    return this.#serving.size;
  }

  /** The managers of a pool; those of any pool for undefined. */
  of(pool: string | undefined): string[] {
    return [...(pool === undefined ? this.#serving : (this.#pools.get(pool)?.managers ?? new Map())).keys()];
  }

  has(pool: string): boolean {
    return this.#pools.has(pool);
  }

  /** What all managers of a pool report, added up. */
  sums(pool: string): ManagerSums {
    return this.#pools.get(pool)?.sums ?? NO_MANAGERS;
  }

  /** Since when the pool has parked jobs without a break; undefined when it has none. */
  parkedFromMs(pool: string): number | undefined {
    return this.#pools.get(pool)?.parkedFromMs;
  }

  /** Takes a checked heartbeat. */
  observe(beat: ManagerHeartbeat, nowMs: number): ManagerVerdict {
    const known = this.#pools.get(beat.pool)?.managers.get(beat.manager);
    if (known !== undefined && !isNewer(beat, known.beat)) return "old_seq";
    if (known === undefined && !beat.stopped && !this.#hasRoom(beat.pool)) return "full";
    if (beat.stopped) this.#remove(beat);
    else this.#keep(beat, nowMs);
    const changed = this.#addUp(beat.pool, nowMs);
    if (known === undefined) return "new";
    return changed ? "changed" : "unchanged";
  }

  /** Forgets managers that are silent. */
  sweep(nowMs: number): void {
    for (const [pool, { managers }] of this.#pools) {
      for (const { beat, quietFromMs } of managers.values()) {
        if (nowMs - quietFromMs < lostAfterMs(beat.heartbeatIntervalMs)) continue;
        this.#remove(beat);
        this.#addUp(pool, nowMs);
      }
    }
  }

  /** The meter could not hear until now: silence is counted from here. */
  forgiveSilence(nowMs: number): void {
    for (const { managers } of this.#pools.values()) {
      for (const entry of managers.values()) entry.quietFromMs = nowMs;
    }
  }

  #hasRoom(pool: string): boolean {
    return this.#size < this.#maxManagers && (this.#pools.has(pool) || this.#pools.size < this.#maxPools);
  }

  #keep(beat: ManagerHeartbeat, nowMs: number): void {
    let pool = this.#pools.get(beat.pool);
    if (pool === undefined) {
      pool = { managers: new Map(), parkedFromMs: undefined, sums: NO_MANAGERS };
      this.#pools.set(beat.pool, pool);
    }
    if (!pool.managers.has(beat.manager)) this.#counted(beat.manager, 1);
    pool.managers.set(beat.manager, { beat, quietFromMs: nowMs });
  }

  #remove(beat: ManagerHeartbeat): void {
    if (!this.#pools.get(beat.pool)?.managers.delete(beat.manager)) return;
    this.#counted(beat.manager, -1);
    this.#onForgotten(beat.pool, beat.manager);
  }

  #counted(manager: string, by: 1 | -1): void {
    this.#size += by;
    const pools = (this.#serving.get(manager) ?? 0) + by;
    if (pools === 0) this.#serving.delete(manager);
    else this.#serving.set(manager, pools);
  }

  /** Adds a pool's managers up anew; whether that changed anything. */
  #addUp(name: string, nowMs: number): boolean {
    const pool = this.#pools.get(name);
    if (pool === undefined) return false;
    const sums = add(pool.managers.values());
    const changed = !same(sums, pool.sums);
    pool.sums = sums;
    pool.parkedFromMs = sums.parked > 0 ? (pool.parkedFromMs ?? nowMs) : undefined;
    if (pool.managers.size === 0) this.#pools.delete(name);
    if (changed) this.#changed(name);
    return changed;
  }
}

function add(entries: Iterable<Entry>): ManagerSums {
  const sums = { ...NO_MANAGERS } as { -readonly [K in keyof ManagerSums]: number };
  for (const { beat } of entries) {
    sums.managers += 1;
    sums.parked += beat.parked;
    sums.parkedLimit += beat.parkedLimit;
    sums.inFlight += beat.inFlight;
    sums.oldestWaitMs = Math.max(sums.oldestWaitMs, beat.oldestWaitMs);
    sums.durableQueued = Math.max(sums.durableQueued, Number(beat.durableQueued));
  }
  return sums;
}

function same(a: ManagerSums, b: ManagerSums): boolean {
  return (
    a.managers === b.managers &&
    a.parked === b.parked &&
    a.parkedLimit === b.parkedLimit &&
    a.inFlight === b.inFlight &&
    a.durableQueued === b.durableQueued &&
    a.oldestWaitMs === b.oldestWaitMs
  );
}
