/** Computes: about ten milliseconds for each byte of the payload. */
import type { Job } from "../../dist/index.js";
import { countPrimes } from "../harness/loops/compute.js";

export const codec = "text";

export function run(job: Job<string>): string {
  return String(countPrimes(job.payload.length));
}
