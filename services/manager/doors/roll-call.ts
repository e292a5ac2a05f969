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
import type { Pool } from "../pool/pool.js";
import type { Pools } from "../pools.js";

/** How long workers have to answer, in milliseconds. */
const ANSWER_LIMIT_MS = 500;
/** A worker sends a heartbeat every second unless told otherwise. */
const FIRST_HEARTBEAT_MS = 1_100;
const LOOK_INTERVAL_MS = 10;
/** What a roll call told is true for this long, in milliseconds: many jobs for one name do not wait one after another. */
const TRUE_FOR_MS = 1_000;

export class RollCall {
  readonly #bus: Bus;
  readonly #pools: Pools;
  readonly #startedAtMs: number;
  readonly #settledAtMs = new WeakMap<Pool, number>();

  constructor(bus: Bus, pools: Pools) {
    this.#bus = bus;
    this.#pools = pools;
    this.#startedAtMs = bus.runtime.now();
  }

  /** Resolves when a worker of the pool was heard, or when it is clear that none will be. */
  async settle(pool: Pool, signal: AbortSignal): Promise<void> {
    const { runtime } = this.#bus;
    if (runtime.now() - (this.#settledAtMs.get(pool) ?? Number.NEGATIVE_INFINITY) < TRUE_FOR_MS) return;
    const { inbox, subjects } = this.#pools;
    const subject = subjects.controlAll(pool.name);
    let endAtMs = runtime.now() + ANSWER_LIMIT_MS;
    // Workers send a heartbeat instead of an answer; the broker says when nobody hears the question.
    const question = { subject, payload: encodeControl("rollCall", {}), limitMs: ANSWER_LIMIT_MS, signal };
    void inbox.ask(question).then(({ kind }) => {
      if (kind === "absent") endAtMs = this.#startedAtMs + FIRST_HEARTBEAT_MS;
    });
    while (!pool.workers.everHeard && !signal.aborted && runtime.now() < endAtMs) {
      await delay(runtime, LOOK_INTERVAL_MS);
    }
    if (!signal.aborted) this.#settledAtMs.set(pool, runtime.now());
  }
}
