/** Fails with the given probability (0 to 1, default 0.5): a handler to watch errors with. */
import type { Job } from "../../index.js";

/** A probability in, the attempt that succeeded out. */
export function run(job: Job): { attempt: number } {
  const probability = typeof job.payload === "number" ? job.payload : 0.5;
  if (Math.random() < probability) throw new Error(`attempt ${job.attempt} failed, as asked`);
  return { attempt: job.attempt };
}
