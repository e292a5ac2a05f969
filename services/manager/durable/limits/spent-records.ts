/**
 * Deletes records of limits of which nothing has to be remembered: a key whose starts are all out of their window
 * has one until then, and nobody may touch it again.
 *
 * Decided here: a few at a time, from where the last sweep ended. A record that is
 * changed meanwhile has another sequence, so it is not deleted.
 */
import type { DurableNames } from "../../../../mesh/durable/names.js";
import type { LaneStore } from "../../../../mesh/durable/store.js";
import type { BrokerClock } from "./broker-clock.js";
import { dated, decodeRecord, isOver } from "./record.js";

/** Where. */
export interface SpentRecordsParts {
  readonly pool: string;
  readonly clock: BrokerClock;
  readonly names: DurableNames;
  readonly store: LaneStore;
}

/** Records that are looked at in one sweep. */
const MOST_AT_ONCE = 1_000;

export class SpentRecords {
  readonly #parts: SpentRecordsParts;
  #from = 1;

  constructor(parts: SpentRecordsParts) {
    this.#parts = parts;
  }

  /** @throws PoolError */
  async clear(): Promise<void> {
    const { pool, clock, names, store } = this.#parts;
    const stream = names.limitsStream;
    for (let i = 0; i < MOST_AT_ONCE; i += 1) {
      const next = await store.next(stream, names.everyLimit(pool), this.#from);
      this.#from = next === undefined ? 1 : next.sequence + 1;
      if (next === undefined) return;
      const isLimits = names.idOf(next.subject) === names.limitsToken;
      clock.hear(next.storedAtMs);
      const record = dated(decodeRecord(next.payload), next.storedAtMs);
      if (!isLimits && isOver(record, clock.now())) await store.delete(stream, next.sequence);
    }
  }
}
