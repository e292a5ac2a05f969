/** Ends stored jobs that wait at the dispatcher for a slot: no worker has them, and they wait elsewhere or go back. */
import type { PoolError } from "../../../../mesh/errors.js";
import type { Pool } from "../../pool/pool.js";
import type { Delivery, Held } from "../held.js";

/** @param isMeant of which jobs */
export function endParked(
  { dispatcher }: Pick<Pool, "dispatcher">,
  held: Held,
  error: PoolError,
  isMeant: (delivery: Delivery) => boolean,
): void {
  for (const delivery of [...held.all()]) {
    const job = isMeant(delivery) ? dispatcher.live(delivery.id) : undefined;
    if (job?.state === "parked" && job.spec.nonce === delivery.nonce) dispatcher.cancel(job, error);
  }
}
