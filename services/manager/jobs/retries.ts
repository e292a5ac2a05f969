/**
 * When a job is sent again, and when it ends instead. Pure.
 *
 * Decided here: every second sending of a job that may have begun.
 *
 *   nobody accepted it in time          the attempt is revoked, and the next one leaves
 *   its worker is lost, not accepted    the same, at once when it is idempotent; else when the attempt cannot start any more
 *   its worker is lost, accepted        again when it is idempotent, else `worker_lost`
 *   its worker drains or crashes        again when it has not begun, or is idempotent
 *
 * A job that may run once only is not sent again before all workers were asked
 * about it. When this manager was cut off meanwhile and a worker was lost since, nobody can be asked: the job ends. A
 * stored job that may run once (`runsOnce`) is not sent again in doubt: it ends when a worker that could have had it
 * is lost, or says nothing, and when the worker that it was to join does not have it. Not decided here: when waiting
 * has lasted too long (timeouts.ts), who is asked and who has to answer (inquiries.ts). A refusal is no attempt: what
 * becomes of a refused job is decided in dispatcher.ts.
 */
import { LRUCache } from "lru-cache";
import { PoolError } from "../../../mesh/errors.js";
import { runsOnce } from "../../../mesh/job/job.js";
import type { InFlight } from "./in-flight.js";
import { type Attempt, type Job, uncertain } from "./job.js";
import type { Totals } from "./totals.js";
import type { WorkerEntry, Workers } from "./workers.js";

/** After so many lost workers a job is taken for what ends them. */
const MAX_LOST_WORKERS = 2;

/** Lost workers that are remembered by name. */
const MAX_REMEMBERED = 1_000;

/** What it works with. */
export interface RetryParts {
  readonly inFlight: InFlight;
  readonly workers: Workers;
  readonly totals: Totals;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Tells all workers that attempts of a job up to a number are not wanted any more. */
  readonly revoke: (job: Job, upToAttempt: number) => void;
  /** Gives a job to a worker that is known to be free, or parks it. */
  readonly assignOrPark: (job: Job) => void;
  /** Sends the next attempt of a job to the worker that has it, where it is not started. */
  readonly join: (job: Job, holder: WorkerEntry) => void;
  /** Ends a job with an error. */
  readonly fail: (job: Job, error: PoolError) => void;
}

export class Retries {
  readonly #parts: RetryParts;
  /** When a worker was lost last, and when each of the last ones was. */
  #lostAtMs = Number.NEGATIVE_INFINITY;
  readonly #lost = new LRUCache<string, number>({ maxSize: MAX_REMEMBERED, sizeCalculation: () => 1 });

  constructor(parts: RetryParts) {
    this.#parts = parts;
  }

  /** A worker is lost: it cannot be asked any more about what was sent before. */
  workerLost(id: string): void {
    this.#lostAtMs = this.#parts.now();
    this.#lost.set(id, this.#lostAtMs);
  }

  /** No worker has accepted an attempt in time: it is revoked, and the job is sent again as the next attempt. */
  acceptTimedOut(attempt: Attempt): void {
    if (runsOnce(attempt.job.spec) || this.#mayHaveBegun(attempt)) this.failUncertain(attempt.job);
    else this.#revokeAndSend(attempt);
  }

  #revokeAndSend(attempt: Attempt): void {
    const { inFlight, workers, totals, now } = this.#parts;
    if (attempt.worker !== undefined) workers.timedOut(attempt.worker, now());
    inFlight.revoke(attempt);
    totals.observer?.revoked(attempt);
    this.#sendNext(attempt);
  }

  /** No worker that answers has got an attempt: the job is sent again. */
  neverArrived(attempt: Attempt): void {
    if (!attempt.isUnanswered) return;
    if (this.#mayHaveBegun(attempt)) this.failUncertain(attempt.job);
    else this.#revokeAndSend(attempt);
  }

  /**
   * Whether a worker that cannot be asked any more may have begun a job that may run once only: the one that it was sent to,
   * any of those that an offer could go to. In the core lane who begins says so, and what it says is lost only with a connection.
   */
  #mayHaveBegun({ job, sentAtMs, wasCutOff, worker }: Attempt): boolean {
    const lostAtMs = worker === undefined ? this.#lostAtMs : (this.#lost.get(worker) ?? Number.NEGATIVE_INFINITY);
    if (sentAtMs > lostAtMs) return false;
    return runsOnce(job.spec) || (wasCutOff && !job.spec.idempotent);
  }

