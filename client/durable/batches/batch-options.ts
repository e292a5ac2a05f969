/** How a batch is enqueued, and what its options become. Pure. */
import { checkBatchId, checkCompletion, memberId } from "../../../mesh/durable/batches/batch-place.js";
import { checkContext } from "../../../mesh/durable/batches/batch-record.js";
import { PoolError } from "../../../mesh/errors.js";
import type { NextJob } from "../../../mesh/job/job.js";
import { type CheckedOptions, checkEnqueueOptions, type EnqueueOptions } from "../enqueue-options.js";

/** The job that is enqueued when every job of a batch has an outcome. */
export interface OnComplete {
  readonly pool: string;
  /** Default: the batch's id with "-completed". */
  readonly id?: string;
}

/** How a batch is enqueued. What it says of jobs holds for each of them, and for the completion job. */
export interface BatchOptions
  extends Omit<EnqueueOptions, "id" | "runAt" | "delayMs" | "rerun" | "keepOutcome" | "expiresInMs"> {
  /**
   * Names the batch in its pool, 1 to 50 letters, digits, `_` and `-`; default made for you. Who says the same batch again, with
   * the same jobs in the same order, finishes what was begun.
   */
  id?: string;
  /** The job that is enqueued, once, when every job has an outcome: a result, a dead letter, or canceled. */
  onComplete: OnComplete;
  /** What the completion job hears besides the summary: what can be JSON, at most 8,192 bytes. */
  context?: unknown;
  /** The id of each job by its place, from 0; default "ID-PLACE". */
  ids?: (index: number) => string;
  /** Jobs under way at once, 1 to 1,024; default 256. Inputs are read no faster. */
  window?: number;
}

/** Options that are checked. */
export interface CheckedBatch {
  readonly id: string;
  readonly completion: NextJob;
  /** As JSON; "" for none. */
  readonly context: string;
  readonly window: number;
  /** The options of one job. @throws PoolError `invalid_argument` */
  readonly member: (index: number) => CheckedOptions & { readonly id: string };
  /** Those of the batch as a whole. */
  readonly common: CheckedOptions;
}

export const DEFAULT_WINDOW = 256;
const MAX_WINDOW = 1_024;

/** @throws PoolError `invalid_argument` naming the field */
export function checkWindow(window: number = DEFAULT_WINDOW): number {
  if (Number.isInteger(window) && window >= 1 && window <= MAX_WINDOW) return window;
  throw new PoolError("invalid_argument", `window: use a whole number from 1 to ${MAX_WINDOW}`, { field: "window" });
}

/**
 * @param newId makes the id of a batch that has none
 * @param wallNowMs milliseconds since the epoch
 * @throws PoolError `invalid_argument` naming the field
 */
export function checkBatchOptions(
  pool: string,
  { id: said, onComplete, context, ids, window, ...jobs }: BatchOptions,
  defaultTimeoutMs: number,
  { newId, wallNowMs }: { readonly newId: () => string; readonly wallNowMs: number },
): CheckedBatch {
  const id = checkBatchId(said ?? newId(), "id");
  const common = checkEnqueueOptions(jobs, defaultTimeoutMs, wallNowMs);
  return {
    id,
    completion: checkCompletion(pool, id, onComplete),
    context: checkContext(context),
    window: checkWindow(window),
    common,
    member: (index) => {
      const own = ids === undefined ? memberId(id, index) : ids(index);
      const checked = checkEnqueueOptions({ ...jobs, id: own }, defaultTimeoutMs, wallNowMs);
      return { ...checked, id: own, job: { ...checked.job, batch: { batch: id, index } } };
    },
  };
}
