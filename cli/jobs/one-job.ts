/** One job from submit to its end, with what is known of it however it ends. */
import { setTimeout as delay } from "node:timers/promises";
import { type PoolError, toPoolError } from "../../mesh/errors.js";
import type { Outcome, SubmitOptions, Submitter } from "../../mesh/job/job.js";
import type { Link } from "../link.js";
import { PoolScout } from "./pool-scout.js";
import type { WaitNote } from "./wait-note.js";

/** How one job ended. */
export interface JobEnd {
  readonly id: string;
  readonly payload: Uint8Array | undefined;
  readonly error: PoolError | undefined;
  /** Who ran it; "" when nobody did. */
  readonly worker: string;
  /** 1 for the first try, 0 when there was none. */
  readonly attempt: number;
  /** From submit to the attempt that ended it, and to its end, in milliseconds. */
  readonly waitMs: number;
  readonly totalMs: number;
}

/** What runs it, and how patient it is. */
export interface OneJob {
  readonly link: Link;
  readonly submitter: Submitter;
  readonly pool: string;
  readonly payload: Uint8Array;
  readonly options: SubmitOptions & { readonly id: string; readonly timeoutMs: number };
  /** Waits, until the job's deadline, for a pool that nobody serves yet. */
  readonly waitForPool: boolean;
  /** Says what a job that waits for its pool waits for. */
  readonly note: WaitNote;
}

/** The time between two tries for a pool that nobody serves yet, in milliseconds. */
const RETRY_MS = 250;

/** Runs it. Never rejects. */
export async function runOneJob(job: OneJob): Promise<JobEnd> {
  if (job.waitForPool) job.note.begin();
  const end = await untilItEnds(job);
  job.note.stop();
  return end;
}

async function untilItEnds(job: OneJob): Promise<JobEnd> {
  const begunAt = performance.now();
  for (;;) {
    const leftMs = Math.max(1, Math.ceil(job.options.timeoutMs - (performance.now() - begunAt)));
    const outcome = await submitOnce(job, leftMs);
    const isAgain = !outcome.ok && outcome.error.reason === "unknown_pool" && job.waitForPool;
    if (!isAgain || leftMs <= RETRY_MS) return toEnd(job.options.id, outcome, performance.now() - begunAt);
    await delay(RETRY_MS);
  }
}

function submitOnce(
  { link, submitter, pool, payload, options, waitForPool }: OneJob,
  leftMs: number,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const asksWhy = !waitForPool && options.wait !== false;
    let refused: Outcome | undefined;
    let unknown: PoolError | undefined;
    const scout = new PoolScout(link, pool, (error) => {
      unknown = error;
      if (refused === undefined) submitter.cancel(options.id).catch(() => undefined);
      else resolve({ ...refused, error } as Outcome);
    });
    const onOutcome = (outcome: Outcome): void => {
      if (outcome.ok) resolve(outcome);
      else if (outcome.error.reason === "unknown_pool" && asksWhy) {
        refused = outcome;
        return void scout.confirm();
      } else
        resolve(
          outcome.error.reason === "canceled" && unknown !== undefined ? { ...outcome, error: unknown } : outcome,
        );
      scout.stop();
    };
    try {
      submitter.detachSubmit(payload, { ...options, timeoutMs: leftMs, onOutcome });
      if (asksWhy) scout.begin();
    } catch (thrown) {
      onOutcome({ ok: false, id: options.id, error: toPoolError(thrown), worker: "", attempt: 0 });
    }
  });
}

function toEnd(id: string, outcome: Outcome, totalMs: number): JobEnd {
  if (outcome.ok) {
    const { payload, worker, attempt, waitMs } = outcome.result;
    return { id, payload, error: undefined, worker, attempt, waitMs, totalMs: outcome.result.totalMs };
  }
  const { error, worker, attempt, waitMs = totalMs } = outcome;
  return { id, payload: undefined, error, worker, attempt, waitMs, totalMs };
}
