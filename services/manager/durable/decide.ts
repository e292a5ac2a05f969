/**
 * What becomes of a durable job: when it is delivered, and when it has ended. Pure.
 *
 * Decided here, as two tables: whether a delivered job runs, and what follows from
 * how it ended. Who stores, acknowledges and gives back is ends.ts, called by pool-lane.ts.
 *
 *   a delivery                                   what is done
 *   an outcome of it is stored                   settle: acknowledge
 *   a dead letter of it is stored                bury: store its outcome, acknowledge
 *   its headers are wrong                        bury, invalid_argument
 *   its time is over                             store deadline_exceeded
 *   it may run once, and a claim of it is stored join, else bury, worker_lost: it may have run
 *   delivered far more often than it may fail    bury, worker_lost: whoever has it dies
 *   it may run once                              claim, then run
 *   delivered before, or perhaps, and not ended here   join, else run
 *   anything else                                run
 *   a run or a claim, while its level is paused  wait
 *
 *   an outcome                                   what is done
 *   a result, canceled, the job's time is over   store
 *   the pool had no room here                    wait: hold it, and try again
 *   the manager stops                            giveBack, at once
 *   it will never succeed                        bury
 *   it may run once, and it may have run         bury
 *   failures left                                giveBack, after a wait
 *   no failures left                             bury
 */

import type { DurableJob } from "../../../mesh/durable/job.js";
import { PoolError, type Reason } from "../../../mesh/errors.js";
import type { Outcome } from "../../../mesh/job/job.js";
import { backoffMs } from "./backoff.js";

/** A delivered job, as far as it matters here. */
export interface DeliveredJob {
  readonly id: string;
  /** Its sequence in the stream. */
  readonly sequence: number;
  /** How often it was delivered; 1 for the first time. */
  readonly deliveries: number;
  /** What it says of itself; an error when its headers are wrong. */
  readonly job: DurableJob | PoolError;
  /** It is said to come for the first time, and may have come before: the broker may have forgotten that. */
  readonly mayBeRepeat?: boolean;
  /** Its last delivery ended at this manager, so no worker has it. */
  readonly wasEndedHere?: boolean;
}

/** What the streams say of a job's id. Undefined: nothing is stored, or nobody looked. */
export interface Known {
  /** The outcome's own sequence. */
  readonly outcome?: { readonly sequence: number } | undefined;
  /** A dead letter, and the sequence of the job that it is of. */
  readonly dead?: { readonly job: number; readonly error: PoolError } | undefined;
  /** A claim's own sequence, and that of the job that it is of. */
  readonly claim?: { readonly sequence: number; readonly job: number } | undefined;
}

/** What is to be done. */
export type Act =
  | { readonly do: "run" }
  /** If a worker has it already, that one tells how it ends. Else do the other. */
  | { readonly do: "join"; readonly else: Act; readonly claim: number }
  /** Store a claim over the one with this sequence, 0 for none; then run. */
  | { readonly do: "claim"; readonly over: number }
  /** An outcome is stored: acknowledge. */
  | { readonly do: "settle" }
  | { readonly do: "store"; readonly outcome: Outcome }
  /** Store a dead letter and an outcome with this error. */
  | { readonly do: "bury"; readonly error: PoolError }
  | { readonly do: "giveBack"; readonly delayMs: number }
  /** Hold it, and give it to the pool again. A job that is given back would count one more delivery. */
  | { readonly do: "wait"; readonly delayMs: number }
  /** Somebody else may have it by now: say nothing. */
  | { readonly do: "letGo" };

/** So many deliveries over the bound of failures a job may have: managers that drain give it back. */
const DELIVERIES_OVER_ATTEMPTS = 10;
/** The wait when the pool or the manager was in the way, in milliseconds. */
const NO_FAULT_DELAY_MS = 1_000;

/** Whether a delivery needs to look for an outcome before it runs. */
export function mustLook(delivered: DeliveredJob): boolean {
  const { job } = delivered;
  return !(job instanceof PoolError) && (mayHaveComeBefore(delivered) || job.check);
}

function mayHaveComeBefore({ deliveries, mayBeRepeat }: DeliveredJob): boolean {
  return deliveries > 1 || mayBeRepeat === true;
}

