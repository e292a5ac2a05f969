/**
 * Who has a job that was given to a worker before: by a manager that is gone, or by one that still holds it.
 *
 * A consumer that was deleted and made anew, or whose broker was killed, delivers what another manager holds once more, and
 * counts from 1. Its manager goes on with it, so whoever gets it here waits until that one has ended, or is gone.
 */
import type { Bus } from "../../../../mesh/link/bus.js";
import { delay } from "../../../../mesh/link/runtime.js";
import type { Pool } from "../../pool/pool.js";
import type { Delivery } from "../held.js";

/** What it works with. */
export interface LocateParts {
  readonly pool: Pool;
  readonly bus: Pick<Bus, "runtime">;
  /** Whether another manager that is there says that it holds a job. */
  readonly isHeldElsewhere: (delivery: Delivery) => boolean;
}

/** A worker that this manager does not know yet sends a heartbeat within this time, in milliseconds. */
const FIRST_HEARTBEAT_MS = 1_100;
/** How often it is looked whether another manager still holds a job, in milliseconds, and by what part that varies. */
const LOOK_EVERY_MS = 250;
const SPREAD = 0.5;

/**
 * The worker that has it; undefined when none has. One that this manager has not heard of yet has time to send a heartbeat.
 *
 * @param isWanted whether the job is still held here, and may begin
 */
export async function locateKnown(
  { pool, bus, isHeldElsewhere }: LocateParts,
  delivery: Delivery,
  isWanted: () => boolean,
): Promise<string | undefined> {
  const { runtime } = bus;
  for (;;) {
    const worker = await pool.locator.locate(delivery.id, delivery.nonce);
    if (worker !== undefined) {
      if (pool.workers.get(worker) === undefined) await delay(runtime, FIRST_HEARTBEAT_MS);
      return worker;
    }
    if (delivery.deliveries > 1 || !isWanted() || !isHeldElsewhere(delivery)) return undefined;
    // Two that wait for each other must not say that they hold it.
    delivery.awaitsOther = true;
    await delay(runtime, LOOK_EVERY_MS * (1 + SPREAD * runtime.random()));
    delivery.awaitsOther = false;
  }
}
