/**
 * Asks whether a name has workers, before a job for it is refused.
 *
 * Workers that have not been heard yet answer a roll call with a heartbeat. The
 * broker tells at once when nobody hears it. A manager that has just connected
 * gives those who do not know roll calls the time of one heartbeat.
 */
import type { Bus } from "../../../mesh/link/bus.js";
import type { Inbox } from "../../../mesh/link/inbox.js";
import { listenOnce } from "../../../mesh/link/runtime.js";
import { encodeControl } from "../../../mesh/wire/control-messages.js";
import type { Subjects } from "../../../mesh/wire/subjects.js";
import type { Pool } from "../pool/pool.js";

/** How long workers have to answer, in milliseconds. */
const ANSWER_LIMIT_MS = 500;
/** A worker sends a heartbeat every second unless told otherwise. */
const FIRST_HEARTBEAT_MS = 1_100;
const LOOK_INTERVAL_MS = 10;
/** What a roll call told is true for this long, in milliseconds: many jobs for one name do not wait one after another. */
const TRUE_FOR_MS = 1_000;

/** What it asks through. */
export interface RollCallParts {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly inbox: () => Inbox;
}

export class RollCall {
  readonly #parts: RollCallParts;
  #listensSinceMs: number;
  readonly #settledAtMs = new WeakMap<Pool, number>();
  /** Those that are being asked for. */
  readonly #settling = new Map<Pool, Promise<void>>();

  constructor(parts: RollCallParts) {
    this.#parts = parts;
    this.#listensSinceMs = parts.bus.runtime.now();
  }

  /** From now on heartbeats are heard, after a time without them. */
  listens(): void {
    this.#listensSinceMs = this.#parts.bus.runtime.now();
  }

  /** Whether it is clear that the pool has workers, or that none answers. */
  isSettled(pool: Pool): boolean {
    const settledAtMs = this.#settledAtMs.get(pool) ?? Number.NEGATIVE_INFINITY;
    return pool.isKnown || this.#parts.bus.runtime.now() - settledAtMs < TRUE_FOR_MS;
  }

  /** Resolves when a worker of the pool was heard, or when it is clear that none will be. */
  async settle(pool: Pool): Promise<void> {
    if (this.isSettled(pool)) return;
    const settling = this.#settling.get(pool) ?? this.#ask(pool);
    this.#settling.set(pool, settling);
    await settling;
  }

  async #ask(pool: Pool): Promise<void> {
    const { bus, inbox, subjects } = this.#parts;
    const { runtime } = bus;
    // Only time in which this process listens counts.
    let leftMs = ANSWER_LIMIT_MS;
    // Workers send a heartbeat instead of an answer; the broker says when nobody hears the question.
    const question = { subject: subjects.controlAll(pool.name), payload: encodeControl("rollCall", {}) };
    void inbox()
      .ask({ ...question, limitMs: ANSWER_LIMIT_MS })
      .then(({ kind }) => {
        if (kind === "absent") leftMs = this.#listensSinceMs + FIRST_HEARTBEAT_MS - runtime.now();
      });
    while (!pool.workers.everHeard && leftMs > 0) leftMs -= await listenOnce(runtime, LOOK_INTERVAL_MS);
    this.#settledAtMs.set(pool, runtime.now());
    this.#settling.delete(pool);
  }
}
