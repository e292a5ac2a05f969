/** Waits for the outcome of a job that this manager has or had. */
import { PoolError } from "../../../mesh/errors.js";
import type { Outcome } from "../../../mesh/job/job.js";
import type { JobListener } from "../jobs/job.js";
import type { Pool } from "../pool/pool.js";

/**
 * @param nowMs monotonic milliseconds
 * @param signal gives up waiting; the job goes on
 * @throws PoolError `not_found` when the id was never here or its outcome is no longer kept, `canceled`
 */
export function awaitOutcome(pool: Pool | undefined, id: string, signal: AbortSignal, nowMs: number): Promise<Outcome> {
  const kept = pool?.outcomes.get(id, nowMs);
  if (kept !== undefined) return Promise.resolve(kept);
  const job = pool?.dispatcher.live(id);
  if (job === undefined) {
    return Promise.reject(
      new PoolError("not_found", "no job with this id, or its outcome is no longer kept", { field: "job" }),
    );
  }
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      job.listeners.splice(job.listeners.indexOf(listener), 1);
      reject(new PoolError("canceled", "the caller gave up waiting"));
    };
    const listener: JobListener = {
      onEnd: (outcome) => {
        signal.removeEventListener("abort", onAbort);
        resolve(outcome);
      },
    };
    job.listeners.push(listener);
    signal.addEventListener("abort", onAbort);
  });
}
