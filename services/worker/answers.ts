/**
 * What a worker answers for its jobs, with results kept until they have arrived.
 *
 * The answerer of the core lane. A result is published and kept (jobs/results.ts);
 * a round trip confirms it, a reconnect publishes again what was not confirmed
 * (confirmer.ts), and a manager may ask for results that it misses.
 */
import type { PoolError } from "../../mesh/errors.js";
import type { Bus } from "../../mesh/link/bus.js";
import { Confirmer, type UnconfirmedStore } from "../../mesh/link/confirmer.js";
import type { Ending } from "./handlers/runner.js";
import type { RefusalPort } from "./jobs/intake.js";
import { type Addressee, type Answerer, type JobOrder, jobKey } from "./jobs/order.js";
import type { Results } from "./jobs/results.js";
import type { Replies } from "./replies.js";

export class Answers implements Answerer, RefusalPort, UnconfirmedStore {
  readonly #results: Results;
  readonly #replies: Replies;
  readonly #now: () => number;
  readonly #confirmer: Confirmer;

  constructor(bus: Bus, results: Results, replies: Replies) {
    this.#results = results;
    this.#replies = replies;
    this.#now = bus.runtime.now;
    this.#confirmer = new Confirmer(bus, this);
  }

  get seq(): number {
    return this.#results.seq;
  }

  get unconfirmed(): number {
    return this.#results.unconfirmed;
  }

  accepted(order: JobOrder): void {
    this.#replies.accepted(order);
  }

  progress(order: JobOrder, payload: Uint8Array): void {
    this.#replies.progress(order, payload);
  }

  busy(order: JobOrder, free: number, ageMs?: number): void {
    this.#replies.busy(order, free, ageMs);
  }

  error(to: Addressee, error: PoolError): void {
    this.#replies.error(to, error);
  }

  end(order: JobOrder, ending: Ending, nowMs: number): void {
    this.#replies.ending(order, ending);
    if (order.reply === undefined) return;
    this.#results.keep(order, ending, nowMs);
    this.#confirmer.published();
  }

  /** Publishes the kept results of these submissions again; returns the keys of those it had. */
  resend(keys: ReadonlySet<string>): Set<string> {
    const found = this.#results.findJobs(keys, this.#now());
    for (const kept of found) this.#replies.ending(kept, kept.ending);
    return new Set(found.map(({ id, nonce }) => jobKey(id, nonce)));
  }

  confirm(seq: number): void {
    this.#results.confirm(seq, this.#now());
  }

  publishAgain(): void {
    for (const kept of this.#results.allUnconfirmed(this.#now())) this.#replies.ending(kept, kept.ending);
  }

  flush(): void {
    this.#replies.flush();
  }

  /** Tries to confirm everything, with a limit in milliseconds. */
  settle(limitMs: number): Promise<void> {
    return this.#confirmer.settle(limitMs);
  }

  stop(): void {
    this.#confirmer.stop();
  }
}
