/** Messages that a part dropped since their reply subject is no inbox: a line in its log, and a count. */
import type { Logger } from "../process/log.js";

/** The time between two lines, in milliseconds. */
const LOG_EVERY_MS = 10_000;

export class DroppedReplies {
  readonly #log: Logger;
  readonly #now: () => number;
  #nextLineAtMs = Number.NEGATIVE_INFINITY;
  #untold = 0;
  /** How many since the start. */
  total = 0;

  /** @param now monotonic milliseconds */
  constructor(log: Logger, now: () => number) {
    this.#log = log;
    this.#now = now;
  }

  add(reply: string): void {
    this.total += 1;
    this.#untold += 1;
    const nowMs = this.#now();
    if (nowMs < this.#nextLineAtMs) return;
    this.#nextLineAtMs = nowMs + LOG_EVERY_MS;
    this.#log.warn({ reply, dropped: this.#untold }, "dropped: the reply subject is no inbox that is answered");
    this.#untold = 0;
  }
}
