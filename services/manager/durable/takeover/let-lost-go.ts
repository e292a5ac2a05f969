/** What becomes of held jobs that their stream has lost. */
import { PoolError } from "../../../../mesh/errors.js";
import type { Logger } from "../../../../mesh/process/log.js";
import type { Pool } from "../../pool/pool.js";
import type { Delivery } from "../held.js";
import { endParked } from "../pause/end-parked.js";

/** What it works with. */
export interface LostParts {
  readonly pool: Pool;
  readonly log: Logger;
  /** It is held no more. */
  readonly letGo: (delivery: Delivery) => void;
}

/**
 * Lets them go. Their callers hear that they are lost, and may enqueue them again: what no worker has yet does not
 * begin, and the result of what a worker has is not stored, since another job may have its id by now.
 */
export function letLostGo({ pool, log, letGo }: LostParts, lost: readonly Delivery[]): void {
  log.warn({ pool: pool.name, jobs: lost.length }, "the stream has lost jobs that are held here");
  for (const delivery of lost) letGo(delivery);
  endParked(pool, lost, new PoolError("bus_unavailable", "the stream has lost the job"));
}
