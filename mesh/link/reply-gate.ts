/** Which reply subjects a part answers: inboxes only. What it does not answer is a line in its log and a count. */
import type { Logger } from "../process/log.js";
import { isAnswerable } from "../wire/subjects.js";

/** The time between two lines, in milliseconds. */
const LOG_EVERY_MS = 10_000;

export class ReplyGate {
  readonly #inboxPrefix: string;
  readonly #log: Logger;
  readonly #now: () => number;
  #nextLineAtMs = Number.NEGATIVE_INFINITY;
  #untold = 0;
  /** Messages that were dropped since their reply subject is no inbox. */
  dropped = 0;

  /** @param now monotonic milliseconds */
  constructor(inboxPrefix: string, log: Logger, now: () => number) {
    this.#inboxPrefix = inboxPrefix;
    this.#log = log;
    this.#now = now;
  }

  /** Whether there is a reply subject, and it may be answered. */
  mayAnswer(reply: string | undefined): reply is string {
    if (isAnswerable(reply, this.#inboxPrefix)) return true;
    if (reply) this.#onDropped(reply);
    return false;
  }

  #onDropped(reply: string): void {
    this.dropped += 1;
    this.#untold += 1;
    const nowMs = this.#now();
    if (nowMs < this.#nextLineAtMs) return;
    this.#nextLineAtMs = nowMs + LOG_EVERY_MS;
    const answered = `_INBOX, _R_ or ${this.#inboxPrefix}`;
    this.#log.warn(
      { reply, dropped: this.#untold, answered },
      "dropped: the reply subject is no inbox that is answered",
    );
    this.#untold = 0;
  }
}
