/**
 * How many jobs of each pool wait in its stream, for who scales workers by it.
 *
 * Decided here: while a pool has workers, pulls are open, and each delivered job
 * tells how many wait behind it. Without workers nothing is pulled: then the stream
 * is asked every two seconds. What managers hold is not counted: it is parked or runs.
 */
import type { DurableNames } from "../../../../mesh/durable/names.js";
import type { LaneStore } from "../../../../mesh/durable/store.js";
import type { Pool } from "../../pool/pool.js";
import type { PoolLane } from "../pool-lane.js";

const ASK_EVERY_MS = 2_000;

export class QueueLengths {
  readonly #store: LaneStore;
  readonly #names: DurableNames;
  readonly #asked = new WeakMap<PoolLane, number>();
  #nextAtMs = Number.NEGATIVE_INFINITY;

  constructor(store: LaneStore, names: DurableNames) {
    this.#store = store;
    this.#names = names;
  }

  of(pool: Pool, lane: PoolLane): number {
    return isPulled(pool) ? lane.pulls.waiting : (this.#asked.get(lane) ?? 0);
  }

  /** Asks for those that nobody pulls, when it is time. @param nowMs monotonic milliseconds */
  tick(lanes: ReadonlyMap<Pool, PoolLane>, nowMs: number): void {
    if (nowMs < this.#nextAtMs) return;
    this.#nextAtMs = nowMs + ASK_EVERY_MS;
    for (const [pool, lane] of lanes) if (!isPulled(pool)) void this.#ask(pool.name, lane, nowMs);
  }

  async #ask(pool: string, lane: PoolLane, nowMs: number): Promise<void> {
    // What cannot be read now is as it was.
    const info = await this.#store.streamInfo(this.#names.jobsStream(pool)).catch(() => undefined);
    if (info === undefined) return;
    this.#asked.set(lane, Math.max(0, info.state.messages - lane.held - lane.retrying(nowMs)));
  }
}

function isPulled({ workers, dispatcher }: Pool): boolean {
  return workers.capacity > 0 || dispatcher.isBare;
}
