/**
 * Changes: from heartbeats that were taken in to messages to readers.
 *
 * Decided here: changes are collected and computed once a tick for all readers of the
 * same view. The first change after a quiet time goes out at once. A reader that got
 * nothing for its keep-alive time gets a message. Not decided here: what a view is
 * (topic.ts), which changes a reader has not seen (reader.ts), how they are sent.
 */
import type { PoolCapacity } from "../../../gen/poolmesh/v1/view_pb.js";
import type { RowChange } from "../registry/row-store.js";
import type { WorkerRow } from "../registry/worker-row.js";
import { type Pace, Reader, type ReaderHost } from "./reader.js";
import { CapacityTopic, type Topic, WorkersTopic } from "./topic.js";
import type { Filter, View, ViewEvents } from "./view.js";

/** Times, in milliseconds. */
export interface ChangesOptions {
  /** Changes are gathered for this long; default 50. */
  readonly coalesceMs?: number;
  /** How often keep-alive times and ages are looked at; default 250. */
  readonly lookMs?: number;
  /** Monotonic clock; default performance.now. */
  readonly nowMs?: () => number;
}

/** Who has asked once may ask again within this, in milliseconds. */
const GLANCE_MS = 5_000;
/** The longest tick, however many readers there are, in milliseconds. */
const MAX_TICK_MS = 500;

/** A topic and its readers. */
interface Audience {
  readonly key: string;
  readonly topic: Topic<unknown>;
  readonly readers: Set<Reader<unknown>>;
}

/** The audiences of one pool, by what they see of it; those of all pools are under "". */
type Audiences = Map<string, Audience>;

/** A reader together with the topic that it reads. */
export interface Subscription<V, T> {
  readonly reader: Reader<V>;
  readonly topic: T;
}

/** Sends the changes of a view to its readers. */
export class Changes implements ViewEvents {
  readonly nowMs: () => number;
  readonly #coalesceMs: number;
  readonly #lookMs: number;
  readonly #pools = new Map<string, Audiences>();
  readonly #listeners = new Set<() => void>();
  readonly #watchedListeners = new Set<() => void>();
  #started = false;
  /** Only while there are readers. */
  #look: NodeJS.Timeout | undefined;
  #tick: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #tickedMs = Number.NEGATIVE_INFINITY;
  #glancedMs = Number.NEGATIVE_INFINITY;
  /** CPU time that the last tick took, with all that its readers did. */
  #fanOutMs = 0;

  constructor(options: ChangesOptions = {}) {
    this.nowMs = options.nowMs ?? (() => performance.now());
    this.#coalesceMs = options.coalesceMs ?? 50;
    this.#lookMs = options.lookMs ?? 250;
  }

