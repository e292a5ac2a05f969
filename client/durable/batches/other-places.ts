/**
 * Whether a pool has jobs where those of a batch are not: at other levels, or waiting for their time.
 *
 * A job of a batch has an id that was chosen, so a live job there may have it already. To look for each id costs four
 * requests a job, more than to store it. While there is no job at all in these places none has one of the ids.
 */
import { type DurableNames, LEVELS } from "../../../mesh/durable/names.js";
import type { LaneStore } from "../../../mesh/durable/store.js";
import type { Runtime } from "../../../mesh/link/runtime.js";
import type { Priority } from "../../../mesh/wire/headers.js";

/** What it works with. */
export interface OtherPlacesParts {
  readonly pool: string;
  /** That of the batch's jobs. */
  readonly level: Priority;
  readonly names: DurableNames;
  readonly store: LaneStore;
  readonly runtime: Pick<Runtime, "now">;
}

/** For so long an answer counts, in milliseconds. */
const FRESH_MS = 1_000;

export class OtherPlaces {
  readonly #parts: OtherPlacesParts;
  #looked: { readonly atMs: number; readonly found: Promise<boolean> } | undefined;

  constructor(parts: OtherPlacesParts) {
    this.#parts = parts;
  }

  /** Looks once a second at most. True when it cannot tell. */
  haveJobs(): Promise<boolean> {
    const nowMs = this.#parts.runtime.now();
    if (this.#looked === undefined || nowMs - this.#looked.atMs >= FRESH_MS) {
      this.#looked = { atMs: nowMs, found: this.#look().catch(() => true) };
    }
    return this.#looked.found;
  }

  async #look(): Promise<boolean> {
    const { pool, level, names, store } = this.#parts;
    const others = LEVELS.filter((each) => each !== level);
    const levels = others.map((each) => store.nextDecisive(names.jobsStream(pool), names.jobsOf(pool, each), 1));
    // In this order: a job that waits passes from the one to the other.
    const later = store.nextDecisive(names.laterStream(pool), names.everyLater("later", pool), 1);
    const due = later.then(
      (found) => found ?? store.nextDecisive(names.laterStream(pool), names.everyLater("due", pool), 1),
    );
    return (await Promise.all([...levels, due])).some((found) => found !== undefined);
  }
}
