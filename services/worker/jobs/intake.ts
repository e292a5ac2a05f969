/**
 * Whether a job starts here: the order of the checks, and what was revoked. Pure.
 *
 * A worker never queues: a job becomes a running job, a refusal, or a repeat of
 * what it has run already.
 */

import { LRUCache } from "lru-cache";
import { PoolError } from "../../../mesh/errors.js";
import { ATTEMPTS_PER_MANAGER } from "../../../mesh/job/job.js";
import { earlierAttempt, earlierStored } from "./earlier-attempts.js";
import type { KeptOutcomes } from "./kept-outcomes.js";
import type { Results } from "./results.js";
import { type JobOrder, jobKey, MAX_OTHERS, type Revoke, type RunningJob } from "./running-job.js";
import type { RunningJobs, Slots } from "./running-jobs.js";

/** When a plain job that found no slot may be tried again, in milliseconds. */
const RETRY_AFTER_MS = 100;

/** How refusals are said. */
export interface RefusalPort {
  /** The worker has no free slot, is not READY, or the offer is too old or was read after a stall. @param free its free slots @param ageMs why: it is so old */
  busy(order: JobOrder, free: number, ageMs?: number): void;
  error(order: JobOrder, error: PoolError): void;
}

/** What the checks work with. */
export interface IntakeParts {
  readonly slots: Slots;
  readonly jobs: RunningJobs;
  readonly results: Results;
  readonly kept: KeptOutcomes;
  readonly revoked: Revoked;
  readonly refusals: RefusalPort;
  /** The subject to submit to instead, for the message of a refusal. */
  readonly submitSubject: string;
  /** An offer was not started, and its manager may hear no answer: it has counted a slot for it. */
  readonly onUnheard: () => void;
  /** Whether the worker is READY. */
  readonly isReady: () => boolean;
  /** Whether what is read now may be out of date. */
  readonly inputIsStale: () => boolean;
}

export class Intake {
  readonly #parts: IntakeParts;
  /** Offers answered with `busy`. */
  refusedTotal = 0;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  /**
   * Starts, refuses or repeats a job.
   *
   * @param nowMs monotonic milliseconds
   */
  decide(order: JobOrder, nowMs: number): void {
    const { refusals, jobs, slots } = this.#parts;
    if (nowMs >= order.deadlineAtMs) {
      return refusals.error(order, new PoolError("deadline_exceeded", "the job had expired before it came"));
    }
    if (this.#parts.revoked.has(order.id, order.nonce, order.attempt, nowMs)) return this.#refuseRevoked(order, nowMs);
    if (order.named && this.#isRepeat(order, nowMs)) return;
    if (order.attempt > 1 && order.offered && this.#hasEarlier(order, nowMs)) return;
    if (order.joins) return this.#refuseJoin(order);
    if (!this.#parts.isReady()) this.#refuse(order, notReady);
    else if (isLate(order)) this.#busy(order, slots.free, order.ageMs);
    else if (isOfUnknownAge(order)) this.#busy(order, slots.free);
    else if (order.offered && this.#parts.inputIsStale()) this.#busy(order, slots.free);
    else if (!jobs.start(order, nowMs)) this.#refuse(order, () => this.#full());
  }

  /** @param why is called only where it is said: an error costs more than a job */
  #refuse(order: JobOrder, why: () => PoolError): void {
    if (order.offered) this.#busy(order, 0);
    else this.#parts.refusals.error(order, why());
  }

  #busy(order: JobOrder, free: number, ageMs?: number): void {
    this.refusedTotal += 1;
    this.#parts.refusals.busy(order, free, ageMs);
  }

  /**
   * A manager knows what it has revoked, and makes other attempts. One whose attempts were all revoked by somebody else
   * may not have heard that: it would go on, and take this worker for one that takes nothing. One that has heard it
   * hears no answer any more: the next heartbeat tells it that the slot is free. A plain sender gets its one answer.
   */
  #refuseRevoked(order: JobOrder, nowMs: number): void {
    const { id, nonce, attempt, offered, durable } = order;
    if (offered) this.#parts.onUnheard();
    if (offered && (durable || !this.#parts.revoked.hasAllOfManager(id, nonce, attempt, nowMs))) return;
    this.#parts.refusals.error(order, new PoolError("canceled", "the job was canceled before it came"));
  }

  /** Whether this attempt runs here or has run here; its sender is answered. */
  #isRepeat(order: JobOrder, nowMs: number): boolean {
    const { jobs, results, refusals } = this.#parts;
    const running = jobs.find(order);
    if (running !== undefined) {
      if (order.offered) this.#join(order, running);
      else refusals.error(order, new PoolError("duplicate_job", "this job is running"));
      return true;
    }
    if (!results.hasFinished(order, nowMs)) return false;
    const kept = results.find(order, nowMs);
    if (kept !== undefined) order.answerer.end(order, kept.outcome, nowMs);
    else refusals.error(order, new PoolError("duplicate_job", "this attempt has run; its result is no longer kept"));
    return true;
  }

  /** Whether an earlier attempt of this submission runs here or has run here, and answers this one. */
  #hasEarlier(order: JobOrder, nowMs: number): boolean {
    const { jobs, results, kept } = this.#parts;
    const earlier = order.durable
      ? earlierStored(order, jobs, kept, nowMs)
      : earlierAttempt(order, jobs, results, nowMs);
    if (earlier.kind === "none") return false;
    if (earlier.kind === "ended") order.answerer.end(order, earlier.outcome, nowMs);
    else this.#join(order, earlier.job);
    return true;
  }

  /** It waits for the job that runs. What no more may join is not run a second time. */
  #join(order: JobOrder, running: RunningJob): void {
    if (running.join(order)) return order.answerer.accepted(order);
    const message = `this job is running, and ${MAX_OTHERS} other managers wait for it`;
    this.#parts.refusals.error(order, new PoolError("duplicate_job", message, { maybeExecuted: true }));
  }

  /** It is not here, and must not be started. */
  #refuseJoin(order: JobOrder): void {
    const { slots, refusals } = this.#parts;
    if (order.offered) this.#busy(order, this.#parts.isReady() ? slots.free : 0);
    else refusals.error(order, new PoolError("not_found", "this worker does not have the job"));
  }

