/** Answers with the job's payload. */
import type { Job } from "../../dist/index.js";

export const codec = "text";

export function run(job: Job<string>): string {
  return job.payload;
}
