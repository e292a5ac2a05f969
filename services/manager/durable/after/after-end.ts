/**
 * What is done between the end of a stored job and its acknowledgement: the job that follows is enqueued.
 *
 * Decided here: what was stored as the job's outcome decides, not what this manager saw of it.
 */
import { decodeOutcome } from "../../../../mesh/durable/outcome.js";
import type { Stored } from "../../../../mesh/durable/store.js";
import { PoolError } from "../../../../mesh/errors.js";
import type { Outcome } from "../../../../mesh/job/job.js";
import type { Delivery } from "../held.js";
import { NextJobs, type NextJobsParts } from "./next-jobs.js";

/** How a job ended, and the job that the outcome is of. */
interface End {
  readonly outcome: Outcome;
  readonly sequence: number;
  /** Milliseconds since the epoch. */
  readonly endedAt: number;
}

export class AfterEnd {
  readonly #parts: NextJobsParts;
  readonly #nextJobs: NextJobs;

  constructor(parts: NextJobsParts) {
    this.#parts = parts;
    this.#nextJobs = new NextJobs(parts);
  }

  /**
   * Does what follows.
   *
   * @param stored the outcome that somebody else stored; @param outcome the one that was stored for this delivery
   * @returns undefined when nothing follows; else when to try again, milliseconds, undefined when it is done
   */
  run(
    delivery: Delivery,
    stored: Stored | undefined,
    outcome: Outcome | undefined,
  ): Promise<number | undefined> | undefined {
    const { id, level, job } = delivery;
    if (job instanceof PoolError || job.then.length === 0) return undefined;
    const end = this.#endOf(delivery, stored, outcome);
    if (end === undefined || !end.outcome.ok) return undefined;
    const { sequence, endedAt } = end;
    return this.#nextJobs.follow({ id, level, job, sequence, endedAt, result: end.outcome.result.payload });
  }

  #endOf(delivery: Delivery, stored: Stored | undefined, outcome: Outcome | undefined): End | undefined {
    if (outcome !== undefined) {
      return { outcome, sequence: delivery.sequence, endedAt: this.#parts.bus.runtime.wallNow() };
    }
    const decoded = stored && decodeOutcome(delivery.id, stored.headers, stored.payload);
    return decoded && { outcome: decoded.outcome, sequence: decoded.facts.sequence, endedAt: decoded.facts.endedAt };
  }
}