  #full(): PoolError {
    const message = `no slot is free here; submit to ${this.#parts.submitSubject} to wait for one`;
    return new PoolError("pool_full", message, { utilization: 1, parked: 0, retryAfterMs: RETRY_AFTER_MS });
  }
}

/** Whether the lease of an offer is over: its manager may have sent it to another worker. */
function isLate({ offered, ageMs, startWithinMs }: JobOrder): boolean {
  return offered && startWithinMs !== undefined && ageMs > startWithinMs;
}

/** Whether an offer has a lease and is the first word of its sender: it may be older than it looks. The next one is measured. */
function isOfUnknownAge({ offered, measured, startWithinMs }: JobOrder): boolean {
  return offered && !measured && startWithinMs !== undefined;
}

function notReady(): PoolError {
  return new PoolError("draining", "this worker takes nothing new");
}

export const REVOKED_LIMIT = 10_000;
export const REVOKED_TTL_MS = 600_000;
/** For a cancel that names no submission, in milliseconds: the longest time that a job of that id is on its way. */
export const CANCELED_ID_TTL_MS = 10_000;

interface Revocation {
  readonly upToAttempt: number;
  readonly untilMs: number;
  /** When it was taken back, monotonic milliseconds. */
  readonly backAtMs?: number;
}

/**
 * Remembers up to which attempt each submission was revoked or canceled, so that a
 * job which comes late is not run. Bounded in number and age.
 *
 * A cancel that names no submission means every job of its id: it is remembered for
 * a short time only, since an id may be used again, and until a manager says that it is.
 */
export class Revoked {
  /** The oldest entry leaves first: reading one does not make it newer. Bounded by `maxSize`, it takes no room while empty. */
  readonly #jobs = new LRUCache<string, Revocation>({ maxSize: REVOKED_LIMIT, sizeCalculation: () => 1 });

  add({ id, nonce, upToAttempt, beforeMs }: Revoke, nowMs: number): void {
    const key = jobKey(id, nonce);
    const { upToAttempt: known = 0, backAtMs = Number.NEGATIVE_INFINITY } = this.#live(key, nowMs) ?? {};
    if (beforeMs !== undefined && backAtMs > beforeMs) return;
    const isOfWholeId = nonce === "" && upToAttempt === Number.POSITIVE_INFINITY;
    const untilMs = nowMs + (isOfWholeId ? CANCELED_ID_TTL_MS : REVOKED_TTL_MS);
    this.#jobs.set(key, { upToAttempt: Math.max(known, upToAttempt), untilMs });
  }

  /** A cancel of a whole id does not count any more, whenever it is said again: the id is used anew. */
  takeBack(id: string, nowMs: number): void {
    this.#jobs.set(id, { upToAttempt: 0, untilMs: nowMs + CANCELED_ID_TTL_MS, backAtMs: nowMs });
  }

  /** Whether this attempt must not run. */
  has(id: string, nonce: string, attempt: number, nowMs: number): boolean {
    if (this.#jobs.size === 0) return false;
    if ((this.#live(id, nowMs)?.upToAttempt ?? 0) >= attempt) return true;
    return nonce !== "" && (this.#live(jobKey(id, nonce), nowMs)?.upToAttempt ?? 0) >= attempt;
  }

  /**
   * Whether no attempt may run any more that the manager of this one can make: somebody else has revoked them all. A
   * cancel of a whole id does not count: the job may be another one of this id.
   */
  hasAllOfManager(id: string, nonce: string, attempt: number, nowMs: number): boolean {
    const upTo = this.#live(jobKey(id, nonce), nowMs)?.upToAttempt ?? 0;
    if (nonce === "" && upTo === Number.POSITIVE_INFINITY) return false;
    return upTo >= Math.ceil(attempt / ATTEMPTS_PER_MANAGER) * ATTEMPTS_PER_MANAGER;
  }

  #live(key: string, nowMs: number): Revocation | undefined {
    const found = this.#jobs.peek(key);
    return found !== undefined && nowMs <= found.untilMs ? found : undefined;
  }
}
