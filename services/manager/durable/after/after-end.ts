/**
 * What is done between the end of a stored job and its acknowledgement: the job that follows is enqueued, and the
 * batch of the job counts its outcome.
 *
 * Decided here: what was stored as the job's outcome decides, not what this manager saw of it.
 */
import { type BatchPlace, decodePlace } from "../../../../mesh/durable/batches/batch-place.js";
import { decodeOutcome } from "../../../../mesh/durable/outcome.js";
import type { Stored } from "../../../../mesh/durable/store.js";
import { PoolError } from "../../../../mesh/errors.js";
import type { Outcome } from "../../../../mesh/job/job.js";
import { HEADER } from "../../../../mesh/wire/headers.js";
import type { LaneBatches } from "../batches/lane-batches.js";
import type { Delivery } from "../held.js";
import { NextJobs, type NextJobsParts } from "./next-jobs.js";

/** What it works with. */
export interface AfterEndParts extends NextJobsParts {
  readonly batches: Pick<LaneBatches, "count">;
}

/** How a job ended, and the job that the outcome is of. */
interface End {
  readonly outcome: Outcome;
  readonly sequence: number;
  /** Milliseconds since the epoch. */
  readonly endedAt: number;
}

export class AfterEnd {
  readonly #parts: AfterEndParts;
  readonly #nextJobs: NextJobs;

  constructor(parts: AfterEndParts) {
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
    const { job } = delivery;
    const then = job instanceof PoolError ? [] : job.then;
    const batch = job instanceof PoolError ? placeOf(delivery) : job.batch;
    if (then.length === 0 && batch === undefined) return undefined;
    const end = this.#endOf(delivery, stored, outcome);
    if (batch === undefined) return this.#follow(delivery, end);
    return this.#count(delivery, end, batch);
  }

  #follow({ id, level, job }: Delivery, end: End | undefined): Promise<number | undefined> | undefined {
    if (job instanceof PoolError || job.then.length === 0 || end === undefined || !end.outcome.ok) return undefined;
    const { sequence, endedAt } = end;
    return this.#nextJobs.follow({ id, level, job, sequence, endedAt, result: end.outcome.result.payload });
  }

  /** The batch is told last: when it is complete, what follows each of its jobs is stored. */
  async #count(delivery: Delivery, end: End | undefined, batch: BatchPlace): Promise<number | undefined> {
    const againMs = await this.#follow(delivery, end);
    if (againMs !== undefined) return againMs;
    return this.#parts.batches.count(this.#parts.pool, batch, end?.outcome ?? unreadable(delivery));
  }

  #endOf(delivery: Delivery, stored: Stored | undefined, outcome: Outcome | undefined): End | undefined {
    if (outcome !== undefined) {
      return { outcome, sequence: delivery.sequence, endedAt: this.#parts.bus.runtime.wallNow() };
    }
    const decoded = stored && decodeOutcome(delivery.id, stored.headers, stored.payload);
    return decoded && { outcome: decoded.outcome, sequence: decoded.facts.sequence, endedAt: decoded.facts.endedAt };
  }
}

/** That of a job whose headers are wrong otherwise. */
function placeOf({ headers }: Delivery): BatchPlace | undefined {
  try {
    return decodePlace(headers?.get(HEADER.batch));
  } catch {
    return undefined;
  }
}

/** A stored outcome that is none. */
function unreadable({ id, deliveries }: Delivery): Outcome {
  const error = new PoolError("internal", "the stored outcome cannot be read");
  return { ok: false, id, error, worker: "", attempt: deliveries };
}
