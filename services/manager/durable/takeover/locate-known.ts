/** Which worker has a job that a manager which is gone gave to it. */
import { delay, type Runtime } from "../../../../mesh/link/runtime.js";
import type { Pool } from "../../pool/pool.js";
import type { Delivery } from "../held.js";

/** A worker that this manager does not know yet sends a heartbeat within this time, in milliseconds. */
const FIRST_HEARTBEAT_MS = 1_100;

/** Undefined when none has it. One that this manager has not heard of yet has time to send a heartbeat. */
export async function locateKnown(pool: Pool, runtime: Runtime, delivery: Delivery): Promise<string | undefined> {
  const worker = await pool.locator.locate(delivery.id, delivery.nonce);
  if (worker !== undefined && pool.workers.get(worker) === undefined) await delay(runtime, FIRST_HEARTBEAT_MS);
  return worker;
}
