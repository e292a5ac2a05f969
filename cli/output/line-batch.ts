/**
 * Lines that leave together: one write for those of a turn of the event loop, and
 * for those of some milliseconds while there are many.
 *
 * A write costs a system call and wakes the reader, which is far more than what
 * it takes to make a line. A line that comes alone leaves at once.
 */
import type { Output } from "./output.js";

/** As much text as is held before it is written in any case, in characters. */
const MAX_HELD_LENGTH = 64 * 1_024;
/** The least time between two writes that are not full, in milliseconds. */
const MIN_GAP_MS = 10;

export class LineBatch {
  readonly #out: Output;
  #held = "";
  #atEndOfTurn: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #writtenAt = Number.NEGATIVE_INFINITY;
  /** Settles when the reader has taken what was written; undefined when nothing is on its way. */
  #writing: Promise<void> | undefined;

  constructor(out: Output) {
    this.#out = out;
  }

  /**
   * Adds text that ends with a line end.
   *
   * @returns undefined, or, when the reader is slower, what to wait for before more is added
   */
  add(text: string): Promise<void> | undefined {
    this.#held += text;
    if (this.#held.length >= MAX_HELD_LENGTH) return this.flush();
    if (this.#timer === undefined) this.#atEndOfTurn ??= setImmediate(() => this.#flushSoon());
    return this.#writing;
  }

  #flushSoon(): void {
    this.#atEndOfTurn = undefined;
    const leftMs = this.#writtenAt + MIN_GAP_MS - performance.now();
    if (leftMs <= 0) void this.flush();
    else this.#timer = setTimeout(() => void this.flush(), leftMs);
  }

  /** Writes what is held; resolves when the reader has room for more. */
  flush(): Promise<void> {
    clearImmediate(this.#atEndOfTurn);
    clearTimeout(this.#timer);
    this.#atEndOfTurn = undefined;
    this.#timer = undefined;
    const text = this.#held;
    this.#held = "";
    if (text === "") return this.#writing ?? Promise.resolve();
    this.#writtenAt = performance.now();
    const writing = this.#out.write(text).then(() => {
      if (this.#writing === writing) this.#writing = undefined;
    });
    this.#writing = writing;
    return writing;
  }
}
