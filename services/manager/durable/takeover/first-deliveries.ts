/**
 * Which jobs may have been delivered before although the broker says that they come for the first time.
 *
 * A broker notes what it has delivered a moment after it did. One that is killed has forgotten the last of it: it delivers
 * those jobs again and counts from 1, also those that have ended since. So what was stored before the start of this
 * manager, before a reconnect or before a consumer had another leader is looked up like a job that comes again.
 *
 * Decided here: up to which sequence. Until the stream has told it, nothing is taken for new.
 */
import type { LaneStore } from "../../../../mesh/durable/store.js";

/** After a question without an answer, in milliseconds. */
const ASK_AGAIN_MS = 500;

/** What it works with. */
export interface FirstDeliveriesParts {
  readonly store: Pick<LaneStore, "streamInfo">;
  /** The name of the stream of the pool's jobs. */
  readonly stream: string;
}

export class FirstDeliveries {
  readonly #parts: FirstDeliveriesParts;
  #newFrom = Number.POSITIVE_INFINITY;
  /** Counts the doubts: an answer to an earlier question tells nothing of what came after. */
  #doubts = 0;
  #asksAtMs = 0;

  constructor(parts: FirstDeliveriesParts) {
    this.#parts = parts;
  }

  /** Whether a job that is said to come for the first time may have come before. @param sequence in the stream */
  mayBeRepeat(sequence: number): boolean {
    return sequence < this.#newFrom;
  }

  /** The broker may have forgotten what it delivered. @param nowMs monotonic milliseconds */
  doubt(nowMs: number): void {
    this.#newFrom = Number.POSITIVE_INFINITY;
    this.#doubts += 1;
    this.#ask(nowMs);
  }

  /** Asks again for what was not answered. @param nowMs monotonic milliseconds */
  tick(nowMs: number): void {
    if (this.#newFrom === Number.POSITIVE_INFINITY && nowMs >= this.#asksAtMs) this.#ask(nowMs);
  }

  #ask(nowMs: number): void {
    const doubt = this.#doubts;
    this.#asksAtMs = nowMs + ASK_AGAIN_MS;
    this.#parts.store.streamInfo(this.#parts.stream).then(
      (info) => {
        if (doubt === this.#doubts) this.#newFrom = (info?.state.last_seq ?? 0) + 1;
      },
      // It is asked again.
      () => undefined,
    );
  }
}
