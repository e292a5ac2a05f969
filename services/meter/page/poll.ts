/** Asks the meter again and again for what comes by no stream, one question at a time. */
import { fromConnectError } from "../../../mesh/wire/connect-errors.js";

/** What was asked for, and when it came. */
export interface Told<T> {
  readonly value: T;
  /** By the reader's monotonic clock, in milliseconds. */
  readonly atMs: number;
}

/** One kind of question. */
export interface PollParts<T> {
  /** Undefined: there is nothing to ask now. */
  readonly ask: () => Promise<T> | undefined;
  /** Hears what was told; undefined when the meter told nothing, and then why. */
  readonly hear: (told: Told<T> | undefined, why: string) => void;
  readonly everyMs: number;
}

/** How long the meter may take, in milliseconds. */
export const ASK_TIMEOUT_MS = 5_000;

export class Poll<T> {
  readonly #parts: PollParts<T>;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #asked = 0;
  #isOpen = false;

  constructor(parts: PollParts<T>) {
    this.#parts = parts;
  }

  /** Asks when it is time. */
  tick(): void {
    if (this.#isOpen || performance.now() - this.#askedAtMs < this.#parts.everyMs) return;
    void this.#ask();
  }

  /** Something else is meant from now on: what was asked before is not heard. */
  restart(): void {
    this.#asked += 1;
    this.#isOpen = false;
    void this.#ask();
  }

  async #ask(): Promise<void> {
    const answer = document.visibilityState === "hidden" ? undefined : this.#parts.ask();
    if (answer === undefined) return;
    this.#asked += 1;
    const asked = this.#asked;
    this.#isOpen = true;
    this.#askedAtMs = performance.now();
    let told: Told<T> | undefined;
    let why = "";
    try {
      told = { value: await answer, atMs: performance.now() };
    } catch (error) {
      why = fromConnectError(error).message;
    }
    if (asked !== this.#asked) return;
    this.#isOpen = false;
    this.#parts.hear(told, why);
  }
}
