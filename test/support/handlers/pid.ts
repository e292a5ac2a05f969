/** Says which process runs it, and then never settles. */
import type { Job } from "../../../services/worker/worker.js";

export function run(job: Job): Promise<never> {
  job.progress(process.pid);
  setInterval(() => undefined, 1_000);
  return new Promise(() => undefined);
}
