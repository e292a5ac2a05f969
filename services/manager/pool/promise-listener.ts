/** Turns the outcome of one job into a promise's. */
import type { PoolError } from "../../../mesh/errors.js";
import type { JobResult, Outcome } from "../../../mesh/job/job.js";
import type { JobListener } from "../jobs/job.js";

/** A class, because a parked job keeps it: an object with a closure is three times as large. */
export class PromiseListener implements JobListener {
  readonly #resolve: (result: JobResult) => void;
  readonly #reject: (error: PoolError) => void;
  readonly onProgress: JobListener["onProgress"];

  constructor(
    resolve: (result: JobResult) => void,
    reject: (error: PoolError) => void,
    onProgress: JobListener["onProgress"],
  ) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.onProgress = onProgress;
  }

  onEnd(outcome: Outcome): void {
    if (outcome.ok) this.#resolve(outcome.result);
    else this.#reject(outcome.error);
  }
}