  /** Views that have readers. */
  get topics(): number {
    return [...this.#audiences()].length;
  }

  /** Readers of all views. */
  get readers(): number {
    let count = 0;
    for (const { readers } of this.#audiences()) count += readers.size;
    return count;
  }

  /** Whether somebody waits for changes now, or has asked for values a moment ago. */
  get isWatched(): boolean {
    return this.#hasListeners || this.nowMs() - this.#glancedMs < GLANCE_MS;
  }

  /** Somebody asks for the values of now, once. */
  glance(): void {
    const wasWatched = this.isWatched;
    this.#glancedMs = this.nowMs();
    if (!wasWatched) this.#tellWatched();
  }

  get #hasListeners(): boolean {
    return this.#pools.size > 0 || this.#listeners.size > 0;
  }

  start(): void {
    this.#started = true;
    this.#followReaders();
  }

  stop(): void {
    this.#started = false;
    clearTimeout(this.#tick);
    clearImmediate(this.#immediate);
    clearInterval(this.#look);
    this.#look = undefined;
    this.#tick = undefined;
    this.#immediate = undefined;
  }

  /** Calls `listener` when somebody begins to watch while nobody did; returns the function that stops it. */
  onWatched(listener: () => void): () => void {
    this.#watchedListeners.add(listener);
    return () => this.#watchedListeners.delete(listener);
  }

  /** Calls `listener` at every tick in which something changed; returns the function that stops it. */
  onTick(listener: () => void): () => void {
    const wasWatched = this.isWatched;
    this.#listeners.add(listener);
    if (!wasWatched) this.#tellWatched();
    return () => this.#listeners.delete(listener);
  }

  /** Reads capacities until `signal` aborts. */
  watchCapacity(
    view: View,
    filter: Filter,
    pace: Pace,
    signal: AbortSignal,
  ): Subscription<PoolCapacity, CapacityTopic> {
    return this.#join("capacity", filter, () => new CapacityTopic(view, filter, this.nowMs()), pace, signal);
  }

  /** Reads rows until `signal` aborts. */
  watchWorkers(view: View, filter: Filter, pace: Pace, signal: AbortSignal): Subscription<WorkerRow, WorkersTopic> {
    return this.#join("workers", filter, () => new WorkersTopic(view, filter, this.nowMs()), pace, signal);
  }

  rowChanged(row: WorkerRow, change: RowChange): void {
    this.#mark(row.pool, (topic) => topic.rowChanged(row, change));
    if (change !== "age") this.#schedule();
  }

  rowRemoved(row: WorkerRow): void {
    this.#mark(row.pool, (topic) => topic.rowRemoved(row));
    this.#schedule();
  }

  poolChanged(pool: string): void {
    this.#mark(pool, (topic) => topic.poolChanged(pool));
    this.#schedule();
  }

  /** Something changed that concerns every reader: each gets a message. */
  everythingChanged(): void {
    for (const { topic } of this.#audiences()) topic.feed.touch();
    this.#schedule();
  }

  #join<V, T extends Topic<V>>(
    kind: string,
    filter: Filter,
    make: () => T,
    pace: Pace,
    signal: AbortSignal,
  ): Subscription<V, T> {
    signal.throwIfAborted();
    const wasWatched = this.isWatched;
    const key = `${kind} ${JSON.stringify(Object.entries(filter.labels).sort())}`;
    const pool = this.#pools.get(filter.pool) ?? new Map<string, Audience>();
    this.#pools.set(filter.pool, pool);
    const audience = pool.get(key) ?? { key, topic: make() as Topic<unknown>, readers: new Set() };
    pool.set(key, audience);
    const topic = audience.topic as T;
    const host: ReaderHost = {
      nowMs: this.nowMs,
      behind: () => this.#schedule(),
      left: (reader) => this.#leave(filter.pool, audience, reader),
    };
    const reader = new Reader<V>(topic.feed, pace, host, signal);
    audience.readers.add(reader as Reader<unknown>);
    this.#followReaders();
    if (!wasWatched) this.#tellWatched();
    return { reader, topic };
  }

  #tellWatched(): void {
    for (const listener of this.#watchedListeners) listener();
  }

  /** Nobody's keep-alive is due while there is no reader. */
  #followReaders(): void {
    if (this.#started && this.#pools.size > 0) {
      this.#look ??= setInterval(() => this.#lookAround(), this.#lookMs);
      return;
    }
    clearInterval(this.#look);
    this.#look = undefined;
  }

  #leave(poolName: string, audience: Audience, reader: Reader<unknown>): void {
    audience.readers.delete(reader);
    const pool = this.#pools.get(poolName);
    if (audience.readers.size === 0) pool?.delete(audience.key);
    if (pool?.size === 0) this.#pools.delete(poolName);
    this.#followReaders();
  }

  *#audiences(): IterableIterator<Audience> {
    for (const pool of this.#pools.values()) yield* pool.values();
  }

  #mark(pool: string, note: (topic: Topic<unknown>) => void): void {
    for (const { topic } of this.#pools.get("")?.values() ?? []) note(topic);
    for (const { topic } of this.#pools.get(pool)?.values() ?? []) note(topic);
  }

  /**
   * The first change after a quiet time at once (with what else came in the same
   * read), others a tick later. A tick is longer where telling all readers takes
   * longer, so that at most half the time goes into telling.
   */
  #schedule(): void {
    if (this.#tick !== undefined || this.#immediate !== undefined || !this.#started) return;
    if (!this.#hasListeners) return;
    const tickMs = Math.min(MAX_TICK_MS, Math.max(this.#coalesceMs, 2 * this.#fanOutMs));
    const waitMs = this.#tickedMs + tickMs - this.nowMs();
    if (waitMs > 0) this.#tick = setTimeout(() => this.#run(), Math.ceil(waitMs));
    else this.#immediate = setImmediate(() => this.#run());
  }

  /** Keep-alives and ages. When a tick is due anyway, they are left to that tick, so readers follow its pace. */
  #lookAround(): void {
    if (this.#tick !== undefined || this.#immediate !== undefined) return;
    this.#tickedMs = this.nowMs();
    this.#pulse();
  }

  #run(): void {
    this.#tick = undefined;
    this.#immediate = undefined;
    this.#tickedMs = this.nowMs();
    const began = process.cpuUsage();
    for (const listener of this.#listeners) listener();
    this.#pulse();
    setImmediate(() => {
      const { user, system } = process.cpuUsage(began);
      this.#fanOutMs = (user + system) / 1_000;
    });
  }

  #pulse(): void {
    const nowMs = this.nowMs();
    let behind = false;
    for (const { topic, readers } of this.#audiences()) {
      topic.refresh(nowMs);
      for (const reader of readers) {
        if (!reader.pulse(nowMs)) behind = true;
      }
    }
    if (behind) this.#schedule();
  }
}
