/** The batches of all pools of one manager: who opens and seals them, and who counts outcomes. The stream is made with the first batch. */
import { enqueueRefusal } from "../../../../mesh/durable/answers.js";
import type { BatchPlace } from "../../../../mesh/durable/batches/batch-place.js";
import {
  type BatchRecord,
  batchLimit,
  checkTotal,
  markOf,
  newBatch,
  sealed,
} from "../../../../mesh/durable/batches/batch-record.js";
import { type BatchStatus, toStatus } from "../../../../mesh/durable/batches/batch-status.js";
import {
  type BatchPage,
  type BatchPageOptions,
  listBatches,
  noBatch,
  readBatch,
} from "../../../../mesh/durable/batches/read-batches.js";
import { batchesStream } from "../../../../mesh/durable/streams.js";
import { PoolError } from "../../../../mesh/errors.js";
import type { Outcome } from "../../../../mesh/job/job.js";
import type { HeaderReader } from "../../../../mesh/wire/wire-headers.js";
import { ensureStream, type Provisioning } from "../provision.js";
import { findBatch, type StoredBatch, writeBatch } from "./batch-store.js";
import { type CompletionParts, complete } from "./completion.js";
import { BatchSweep } from "./sweep.js";
import { Tally } from "./tally.js";

/** What it works with. */
export interface LaneBatchesParts extends Omit<CompletionParts, "onCompleted"> {
  /** Runs `work` with as many copies as the cluster can hold. */
  readonly provision: (work: (parts: Provisioning) => Promise<unknown>) => Promise<unknown>;
  /** Opens the lane of a pool, if it has none yet. @throws PoolError */
  readonly ensure: (pool: string) => Promise<void>;
}

/** A batch to open. */
export interface NewBatch extends Pick<BatchRecord, "id" | "client" | "completion" | "context"> {
  /** What its completion job is enqueued with. */
  readonly headers: HeaderReader;
}

/** The most batches that are kept of one pool. */
export const MAX_BATCHES = 10_000;
/** Batches whose records a manager remembers. */
const MAX_TALLIES = 256;
const MAX_TRIES = 20;

export class LaneBatches {
  readonly #parts: CompletionParts & LaneBatchesParts;
  readonly #tallies = new Map<string, Tally>();
  readonly #completed = new Map<string, number>();
  readonly #sweep: BatchSweep;

  constructor(parts: LaneBatchesParts) {
    const onCompleted = (pool: string): void => void this.#completed.set(pool, this.completed(pool) + 1);
    this.#parts = { ...parts, onCompleted };
    this.#sweep = new BatchSweep(this.#parts, parts.bus.runtime.now());
  }

  /** Batches of a pool whose completion job this manager enqueued. */
  completed(pool: string): number {
    return this.#completed.get(pool) ?? 0;
  }

