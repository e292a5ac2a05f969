/**
 * Asks whether a name has workers, before a job for it is refused.
 *
 * Workers that have not been heard yet answer a roll call with a heartbeat. The
 * broker tells at once when nobody hears it. A manager that has just started
 * gives those who do not know roll calls the time of one heartbeat.
 */
import type { Bus } from "../../../mesh/link/bus.js";
import { delay } from "../../../mesh/link/runtime.js";
import { encodeControl } from "../../../mesh/wire/control-messages.js";
import type { Pool } from "../pool.js";
import type { Pools } from "../pools.js";

/** How long workers have to answer, in milliseconds. */
const ANSWER_LIMIT_MS = 500;
/** A worker sends a heartbeat every second unless told otherwise. */
const FIRST_HEARTBEAT_MS = 1_100;
const LOOK_INTERVAL_MS = 10;

export class RollCall {
  readonly #bus: Bus;
  readonly #pools: Pools;
  readonly #startedAtMs: number;

  constructor(bus: Bus, pools: Pools) {
    this.#bus = bus;
    this.#pools = pools;
    this.#startedAtMs = bus.runtime.now();
  }

  /** Resolves when a worker of the pool was heard, or when it is clear that none will be. */
  async settle(pool: Pool, signal: AbortSignal): Promise<void> {
    const { runtime } = this.#bus;
    const { inbox, subjects } = this.#pools;
    let endAtMs = runtime.now() + ANSWER_LIMIT_MS;
    // Only the broker answers: nobody is there. Workers send a heartbeat instead.
    const token = inbox.open({ onReply: () => (endAtMs = this.#startedAtMs + FIRST_HEARTBEAT_MS) });
    const reply = inbox.subject(token);
    this.#bus.publish(subjects.controlAll(pool.name), encodeControl("rollCall", {}), { reply });
    while (!pool.workers.everHeard && !signal.aborted && runtime.now() < endAtMs) {
      await delay(runtime, LOOK_INTERVAL_MS);
    }
    inbox.close(token);
  }
}