  /** Nobody can say whether a job has begun that must not begin twice. */
  failUncertain(job: Job): void {
    if (job.attempt !== undefined) this.#parts.revoke(job, job.attempt.number);
    this.#parts.fail(job, uncertain());
  }

  /** Its worker says that it does not know an attempt. One that nobody has accepted did not arrive: no worker is lost. */
  unknownAt(attempt: Attempt): void {
    if (!attempt.isUnanswered) return this.attemptLost(attempt, "has forgotten it");
    // Any other job is sent again when all workers have said so, or were asked in vain.
    if (!attempt.job.spec.idempotent) return;
    this.#parts.inFlight.revoke(attempt);
    this.#sendNext(attempt);
  }

  /**
   * A worker that listed the job does not run it, and knows it all the same: it has run an earlier attempt, whose result
   * nobody may take, and has not got this one. A job that may run once is sent to it alone, if it answers with what it has.
   */
  ranEarlierAttempt(attempt: Attempt): void {
    const { isOpen, isListedOnly, mayBeFollowed, job, worker } = attempt;
    if (!isOpen || !isListedOnly || !mayBeFollowed) return;
    const { inFlight, workers, join } = this.#parts;
    if (job.spec.idempotent) {
      inFlight.close(attempt);
      return this.#sendNext(attempt);
    }
    const holder = worker === undefined ? undefined : workers.get(worker);
    if (holder?.answersLater !== true) return;
    inFlight.close(attempt);
    job.spec.joinAt = holder.id;
    this.#revokeUpTo(attempt);
    workers.join(holder.id);
    join(job, holder);
  }

  /** The worker of one attempt is lost, or does not know it any more. */
  attemptLost(attempt: Attempt, why: string): void {
    if (!attempt.isOpen) return;
    const { job, worker = "unknown" } = attempt;
    // Nobody has accepted it, but it may still arrive somewhere: the next attempt leaves when this one cannot start.
    if (!job.spec.idempotent && attempt.isUnanswered && attempt.node !== undefined) return;
    job.lostWorkers += 1;
    const isSafe = job.spec.idempotent || attempt.state !== "accepted";
    const isPoison = job.lostWorkers >= MAX_LOST_WORKERS && attempt.state === "accepted";
    if (isSafe && !isPoison && attempt.mayBeFollowed) {
      this.#parts.inFlight.close(attempt);
      return this.#sendNext(attempt);
    }
    const options = { maybeExecuted: true, retryable: job.spec.idempotent && !isPoison };
    const times = isPoison ? `; it was the job of ${job.lostWorkers} workers that were lost` : "";
    this.#parts.fail(
      job,
      new PoolError("worker_lost", `worker ${worker} ${why} while it had the job${times}`, options),
    );
  }

  /**
   * A worker ended an attempt with an error.
   *
   * @returns whether the job was sent again; its attempt is over in any case
   */
  failed(attempt: Attempt, error: PoolError): boolean {
    const { job } = attempt;
    const hasCrashed = error.reason === "worker_lost";
    if (hasCrashed) job.lostWorkers += 1;
    const isOfWorker = error.reason === "draining" || (hasCrashed && job.lostWorkers < MAX_LOST_WORKERS);
    const isAgain = isOfWorker && isSafeAfter(job, error) && attempt.mayBeFollowed;
    if (isAgain) this.#sendNext(attempt);
    return isAgain;
  }

  /** The next attempt of a job whose last one may have run. */
  #sendNext(attempt: Attempt): void {
    this.#revokeUpTo(attempt);
    this.#parts.assignOrPark(attempt.job);
  }

  #revokeUpTo({ job, number }: Attempt): void {
    job.attempts = number;
    this.#parts.revoke(job, number);
  }
}

/** Whether a job may run again after this error. */
export function isSafeAfter({ spec }: Job, error: PoolError): boolean {
  return spec.idempotent || !error.maybeExecuted;
}
