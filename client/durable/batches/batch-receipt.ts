/** The receipt of a batch: all of its jobs are stored. */
import type { BatchStatus } from "../../../mesh/durable/batches/batch-status.js";
import type { JobResult, NextJob, Outcome } from "../../../mesh/job/job.js";
import type { WaitOptions } from "../outcome-wait.js";

/** How a receipt waits, and asks. */
export interface BatchWaiting {
  /** For the outcome of the completion job. */
  readonly wait: (options: WaitOptions) => Promise<Outcome>;
  readonly status: () => Promise<BatchStatus>;
}

/** Every job of the batch is stored, and its completion job will be: that survives callers, managers and workers. */
export class BatchReceipt {
  readonly id: string;
  /** How many jobs it has. */
  readonly total: number;
  /** The job that is enqueued when every job has an outcome. */
  readonly completion: NextJob;
  readonly #waiting: BatchWaiting;

  constructor({ id, total, completion }: Pick<BatchReceipt, "id" | "total" | "completion">, waiting: BatchWaiting) {
    this.id = id;
    this.total = total;
    this.completion = completion;
    this.#waiting = waiting;
  }

  /** How the batch stands. @throws PoolError `not_found` when it is not kept any more, `unknown_pool`, `bus_unavailable` */
  status(): Promise<BatchStatus> {
    return this.#waiting.status();
  }

  /**
   * The result of the completion job.
   *
   * @throws PoolError that job's own error; `deadline_exceeded` and `canceled` when the caller has waited long enough
   * (the jobs go on), `not_found` when its outcome is not kept any more
   */
  async result(options: WaitOptions = {}): Promise<JobResult> {
    const outcome = await this.#waiting.wait(options);
    if (outcome.ok) return outcome.result;
    throw outcome.error;
  }
}
