/** Waits as many milliseconds as the payload says, reports progress in quarters, and stops at once when aborted. */
import { setTimeout as wait } from "node:timers/promises";
import type { Job } from "../../index.js";

/** Milliseconds in, what it waited out. */
export async function run(job: Job): Promise<{ waitedMs: number }> {
  const totalMs = Number(job.payload);
  if (!(totalMs >= 0 && totalMs <= 86_400_000)) throw new Error("the payload is no number of milliseconds");
  for (let quarter = 1; quarter <= 4; quarter += 1) {
    await wait(totalMs / 4, undefined, { signal: job.signal });
    job.progress({ percent: quarter * 25 });
  }
  return { waitedMs: totalMs };
}
