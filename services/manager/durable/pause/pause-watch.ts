/**
 * Which levels of one pool are paused, as far as this manager knows.
 *
 * Decided here: the broker tells when a consumer is paused or goes on; what that means is
 * read from the consumers, so a word that is lost or not the broker's changes nothing. They
 * are read at the start, after a reconnect and now and then, too.
 */
import { isTooOld, NEEDS } from "../../../../mesh/durable/broker-needs.js";
import { type DurableNames, LEVELS } from "../../../../mesh/durable/names.js";
import { pauseOf } from "../../../../mesh/durable/pause/lane-pause.js";
import type { LaneStore } from "../../../../mesh/durable/store.js";
import type { Bus } from "../../../../mesh/link/bus.js";
import type { Subscription } from "../../../../mesh/link/subscription.js";
import type { Logger } from "../../../../mesh/process/log.js";
import type { Priority } from "../../../../mesh/wire/headers.js";

/** What it works with. */
export interface PauseWatchParts {
  readonly pool: string;
  readonly bus: Bus;
  readonly names: DurableNames;
  readonly store: LaneStore;
  /** Levels are paused that were not. */
  readonly onPause: () => void;
  readonly log: Logger;
}

/** How often the consumers are read without a word of the broker, in milliseconds. */
const LOOK_EVERY_MS = 30_000;

export class PauseWatch {
  readonly #parts: PauseWatchParts;
  readonly #subscription: Subscription;
  #levels: ReadonlySet<Priority> = new Set();
  #nextAtMs = Number.NEGATIVE_INFINITY;
  #looking = false;

  constructor(parts: PauseWatchParts) {
    const { bus, names, pool } = parts;
    this.#parts = parts;
    this.#subscription = bus.subscribe(names.pauseAdvisories(pool), () => this.lookSoon());
  }

  /** Whether jobs of this level are not to be started. */
  has(level: Priority): boolean {
    return this.#levels.has(level);
  }

  /** Something may have changed. */
  lookSoon(): void {
    this.#nextAtMs = Number.NEGATIVE_INFINITY;
    this.tick(this.#parts.bus.runtime.now());
  }

  /** Called every 100 milliseconds. @param nowMs monotonic milliseconds */
  tick(nowMs: number): void {
    const { bus } = this.#parts;
    if (this.#looking || nowMs < this.#nextAtMs || !bus.connected) return;
    this.#nextAtMs = nowMs + LOOK_EVERY_MS;
    if (isTooOld(bus.nc.info?.version, NEEDS.pauses)) return;
    this.#looking = true;
    // What cannot be read now is read the next time.
    void this.#look()
      .catch(() => undefined)
      .finally(() => {
        this.#looking = false;
      });
  }

  stop(): void {
    this.#subscription.unsubscribe();
  }

  async #look(): Promise<void> {
    const { pool, names, store, onPause, log } = this.#parts;
    const stream = names.jobsStream(pool);
    const paused = pauseOf(await Promise.all(LEVELS.map((level) => store.consumerInfo(stream, level))));
    const before = this.#levels;
    this.#levels = new Set(paused?.levels);
    const isChanged = LEVELS.some((level) => before.has(level) !== this.#levels.has(level));
    if (isChanged) log.info({ pool, levels: [...this.#levels] }, paused ? "the lane is paused" : "the lane goes on");
    if (LEVELS.some((level) => !before.has(level) && this.#levels.has(level))) onPause();
  }
}
