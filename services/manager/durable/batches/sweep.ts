/**
 * Finds batches that are full and whose completion job nobody enqueued: who did the last thing has died since, and nothing brings
 * it again. That is so for the caller and the manager that sealed a batch after its last outcome.
 *
 * Decided here: a batch that changes gets a new sequence, so each change is looked at once.
 */
import type { LaneStore } from "../../../../mesh/durable/store.js";
import { toBatch } from "./batch-store.js";
import { type CompletionParts, complete } from "./completion.js";

/** What it works with. */
export interface BatchSweepParts extends CompletionParts {
  readonly store: LaneStore;
}

/** How often it is done, and how often for a while after the start and after a reconnect, in milliseconds. */
const EVERY_MS = 30_000;
const OFTEN_MS = 5_000;
const OFTEN_FOR_MS = 60_000;
/** Batches that one sweep looks at, of one pool. */
const MOST_AT_ONCE = 1_000;

export class BatchSweep {
  readonly #parts: BatchSweepParts;
  /** By pool: up to which sequence all is done. */
  readonly #done = new Map<string, number>();
  #nextAtMs = Number.NEGATIVE_INFINITY;
  #oftenUntilMs: number;
  #sweeping = false;

  /** @param nowMs monotonic milliseconds */
  constructor(parts: BatchSweepParts, nowMs: number) {
    this.#parts = parts;
    this.#oftenUntilMs = nowMs + OFTEN_FOR_MS;
  }

  /** The broker may have been away. @param nowMs monotonic milliseconds */
  onReconnect(nowMs: number): void {
    this.#oftenUntilMs = nowMs + OFTEN_FOR_MS;
    this.#nextAtMs = nowMs + OFTEN_MS;
  }

  /** Sweeps when it is time. @param nowMs monotonic milliseconds */
  tick(pools: Iterable<string>, nowMs: number): void {
    if (this.#sweeping || nowMs < this.#nextAtMs) return;
    this.#nextAtMs = nowMs + (nowMs < this.#oftenUntilMs ? OFTEN_MS : EVERY_MS);
    this.#sweeping = true;
    // What cannot be read now is read the next time.
    void this.#sweep([...pools])
      .catch(() => undefined)
      .finally(() => {
        this.#sweeping = false;
      });
  }

  async #sweep(pools: readonly string[]): Promise<void> {
    const { names, store } = this.#parts;
    // Without any batch this is all that a sweep costs.
    const last = (await store.streamInfo(names.batchesStream))?.state.last_seq ?? 0;
    for (const pool of pools) if ((this.#done.get(pool) ?? 0) < last) await this.#sweepPool(pool, last);
  }

  /** @param last the stream's last sequence */
  async #sweepPool(pool: string, last: number): Promise<void> {
    const { names, store } = this.#parts;
    let done = this.#done.get(pool) ?? 0;
    /** The first batch that is to be looked at again. */
    let again = Number.POSITIVE_INFINITY;
    for (let count = 0; count < MOST_AT_ONCE; count += 1) {
      const stored = await store.nextDecisive(names.batchesStream, names.everyBatch(pool), done + 1);
      if (stored === undefined) {
        done = Math.max(done, last);
        break;
      }
      const batch = toBatch(stored);
      const isDone = batch === undefined || (await complete(this.#parts, pool, batch)) === undefined;
      if (!isDone) again = Math.min(again, stored.sequence);
      done = stored.sequence;
    }
    this.#done.set(pool, Math.min(done, again - 1));
  }
}
