/**
 * A later attempt of a job that this worker runs or has run as an earlier one. Pure.
 *
 * Its manager could not hear this worker: it has revoked the earlier attempt, and
 * sends the next one. Decided here: who has an answer already gives that, and the
 * job does not run again. An attempt that was ended by force has none: a job that
 * may run once only ends as `worker_lost`, any other runs.
 *
 * A job of the durable lane comes again when its manager is gone. It runs again after
 * a failure; which outcomes answer it is decided in kept-outcomes.ts.
 */

import { PoolError } from "../../../mesh/errors.js";
import { ATTEMPTS_PER_MANAGER } from "../../../mesh/job/job.js";
import type { HandlerOutcome } from "../handlers/runner.js";
import type { KeptOutcomes } from "./kept-outcomes.js";
import type { Results } from "./results.js";
import type { JobOrder, RunningJob } from "./running-job.js";
import type { RunningJobs } from "./running-jobs.js";

/** Of what has ended, so many attempts are looked for: all of its own manager, and the first ones of each manager before. */
const OTHERS_ATTEMPTS = 16;

/** What becomes of a later attempt: it waits for the running one, hears how the earlier one has ended, or is run. */
export type Earlier =
  | { readonly kind: "runs"; readonly job: RunningJob }
  | { readonly kind: "ended"; readonly outcome: HandlerOutcome }
  | { readonly kind: "none" };

const NONE: Earlier = { kind: "none" };

/**
 * What this worker knows of the attempts before one.
 *
 * @param nowMs monotonic milliseconds
 */
export function earlierAttempt(order: JobOrder, jobs: RunningJobs, results: Results, nowMs: number): Earlier {
  const running = jobs.findEarlier(order);
  if (running !== undefined) return { kind: "runs", job: running };
  let wasForced = false;
  for (const attempt of attemptsBefore(order.attempt)) {
    const { id, nonce } = order;
    const earlier = { id, nonce, attempt };
    const outcome = results.find(earlier, nowMs)?.outcome;
    if (outcome !== undefined && isOfHandler(outcome)) return { kind: "ended", outcome };
    wasForced ||= jobs.find(earlier) !== undefined || results.hasFinished(earlier, nowMs);
  }
  if (!wasForced || order.idempotent) return NONE;
  const options = { maybeExecuted: true };
  const error = new PoolError(
    "worker_lost",
    "the job began here, and was revoked while nobody heard this worker",
    options,
  );
  return { kind: "ended", outcome: { ok: false, error } };
}

/** The same of a job of the durable lane, whichever attempts it had. */
export function earlierStored(order: JobOrder, jobs: RunningJobs, kept: KeptOutcomes, nowMs: number): Earlier {
  const { id, nonce } = order;
  if (nonce === "") return NONE;
  const outcome = kept.find(id, nonce, nowMs);
  if (outcome !== undefined) return { kind: "ended", outcome };
  const job = jobs.findDurable(id, nonce);
  return job === undefined ? NONE : { kind: "runs", job };
}

/** The numbers of attempts that may have come before, the last one first. */
function* attemptsBefore(attempt: number): Generator<number> {
  const firstOwn = attempt - ((attempt - 1) % ATTEMPTS_PER_MANAGER);
  for (let each = attempt - 1; each >= firstOwn; each -= 1) yield each;
  for (let first = firstOwn - ATTEMPTS_PER_MANAGER; first >= 1; first -= ATTEMPTS_PER_MANAGER) {
    for (let each = first + OTHERS_ATTEMPTS - 1; each >= first; each -= 1) yield each;
  }
}

/** Whether the handler has made this, or refused the job: it would do so again. */
function isOfHandler(outcome: HandlerOutcome): boolean {
  if (outcome.ok) return true;
  const { reason } = outcome.error;
  return reason === "job_failed" || reason === "job_rejected" || reason === "payload_too_large";
}
