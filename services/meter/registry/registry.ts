/**
 * The registry: heartbeats become the rows that the meter shows.
 *
 * Pure; `nowMs` is a monotonic clock and every judgement is made from it.
 * Decided here:
 * - one writer per process: a heartbeat counts only when its number rises;
 * - a newer incarnation replaces an older one at once; an older one that is still
 *   alive comes back as a row of its own (rivals.ts), which is a conflict;
 * - LOST after three of the worker's own intervals without a sign of life, or
 *   when nobody listens at its control subject.
 * Not decided here: which messages are invalid (mesh/wire/heartbeat-codec.ts), how many rows there
 * may be and how long a gone one is kept (row-store.ts), what a pool's sums are
 * (capacity.ts).
 */
import { type Heartbeat, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { LOST_AFTER_INTERVALS, lostAfterMs } from "../../../mesh/wire/liveness-rules.js";
import type { WorkerId } from "./pool-rows.js";
import { Rivals } from "./rivals.js";
import { type RowEvents, RowStore, type RowStoreOptions } from "./row-store.js";
import { isUnhealthy } from "./suspicion.js";
import { applyBeat, changesCapacity, changesLook, isLive, type WorkerRow } from "./worker-row.js";

/** What became of a heartbeat; each is a value of a metric's label. */
export const VERDICTS = ["new", "changed", "unchanged", "old_seq", "old_incarnation", "counts", "full"] as const;
export type Verdict = (typeof VERDICTS)[number];

/** Who hears of changes. Called while a heartbeat is taken in, so a listener only marks what changed. */
export interface RegistryEvents extends RowEvents {
  /** Jobs of a process ended since its heartbeat of `sinceMs`. What it did before it was first heard is not among them. */
  jobsEnded(row: WorkerRow, count: number, sinceMs: number): void;
}

/** Bounds, times, and what managers say. */
export interface RegistryOptions extends RowStoreOptions {
  /** Since when a pool has parked jobs without a break, by the same clock; undefined when it has none. */
  readonly parkedFromMs?: (pool: string) => number | undefined;
}

/** Processes kept apart under one id. */
const MAX_ROWS_PER_ID = 8;
/** A worker is quiet after so many of its intervals without a heartbeat. */
const QUIET_INTERVALS = 1.3;
const QUIET_SHARE = QUIET_INTERVALS / LOST_AFTER_INTERVALS;

/** The rows of all pools. */
export class Registry {
  readonly #store: RowStore;
  readonly #events: RegistryEvents;
  readonly #parkedFromMs: (pool: string) => number | undefined;

  constructor(events: RegistryEvents, options: RegistryOptions = {}) {
    this.#events = events;
    this.#store = new RowStore(events, options);
    this.#parkedFromMs = options.parkedFromMs ?? (() => undefined);
  }

  /** The pools that have rows. */
  get pools(): RowStore["pools"] {
    return this.#store.pools;
  }

  /** Rows in all pools. */
  get size(): number {
    return this.#store.size;
  }

  /** All rows, or those of one pool. */
  *rows(pool?: string): IterableIterator<WorkerRow> {
    if (pool !== undefined) yield* this.pools.get(pool)?.rows ?? [];
    else for (const each of this.pools.values()) yield* each.rows;
  }

  /** Takes a checked heartbeat. */
  observe(beat: Heartbeat, nowMs: number): Verdict {
    const id = this.pools.get(beat.pool)?.ids.get(beat.worker);
    const row = id?.rows.get(beat.incarnation);
    if (row !== undefined) return this.#advance(row, beat, nowMs);
    if (beat.busy > beat.slots) return "counts";
    if (id === undefined || beat.incarnation > id.newest) return this.#begin(beat, nowMs, id);
    return this.#weigh(beat, nowMs, id);
  }

  /** Judges silence, health and age of every row; returns the live rows that are quiet for longer than they should be. */
  sweep(nowMs: number): WorkerRow[] {
    const quiet: WorkerRow[] = [];
    for (const pool of this.pools.values()) {
      const parkedFromMs = this.#parkedFromMs(pool.name);
      for (const row of pool.rows) {
        if (!isLive(row)) continue;
        const silenceMs = nowMs - row.quietFromMs;
        const limitMs = lostAfterMs(row.beat.heartbeatIntervalMs);
        if (silenceMs >= limitMs) this.#store.setState(row, WorkerState.LOST, nowMs);
        else if (silenceMs > limitMs * QUIET_SHARE) quiet.push(row);
        this.#store.setUnhealthy(row, isUnhealthy(row, parkedFromMs, nowMs));
      }
    }
    this.#store.forget(nowMs);
    return quiet;
  }

  /** Nobody listens at its control subject. */
  markLost(row: WorkerRow, nowMs: number): void {
    if (isLive(row) && this.#store.has(row)) this.#store.setState(row, WorkerState.LOST, nowMs);
  }

  /** It answered, although its heartbeat did not come. */
  signOfLife(row: WorkerRow, nowMs: number): void {
    row.quietFromMs = nowMs;
  }

  /** The meter could not hear until now: silence is counted from here. */
  forgiveSilence(nowMs: number): void {
    for (const row of this.rows()) row.quietFromMs = nowMs;
  }

  #advance(row: WorkerRow, beat: Heartbeat, nowMs: number): Verdict {
    const before = row.beat;
    if (beat.seq <= before.seq) return "old_seq";
    // After a resize below what runs, a worker is busy over its slots for a while.
    if (beat.busy > beat.slots && beat.busy > before.busy) return "counts";
    const ended = Number(beat.jobsDone) + Number(beat.jobsFailed) - row.done - row.failed;
    const sinceMs = row.lastBeatMs;
    applyBeat(row, beat, nowMs);
    if (ended > 0) this.#events.jobsEnded(row, ended, sinceMs);
    if (row.state !== beat.state) {
      this.#store.setState(row, beat.state, nowMs);
      return "changed";
    }
    const change = changesCapacity(before, beat) ? "capacity" : changesLook(before, beat) ? "look" : "age";
    this.#events.rowChanged(row, change);
    return change === "age" ? "unchanged" : "changed";
  }

  #begin(beat: Heartbeat, nowMs: number, id: WorkerId | undefined): Verdict {
    const older = [...(id?.rows.values() ?? [])];
    const row = older.length > 0 ? this.#store.replace(beat, nowMs) : this.#store.add(beat, nowMs);
    if (row === undefined) return "full";
    for (const each of older) this.#supersede(each, nowMs);
    return "new";
  }

  #weigh(beat: Heartbeat, nowMs: number, id: WorkerId): Verdict {
    id.rivals ??= new Rivals();
    if (beat.state === WorkerState.STOPPED) {
      id.rivals.drop(beat.incarnation);
      return "old_incarnation";
    }
    if (!id.rivals.proves(beat, nowMs)) return "old_incarnation";
    if (id.rows.size >= MAX_ROWS_PER_ID) return "full";
    id.rivals.drop(beat.incarnation);
    return this.#store.add(beat, nowMs) === undefined ? "full" : "new";
  }

  #supersede(row: WorkerRow, nowMs: number): void {
    const id = this.pools.get(row.pool)?.ids.get(row.worker);
    this.#store.remove(row);
    if (id === undefined || row.state === WorkerState.STOPPED) return;
    id.rivals ??= new Rivals();
    id.rivals.supersede(row.incarnation, row.beat.seq, nowMs);
  }
}
