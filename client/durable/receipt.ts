/** The receipt of a durable job: it is stored. */
import type { JobResult, Outcome } from "../../mesh/job/job.js";
import type { WaitOptions } from "./outcome-wait.js";

/** The stream has acknowledged the job: it survives its caller, its managers and its workers. */
export class Receipt {
  readonly id: string;
  /** The job's sequence in the pool's stream; 0 for a job that waits for its time. */
  readonly sequence: number;
  /** A live job with this id and payload was there already; this is its receipt. */
  readonly duplicate: boolean;
  /** When the job may run, for one that waits for its time. */
  readonly runAt: Date | undefined;
  readonly #wait: (options: WaitOptions) => Promise<Outcome>;

  /** @param wait waits for the job's outcome */
  constructor(
    {
      id,
      sequence,
      duplicate,
      runAt,
    }: Pick<Receipt, "id" | "sequence" | "duplicate"> & { readonly runAt?: Date | undefined },
    wait: (options: WaitOptions) => Promise<Outcome>,
  ) {
    this.id = id;
    this.sequence = sequence;
    this.duplicate = duplicate;
    this.runAt = runAt;
    this.#wait = wait;
  }

  /**
   * The result of the job. It may be asked for at any time, and more than once.
   *
   * @throws PoolError the job's own error; `deadline_exceeded` and `canceled` when the caller has waited
   * long enough (the job goes on), `not_found` when its outcome is not kept any more
   */
  async result(options: WaitOptions = {}): Promise<JobResult> {
    const outcome = await this.#wait(options);
    if (outcome.ok) return outcome.result;
    throw outcome.error;
  }
}
