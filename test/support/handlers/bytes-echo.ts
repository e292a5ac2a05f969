/** Gives back the bytes that it gets. */
import type { Job } from "../../../services/worker/worker.js";

export const codec = "bytes";

export default function echo(job: Job<Uint8Array>): Uint8Array {
  return job.payload;
}
