/** The receipt of a durable job: it is stored. */
import type { JobResult, NextJob, Outcome } from "../../mesh/job/job.js";
import type { WaitOptions } from "./outcome-wait.js";

/** How a receipt waits. */
export interface Waiting {
  /** For the outcome of the receipt's job, or of one that follows it. */
  wait(options: WaitOptions, next?: NextJob): Promise<Outcome>;
  /** Monotonic milliseconds. */
  now(): number;
}

/** The stream has acknowledged the job: it survives its caller, its managers and its workers. */
export class Receipt {
  readonly id: string;
  /** The job's sequence in the pool's stream; 0 for a job that waits for its time. */
  readonly sequence: number;
  /** A live job with this id and payload was there already; this is its receipt. */
  readonly duplicate: boolean;
  /** When the job may run, for one that waits for its time. */
  readonly runAt: Date | undefined;
  readonly #waiting: Waiting;

  constructor(
    {
      id,
      sequence,
      duplicate,
      runAt,
    }: Pick<Receipt, "id" | "sequence" | "duplicate"> & { readonly runAt?: Date | undefined },
    waiting: Waiting,
  ) {
    this.id = id;
    this.sequence = sequence;
    this.duplicate = duplicate;
    this.runAt = runAt;
    this.#waiting = waiting;
  }

  /**
   * The result of the job. It may be asked for at any time, and more than once.
   *
   * @throws PoolError the job's own error; `deadline_exceeded` and `canceled` when the caller has waited
   * long enough (the job goes on), `not_found` when its outcome is not kept any more
   */
  async result(options: WaitOptions = {}): Promise<JobResult> {
    return resultOf(await this.#waiting.wait(options));
  }

  /**
   * The result of the last of the jobs that follow, that of this job when none does. `next` of each result names the
   * job that follows it.
   *
   * @throws PoolError as `result()`, for the job at which the chain ends
   */
  async last({ timeoutMs, ...more }: WaitOptions = {}): Promise<JobResult> {
    const waiting = this.#waiting;
    const endAtMs = waiting.now() + (timeoutMs ?? Number.POSITIVE_INFINITY);
    let result: JobResult | undefined;
    do {
      const leftMs = Math.max(1, endAtMs - waiting.now());
      const limit = timeoutMs === undefined ? {} : { timeoutMs: leftMs };
      result = resultOf(await waiting.wait({ ...more, ...limit }, result?.next));
    } while (result.next !== undefined);
    return result;
  }
}

function resultOf(outcome: Outcome): JobResult {
  if (outcome.ok) return outcome.result;
  throw outcome.error;
}