/** @param wallNowMs milliseconds since the epoch */
export function onDelivery(delivered: DeliveredJob, known: Known, wallNowMs: number): Act {
  const { job, sequence, deliveries } = delivered;
  if (job instanceof PoolError) return { do: "bury", error: job };
  if (known.outcome !== undefined && known.outcome.sequence > job.afterOutcome) return { do: "settle" };
  if (known.dead?.job === sequence) return { do: "bury", error: known.dead.error };
  if (job.expiresAt !== undefined && wallNowMs >= job.expiresAt) {
    return { do: "store", outcome: failed(delivered, expired()) };
  }
  if (!job.idempotent && known.claim?.job === sequence) {
    return { do: "join", else: { do: "bury", error: claimed() }, claim: known.claim.sequence };
  }
  if (deliveries > job.maxAttempts + DELIVERIES_OVER_ATTEMPTS) return { do: "bury", error: poison(deliveries) };
  if (!job.idempotent) return { do: "claim", over: known.claim?.sequence ?? 0 };
  const mayBeAtWorker = mayHaveComeBefore(delivered) && delivered.wasEndedHere !== true;
  return mayBeAtWorker ? { do: "join", else: { do: "run" }, claim: 0 } : { do: "run" };
}

/** When a delivery looks again whose outcome could not be looked for, in milliseconds. */
export const LOOK_AGAIN_MS = 250;
/** How often a job of a paused level looks whether it may go on, in milliseconds. */
export const PAUSED_LOOK_MS = 500;

/** While a level is paused nothing of it begins. What a worker may have is joined, and what is over is stored. */
export function whilePaused(act: Act): Act {
  return act.do === "run" || act.do === "claim" ? { do: "wait", delayMs: PAUSED_LOOK_MS } : act;
}

/** What the manager can do at the moment. */
export interface Standing {
  /** Nobody else can have the job: the broker has heard of it in time. */
  readonly holdsLease: boolean;
  /** At least 0, below 1: spreads the waits. */
  readonly chance: number;
  /** Milliseconds since the epoch. */
  readonly wallNowMs: number;
  /** The largest result that can be stored, in bytes. */
  readonly resultLimitBytes: number;
}

/** Not the job's fault, and it has not run. */
const NO_FAULT: ReadonlySet<Reason> = new Set([
  "pool_full",
  "no_workers",
  "unknown_pool",
  "bus_unavailable",
  "duplicate_job",
]);
/** It will never succeed. */
const HOPELESS: ReadonlySet<Reason> = new Set(["job_rejected", "invalid_argument", "payload_too_large"]);

export function onOutcome(delivered: DeliveredJob, outcome: Outcome, standing: Standing): Act {
  if (outcome.ok) return onResult(outcome, standing);
  const { error } = outcome;
  const { job } = delivered;
  if (job instanceof PoolError) return { do: "bury", error: job };
  if (error.reason === "canceled") return { do: "store", outcome };
  if (job.expiresAt !== undefined && standing.wallNowMs >= job.expiresAt) {
    return { do: "store", outcome: failed(delivered, expired(error.maybeExecuted)) };
  }
  return ifHeld(standing, onFailure(delivered, job, error, standing));
}

/** A manager that may have lost a job to another may store its outcome, and nothing else. */
function ifHeld({ holdsLease }: Standing, act: Act): Act {
  return holdsLease ? act : { do: "letGo" };
}

function onResult(outcome: Outcome & { readonly ok: true }, standing: Standing): Act {
  const bytes = outcome.result.payload.length;
  if (bytes <= standing.resultLimitBytes) return { do: "store", outcome };
  const message = `the result has ${bytes} bytes; at most ${standing.resultLimitBytes} can be stored`;
  const error = new PoolError("payload_too_large", message, { maybeExecuted: true });
  return ifHeld(standing, { do: "bury", error });
}

function onFailure({ deliveries }: DeliveredJob, job: DurableJob, error: PoolError, { chance }: Standing): Act {
  const mayRunAgain = job.idempotent || !error.maybeExecuted;
  if (!mayRunAgain || HOPELESS.has(error.reason)) return { do: "bury", error };
  if (error.reason === "draining") return { do: "giveBack", delayMs: 0 };
  if (NO_FAULT.has(error.reason)) return { do: "wait", delayMs: NO_FAULT_DELAY_MS };
  if (deliveries >= job.maxAttempts) return { do: "bury", error };
  const delayMs = error.retryAfterMs ?? backoffMs(job.backoff, deliveries, chance);
  return { do: "giveBack", delayMs };
}

function failed({ id, deliveries }: DeliveredJob, error: PoolError): Outcome {
  return { ok: false, id, error, worker: "", attempt: deliveries };
}

function expired(maybeExecuted = false): PoolError {
  return new PoolError("deadline_exceeded", "the job expired before it ended", { maybeExecuted });
}

/** Nobody can say what became of a job that may run once. */
export function claimed(): PoolError {
  const message = "whoever had the job is lost; it may run once only";
  return new PoolError("worker_lost", message, { maybeExecuted: true, retryable: false });
}

function poison(deliveries: number): PoolError {
  const message = `delivered ${deliveries} times without an outcome`;
  return new PoolError("worker_lost", message, { maybeExecuted: true, retryable: false });
}
