/**
 * What is due for the running jobs: acceptance to be said, a deadline that is
 * over, an abort that is ignored. Pure; called on a tick while jobs run.
 */
import { PoolError } from "../../../mesh/errors.js";
import type { RunningJob } from "./running-job.js";

/** What the checks work with. */
export interface ChecksParts {
  readonly acceptAfterMs: number;
  readonly abortGraceMs: number;
  readonly accept: (job: RunningJob) => void;
  /** The number of handlers that ignore their abort has changed. */
  readonly onStuckChange: () => void;
}

export class Checks {
  readonly #parts: ChecksParts;
  #stuck = 0;

  constructor(parts: ChecksParts) {
    this.#parts = parts;
  }

  /** How many slots are held by handlers that ignored their abort. */
  get stuck(): number {
    return this.#stuck;
  }

  /** Does what is due for each job. */
  check(jobs: Iterable<RunningJob>, nowMs: number): void {
    let stuck = 0;
    for (const job of jobs) if (this.#checkOne(job, nowMs)) stuck += 1;
    if (stuck === this.#stuck) return;
    this.#stuck = stuck;
    this.#parts.onStuckChange();
  }

  /** Does what is due for one job; true when its handler ignores its abort. */
  #checkOne(job: RunningJob, nowMs: number): boolean {
    const { acceptAfterMs, abortGraceMs, accept } = this.#parts;
    if (job.abortedSinceMs !== undefined) return nowMs - job.abortedSinceMs > abortGraceMs;
    if (nowMs >= job.deadlineAtMs) {
      job.abort(new PoolError("deadline_exceeded", "the job ran out of time", { maybeExecuted: true }), nowMs);
    } else if (!job.accepted && nowMs - job.startedAtMs >= acceptAfterMs) accept(job);
    return false;
  }
}
