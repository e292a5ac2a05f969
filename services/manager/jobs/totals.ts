/** The tally of one pool at one manager: totals since its start. Pure. */
import type { Reason } from "../../../mesh/errors.js";

export class Tally {
  /** Jobs taken. */
  submitted = 0;
  /** Busy answers of workers. */
  refused = 0;
  /** Answers that came too late or from a stale attempt, dropped. */
  late = 0;
  readonly #outcomes = new Map<Reason | "ok", number>();

  ended(outcome: Reason | "ok"): void {
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
  }

  /** Outcomes by reason, "ok" for a result. */
  outcomes(): ReadonlyMap<Reason | "ok", number> {
    return this.#outcomes;
  }
}
