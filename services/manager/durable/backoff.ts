/** How long a failed durable job waits before it is delivered again. Pure. */
import type { Backoff } from "../../../mesh/durable/job.js";

/** The part by which a wait may be shorter or longer, so that jobs that failed together do not return together. */
const SPREAD = 0.2;

/**
 * Doubled with each delivery, up to the cap, and spread by a fifth.
 *
 * @param deliveries how often the job was delivered; 1 for the first time
 * @param chance at least 0, below 1
 * @returns whole milliseconds
 */
export function backoffMs({ baseMs, capMs }: Backoff, deliveries: number, chance: number): number {
  const doubled = Math.min(capMs, baseMs * 2 ** Math.min(deliveries - 1, 50));
  return Math.round(doubled * (1 + SPREAD * (2 * chance - 1)));
}
