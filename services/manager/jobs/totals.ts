/** The totals of one pool at one manager, since the pool became known there. Pure. */
import type { Reason } from "../../../mesh/errors.js";

export class Totals {
  /** Jobs taken. */
  submitted = 0;
  /** `busy` replies of workers. */
  refused = 0;
  /** Replies that came too late or for a stale attempt; dropped. */
  late = 0;
  /** Replies that are no answer of a worker: unknown kinds, acknowledgements of streams; dropped. */
  strangers = 0;
  readonly #outcomes = new Map<Reason | "ok", number>();

  ended(outcome: Reason | "ok"): void {
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
  }

  /** Outcomes by reason, "ok" for a result. */
  outcomes(): ReadonlyMap<Reason | "ok", number> {
    return this.#outcomes;
  }
}
