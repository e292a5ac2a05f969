/**
 * How the jobs of all pools end, as their managers tell.
 *
 * Pure; `nowMs` is a monotonic clock. Decided here: what a manager's sums rose by since
 * its last heartbeat. The first heartbeat of a manager in a pool tells only where
 * its sums begin, so that a meter that starts late counts no job twice or too late. Sums that fell
 * began anew.
 */

import type { ManagerHeartbeat, PoolReport } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { HeldBack } from "../../../mesh/durable/limits/held-back.js";
import { TIME_BUCKETS } from "../../../mesh/job/containers.js";
import { JobWindow, type Rise, TIMED, type Timed } from "./job-window.js";

interface Source {
  incarnation: bigint;
  outcomes: Readonly<Record<string, bigint>>;
  report: PoolReport | undefined;
  coveringStream: string;
  retrying: number;
  limited: number;
}

interface Entry {
  readonly window: JobWindow;
  /** By manager. */
  readonly sources: Map<string, Source>;
}

const MOST_POOLS = 1_000;
/** Managers of one pool that are told apart. */
const MOST_SOURCES = 64;
/** Streams that are named. */
const MOST_STREAMS = 4;

/** What is told of a pool in every message about it. */
export interface JobCounts {
  readonly ended: number;
  readonly failed: number;
  /** Streams that capture its job subjects. */
  readonly streams: readonly string[];
}

const NO_COUNTS: JobCounts = { ended: 0, failed: 0, streams: [] };

/** How jobs end, by pool. */
export class JobStats {
  readonly #pools = new Map<string, Entry>();

  /** Takes a checked heartbeat. Returns whether the pool's counts changed. */
  observe(beat: ManagerHeartbeat, nowMs: number): boolean {
    const entry = this.#entry(beat.pool, nowMs);
    if (entry === undefined) return false;
    const before = this.counts(beat.pool);
    const known = entry.sources.get(beat.manager);
    if (known === undefined && entry.sources.size >= MOST_SOURCES) return false;
    const source = known?.incarnation === beat.incarnation ? known : newSource(beat);
    if (source === known) entry.window.add(riseOf(source, beat), nowMs);
    keep(source, beat);
    if (beat.stopped) source.coveringStream = "";
    entry.sources.set(beat.manager, source);
    return !sameCounts(before, this.counts(beat.pool));
  }

  counts(pool: string): JobCounts {
    const entry = this.#pools.get(pool);
    if (entry === undefined) return NO_COUNTS;
    const streams = new Set([...entry.sources.values()].map(({ coveringStream }) => coveringStream));
    streams.delete("");
    const { ended, failed } = entry.window;
    return { ended, failed, streams: [...streams].sort().slice(0, MOST_STREAMS) };
  }

  /** The window of a pool; undefined when no manager has told of it. */
  window(pool: string): JobWindow | undefined {
    return this.#pools.get(pool)?.window;
  }

  /** Jobs of the pool's durable lane that its managers hold back. */
  heldBack(pool: string): HeldBack {
    const sum = { retrying: 0, limited: 0 };
    for (const { retrying, limited } of this.#pools.get(pool)?.sources.values() ?? []) {
      sum.retrying += retrying;
      sum.limited += limited;
    }
    return sum;
  }

  /** Lets time pass. Returns the pools whose counts changed by that. */
  advance(nowMs: number): string[] {
    return [...this.#pools].filter(([, { window }]) => window.advance(nowMs)).map(([pool]) => pool);
  }

  /** A manager of a pool is silent: what it says of the present does not count any more. */
  silent(pool: string, manager: string): void {
    const source = this.#pools.get(pool)?.sources.get(manager);
    if (source === undefined) return;
    source.coveringStream = "";
    source.retrying = 0;
    source.limited = 0;
  }

  /** Forgets pools that are not known any more. */
  forget(isKnown: (pool: string) => boolean): void {
    for (const pool of this.#pools.keys()) if (!isKnown(pool)) this.#pools.delete(pool);
  }

  #entry(pool: string, nowMs: number): Entry | undefined {
    let entry = this.#pools.get(pool);
    if (entry === undefined && this.#pools.size < MOST_POOLS) {
      entry = { window: new JobWindow(nowMs), sources: new Map() };
      this.#pools.set(pool, entry);
    }
    return entry;
  }
}

function newSource({ incarnation, outcomes, report }: ManagerHeartbeat): Source {
  return { incarnation, outcomes, report, coveringStream: "", retrying: 0, limited: 0 };
}

function keep(source: Source, beat: ManagerHeartbeat): void {
  source.outcomes = beat.outcomes;
  source.coveringStream = beat.coveringStream;
  source.retrying = beat.durableRetrying;
  source.limited = beat.durableLimited;
  if (beat.report !== undefined) source.report = beat.report;
}

function riseOf({ outcomes, report }: Source, beat: ManagerHeartbeat): Rise {
  const risen = new Map<string, number>();
  for (const [outcome, sum] of Object.entries(beat.outcomes)) {
    const rise = difference(sum, Object.hasOwn(outcomes, outcome) ? (outcomes[outcome] ?? 0n) : 0n);
    if (rise > 0) risen.set(outcome, rise);
  }
  const now = beat.report;
  if (now === undefined) return { outcomes: risen, times: undefined };
  const times = Object.fromEntries(TIMED.map((timed) => [timed, risenCounts(report?.[timed], now[timed])]));
  return { outcomes: risen, times: times as Record<Timed, Float64Array> };
}

function risenCounts(before: readonly bigint[] | undefined, now: readonly bigint[]): Float64Array {
  const counts = new Float64Array(TIME_BUCKETS);
  now.slice(0, TIME_BUCKETS).forEach((sum, bucket) => {
    counts[bucket] = difference(sum, before?.[bucket] ?? 0n);
  });
  return counts;
}

/** A sum that fell has begun anew. */
function difference(now: bigint, before: bigint): number {
  return Number(now >= before ? now - before : now);
}

function sameCounts(a: JobCounts, b: JobCounts): boolean {
  return a.ended === b.ended && a.failed === b.failed && a.streams.join() === b.streams.join();
}
