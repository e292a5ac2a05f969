/**
 * How many jobs of each pool wait in its stream, for who scales workers by it; and whether the stream is there.
 *
 * Decided here: while a pool has workers, pulls are open, and each delivered job
 * tells how many wait behind it. While none is open, since the pool has no workers or all slots are busy, the stream
 * is asked every two seconds. What managers hold is not counted: it is parked or runs.
 */
import type { DurableNames } from "../../../../mesh/durable/names.js";
import type { LaneStore } from "../../../../mesh/durable/store.js";
import type { Pool } from "../../pool/pool.js";
import type { PoolLane } from "../pool-lane.js";

const ASK_EVERY_MS = 2_000;

/** What it works with. */
export interface QueueLengthsParts {
  readonly store: Pick<LaneStore, "streamInfo">;
  readonly names: DurableNames;
  /** The stream of a pool is not there. */
  readonly onMissing: (pool: Pool) => void;
}

export class QueueLengths {
  readonly #parts: QueueLengthsParts;
  readonly #asked = new WeakMap<PoolLane, number>();
  #nextAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: QueueLengthsParts) {
    this.#parts = parts;
  }

  of(pool: Pool, lane: PoolLane): number {
    return isPulled(pool) ? lane.pulls.waiting : (this.#asked.get(lane) ?? 0);
  }

  /** Asks for those that nobody pulls, when it is time. @param nowMs monotonic milliseconds */
  tick(lanes: ReadonlyMap<Pool, PoolLane>, nowMs: number): void {
    if (nowMs < this.#nextAtMs) return;
    this.#nextAtMs = nowMs + ASK_EVERY_MS;
    for (const [pool, lane] of lanes) {
      // What cannot be read now is as it was.
      if (!isPulled(pool) || !lane.pulls.hasOpen) this.#ask(pool, lane, nowMs).catch(() => undefined);
    }
  }

  async #ask(pool: Pool, lane: PoolLane, nowMs: number): Promise<void> {
    const { store, names, onMissing } = this.#parts;
    const info = await store.streamInfo(names.jobsStream(pool.name));
    if (info === undefined) return onMissing(pool);
    this.#asked.set(lane, Math.max(0, info.state.messages - lane.held - lane.retrying(nowMs)));
  }
}

function isPulled({ workers, dispatcher }: Pool): boolean {
  return workers.capacity > 0 || dispatcher.isBare;
}
