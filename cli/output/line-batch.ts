/**
 * Lines that leave together: one write for those of a turn of the event loop.
 *
 * A write costs a system call, more than what it takes to make a line.
 */
import type { Output } from "./output.js";

/** As much text as is held before it is written in any case, in characters. */
const MAX_HELD_LENGTH = 64 * 1_024;

export class LineBatch {
  readonly #out: Output;
  #held = "";
  #timer: NodeJS.Immediate | undefined;
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
    this.#timer ??= setImmediate(() => void this.flush());
    return this.#writing;
  }

  /** Writes what is held; resolves when the reader has room for more. */
  flush(): Promise<void> {
    clearImmediate(this.#timer);
    this.#timer = undefined;
    const text = this.#held;
    this.#held = "";
    if (text === "") return this.#writing ?? Promise.resolve();
    const writing = this.#out.write(text).then(() => {
      if (this.#writing === writing) this.#writing = undefined;
    });
    this.#writing = writing;
    return writing;
  }
}
