/** Ends stored jobs that wait at the dispatcher for a slot: no worker has them, and they wait elsewhere or go back. */
import type { PoolError } from "../../../../mesh/errors.js";
import type { Pool } from "../../pool/pool.js";
import type { Delivery } from "../held.js";

export function endParked(
  { dispatcher }: Pick<Pool, "dispatcher">,
  deliveries: readonly Delivery[],
  error: PoolError,
): void {
  for (const delivery of deliveries) {
    const job = dispatcher.live(delivery.id);
    if (job?.state === "parked" && job.spec.nonce === delivery.nonce) dispatcher.cancel(job, error);
  }
}
