/**
 * Sees to it that finished results arrive: one flush loop confirms them, a
 * reconnect sends again what was not confirmed, and a manager may ask.
 */
import type { Bus } from "../../mesh/link/bus.js";
import type { Timer } from "../../mesh/link/runtime.js";
import type { Ending } from "./handlers/runner.js";
import type { Results } from "./jobs/results.js";
import type { Addressee, Replies } from "./replies.js";

/** The longest time that a result waits for its flush to begin, in milliseconds. */
const CONFIRM_AFTER_MS = 50;
/** This many results do not wait for that. */
const CONFIRM_AT_COUNT = 1_024;

export class OwedResults {
  readonly #bus: Bus;
  readonly #results: Results;
  readonly #replies: Replies;
  readonly #now: () => number;
  readonly #stopListening: () => void;
  #timer: Timer | undefined;
  #flushing: Promise<void> | undefined;
  #stopped = false;

  constructor(bus: Bus, results: Results, replies: Replies, now: () => number) {
    this.#bus = bus;
    this.#results = results;
    this.#replies = replies;
    this.#now = now;
    this.#stopListening = bus.on("reconnect", () => this.#sendAgain());
  }

  /** Sends an ending and keeps it until it is confirmed. */
  send(to: Addressee, ending: Ending, nowMs: number): void {
    this.#replies.ending(to, ending);
    if (to.reply === undefined) return;
    this.#results.keep(to, ending, nowMs);
    if (this.#results.unconfirmed >= CONFIRM_AT_COUNT) void this.#confirm();
    else this.#confirmSoon();
  }

  /** Sends the kept results of these jobs again; returns the ids it had. */
  resend(ids: ReadonlySet<string>): Set<string> {
    const found = this.#results.findJobs(ids, this.#now());
    for (const kept of found) this.#replies.ending(kept, kept.ending);
    return new Set(found.map((kept) => kept.id));
  }

  /** Tries to confirm everything, with a limit in milliseconds. */
  async settle(limitMs: number): Promise<void> {
    const endAtMs = this.#now() + limitMs;
    while (this.#results.unconfirmed > 0 && this.#now() < endAtMs && this.#bus.connected) {
      await this.#confirm(Math.max(1, endAtMs - this.#now()));
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#stopListening();
    this.#bus.runtime.cancel(this.#timer);
    this.#timer = undefined;
  }

  #confirm(limitMs = 2_000): Promise<void> {
    this.#bus.runtime.cancel(this.#timer);
    this.#timer = undefined;
    this.#flushing ??= this.#flush(limitMs).finally(() => {
      this.#flushing = undefined;
      if (this.#results.unconfirmed > 0 && this.#bus.connected) this.#confirmSoon();
    });
    return this.#flushing;
  }

  #confirmSoon(): void {
    if (!this.#stopped) this.#timer ??= this.#bus.runtime.after(CONFIRM_AFTER_MS, () => void this.#confirm());
  }

  async #flush(limitMs: number): Promise<void> {
    this.#replies.flush();
    const seq = this.#results.seq;
    if (await this.#bus.flush(limitMs)) this.#results.confirm(seq, this.#now());
  }

  #sendAgain(): void {
    for (const kept of this.#results.allUnconfirmed(this.#now())) this.#replies.ending(kept, kept.ending);
    void this.#confirm();
  }
}
