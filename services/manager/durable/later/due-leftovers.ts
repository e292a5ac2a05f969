/**
 * Moves jobs that are due, that no manager will get any more, and that are in their stream all the same.
 *
 * A broker that is killed may keep a message that was acknowledged, and remember the
 * acknowledgement (docs/adr/0041). Such a job would occupy its id for ever: everybody would find it
 * waiting. Decided here: it is moved once more, and then deleted. It finds its outcome before it
 * runs. A job that keeps none has been moved before, and is deleted.
 */
import { decodeDurableJob } from "../../../../mesh/durable/job.js";
import type { DurableNames } from "../../../../mesh/durable/names.js";
import type { LaneStore, Stored } from "../../../../mesh/durable/store.js";
import { DUE } from "../../../../mesh/durable/streams.js";
import { DEFAULT_TIMEOUT_MS } from "../../../../mesh/job/job.js";

/** What it works with. */
export interface DueLeftoversParts {
  readonly pool: string;
  readonly names: DurableNames;
  readonly store: Pick<LaneStore, "consumerInfo" | "nextDecisive" | "delete">;
  /** Stores a job in its pool's stream. @returns false when that is to be tried again. @throws PoolError */
  readonly move: (job: Stored) => Promise<boolean>;
}

/** Messages that are looked at in one sweep. */
const MOST_AT_ONCE = 1_000;
/** How often it is done, and how often for a while after the start and after a reconnect, in milliseconds. */
const EVERY_MS = 30_000;
const OFTEN_MS = 2_000;
const OFTEN_FOR_MS = 60_000;

export class DueLeftovers {
  readonly #parts: DueLeftoversParts;
  #nextAtMs: number;
  #oftenUntilMs: number;
  #sweeping = false;

  /** @param nowMs monotonic milliseconds */
  constructor(parts: DueLeftoversParts, nowMs: number) {
    this.#parts = parts;
    this.#nextAtMs = nowMs;
    this.#oftenUntilMs = nowMs + OFTEN_FOR_MS;
  }

  /** The broker may have been killed. @param nowMs monotonic milliseconds */
  onReconnect(nowMs: number): void {
    this.#nextAtMs = nowMs + OFTEN_MS;
    this.#oftenUntilMs = nowMs + OFTEN_FOR_MS;
  }

  /** Sweeps when it is time. @param nowMs monotonic milliseconds */
  tick(nowMs: number): void {
    if (this.#sweeping || nowMs < this.#nextAtMs) return;
    this.#nextAtMs = nowMs + (nowMs < this.#oftenUntilMs ? OFTEN_MS : EVERY_MS);
    this.#sweeping = true;
    // What cannot be done now is done the next time.
    void this.sweep()
      .catch(() => undefined)
      .finally(() => {
        this.#sweeping = false;
      });
  }

  /** @throws PoolError */
  async sweep(): Promise<void> {
    const { pool, names, store, move } = this.#parts;
    const stream = names.laterStream(pool);
    const floor = (await store.consumerInfo(stream, DUE))?.ack_floor.stream_seq ?? 0;
    for (let from = 1, count = 0; from <= floor && count < MOST_AT_ONCE; count += 1) {
      const job = await store.nextDecisive(stream, names.everyLater("due", pool), from);
      if (job === undefined || job.sequence > floor) return;
      if (!keepsOutcome(job) || (await move(job))) await store.delete(stream, job.sequence);
      from = job.sequence + 1;
    }
  }
}

function keepsOutcome({ headers }: Stored): boolean {
  try {
    return decodeDurableJob(headers, DEFAULT_TIMEOUT_MS, "").keepOutcome;
  } catch {
    return true;
  }
}
