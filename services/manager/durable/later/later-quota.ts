/**
 * How many jobs for later a pool may have.
 *
 * A stream with message schedules cannot refuse what is too much, so managers count.
 * Each knows what the stream had a second ago at most, and what it stored since. So
 * several managers together may go over the bound by what they store in a second.
 */
import type { DurableNames } from "../../../../mesh/durable/names.js";
import type { LaneStore } from "../../../../mesh/durable/store.js";
import { PoolError } from "../../../../mesh/errors.js";
import type { Runtime } from "../../../../mesh/link/runtime.js";

/** What it works with. */
export interface LaterQuotaParts {
  readonly pool: string;
  readonly names: DurableNames;
  readonly store: LaneStore;
  readonly runtime: Pick<Runtime, "now">;
}

/** Bounds of one pool. */
export const MAX_LATER_JOBS = 100_000;
export const MAX_LATER_BYTES = 2 ** 30;
/** For so long a count is used, in milliseconds. */
const FRESH_MS = 1_000;
const RETRY_AFTER_MS = 5_000;

export class LaterQuota {
  readonly #parts: LaterQuotaParts;
  #jobs = 0;
  #bytes = 0;
  #countedAtMs = Number.NEGATIVE_INFINITY;
  #counting: Promise<void> | undefined;

  constructor(parts: LaterQuotaParts) {
    this.#parts = parts;
  }

  /** Room for one more job, which counts from now on. @throws PoolError `pool_full`, `bus_unavailable` */
  async take(payloadBytes: number): Promise<void> {
    if (this.#parts.runtime.now() - this.#countedAtMs >= FRESH_MS) {
      this.#counting ??= this.#count().finally(() => {
        this.#counting = undefined;
      });
      await this.#counting;
    }
    if (this.#jobs >= MAX_LATER_JOBS || this.#bytes + payloadBytes > MAX_LATER_BYTES) {
      const message = `the pool has ${this.#jobs} jobs for later with ${this.#bytes} bytes; at most ${MAX_LATER_JOBS} and ${MAX_LATER_BYTES} may wait`;
      throw new PoolError("pool_full", message, { retryAfterMs: RETRY_AFTER_MS });
    }
    this.#jobs += 1;
    this.#bytes += payloadBytes;
  }

  async #count(): Promise<void> {
    const { pool, names, store, runtime } = this.#parts;
    const info = await store.streamInfo(names.laterStream(pool));
    this.#jobs = info?.state.messages ?? 0;
    this.#bytes = info?.state.bytes ?? 0;
    this.#countedAtMs = runtime.now();
  }
}