  /**
   * Opens a batch; one that is there and says the same is the one.
   *
   * @throws PoolError `duplicate_job` when it says something else, `permission_denied`, `pool_full`, `unknown_pool`, `bus_unavailable`
   */
  async open(pool: string, { headers, ...given }: NewBatch): Promise<BatchRecord> {
    const { provision, names, ensure, mayFollow, bus } = this.#parts;
    if (!mayFollow(given.completion.pool)) throw notServed(given.completion.pool);
    await ensure(pool);
    const before = await findBatch(this.#parts, pool, given.id);
    if (before !== undefined) return requireSame(before.record, given);
    await provision((parts) => ensureStream(parts, batchesStream(names, parts.replicas)));
    await this.#requireRoom(pool);
    const record = newBatch({ ...given, openedAt: bus.runtime.wallNow() });
    const written = await writeBatch(this.#parts, pool, { sequence: 0, headers }, record);
    if (written.kind === "stored") return record;
    if (written.kind === "failed") throw enqueueRefusal(written.answer, pool);
    const first = await findBatch(this.#parts, pool, given.id);
    if (first === undefined)
      throw new PoolError("bus_unavailable", "the batch cannot be read", { retryAfterMs: 1_000 });
    return requireSame(first.record, given);
  }

  /**
   * Says how many jobs a batch has. When each of them has its outcome already, the completion job is enqueued.
   *
   * @throws PoolError `not_found`, `duplicate_job` when another number was said before, `invalid_argument`, `bus_unavailable`
   */
  async seal(pool: string, id: string, total: number): Promise<BatchStatus> {
    const { bus } = this.#parts;
    checkTotal(total, batchLimit(bus.maxPayloadBytes));
    const batch = await this.#change(pool, id, (record) => sealed(record, total, bus.runtime.wallNow()));
    // A completion job that cannot be enqueued now is found by a sweep.
    const { fullAt, completedAt } = batch.record;
    if (fullAt === undefined || completedAt !== undefined) return toStatus(batch.record);
    await complete(this.#parts, pool, batch);
    return this.get(pool, id);
  }

  /** @throws PoolError `not_found`, `invalid_argument`, `bus_unavailable` */
  get(pool: string, id: string): Promise<BatchStatus> {
    return readBatch(this.#parts, pool, id);
  }

  /** @throws PoolError `invalid_argument`, `bus_unavailable` */
  list(pool: string, options: BatchPageOptions = {}): Promise<BatchPage> {
    return listBatches(this.#parts, pool, options);
  }

  /** Counts an outcome. @returns when to try again, milliseconds; undefined when it is counted, and what follows is done */
  count(pool: string, { batch, index }: BatchPlace, outcome: Outcome): Promise<number | undefined> {
    return this.#tally(pool, batch).count(markOf(index, outcome));
  }

  /** Called every 100 milliseconds. @param nowMs monotonic milliseconds */
  tick(pools: Iterable<string>, nowMs: number): void {
    this.#sweep.tick(pools, nowMs);
  }

  /** Tries nothing again. */
  stop(): void {
    for (const tally of this.#tallies.values()) tally.stop();
  }

  /** The connection is back. */
  onReconnect(): void {
    for (const tally of this.#tallies.values()) tally.forget();
    this.#sweep.onReconnect(this.#parts.bus.runtime.now());
  }

  async #change(pool: string, id: string, edit: (record: BatchRecord) => BatchRecord): Promise<StoredBatch> {
    for (let tries = 1; ; tries += 1) {
      const batch = await findBatch(this.#parts, pool, id);
      if (batch === undefined) throw noBatch();
      const record = edit(batch.record);
      if (record === batch.record) return batch;
      const written = await writeBatch(this.#parts, pool, batch, record);
      if (written.kind === "stored") return written.batch;
      if (written.kind === "failed") throw enqueueRefusal(written.answer, pool);
      if (tries >= MAX_TRIES)
        throw new PoolError("bus_unavailable", "too many change the batch", { retryAfterMs: 1_000 });
    }
  }

  async #requireRoom(pool: string): Promise<void> {
    const { names, store } = this.#parts;
    if ((await store.count(names.batchesStream, names.everyBatch(pool))) < MAX_BATCHES) return;
    const message = `the pool has ${MAX_BATCHES} batches, the most that are kept`;
    throw new PoolError("pool_full", message, { field: "batch", retryAfterMs: 60_000 });
  }

  #tally(pool: string, id: string): Tally {
    const key = `${pool}.${id}`;
    const tally = this.#tallies.get(key) ?? new Tally(this.#parts, pool, id);
    // The one that was used last is at the end.
    this.#tallies.delete(key);
    this.#tallies.set(key, tally);
    if (this.#tallies.size > MAX_TALLIES) {
      for (const [other, { isIdle }] of this.#tallies) {
        if (!isIdle || other === key) continue;
        this.#tallies.delete(other);
        break;
      }
    }
    return tally;
  }
}

function requireSame(record: BatchRecord, given: Omit<NewBatch, "headers">): BatchRecord {
  const { completion, context, client } = record;
  const isSame =
    completion.pool === given.completion.pool &&
    completion.id === given.completion.id &&
    context === given.context &&
    client === given.client;
  if (isSame) return record;
  throw new PoolError("duplicate_job", "a batch of this id is there and says something else", { field: "batch" });
}

function notServed(pool: string): PoolError {
  const message = `onComplete: the manager does not serve pool ${pool}`;
  return new PoolError("permission_denied", message, { field: "onComplete" });
}
