/** One attempt to follow a stream, from the call to its end. */

import { PoolError } from "../mesh/errors.js";
import { fromConnectError } from "../mesh/wire/connect-errors.js";

/** One attempt to follow one stream. */
export class Attempt<M> {
  readonly #controller = new AbortController();
  readonly #end = (): void => this.#controller.abort();
  #firstAtMs: number | undefined;
  #error = new PoolError("bus_unavailable", "the meter ended the stream");

  constructor(
    readonly open: (signal: AbortSignal) => AsyncIterable<M>,
    readonly wanted: AbortSignal,
    readonly silenceMs: number,
  ) {
    wanted.addEventListener("abort", this.#end, { once: true });
  }

  /** Why it ended. */
  get error(): PoolError {
    return this.#error;
  }

  /** Time since the first message, in milliseconds. */
  get livedMs(): number {
    return this.#firstAtMs === undefined ? 0 : performance.now() - this.#firstAtMs;
  }

  /** Ends when the stream ends. An error of the stream is not thrown: {@link error} has it. */
  async *messages(): AsyncGenerator<M, void> {
    try {
      const iterator = this.open(this.#controller.signal)[Symbol.asyncIterator]();
      for (;;) {
        const next = await this.#within(iterator.next());
        if (next.done === true) return;
        this.#firstAtMs ??= performance.now();
        yield next.value;
      }
    } catch (error) {
      this.#error = error instanceof PoolError ? error : fromConnectError(error);
    }
  }

  end(): void {
    this.wanted.removeEventListener("abort", this.#end);
    this.#controller.abort();
  }

  async #within<T>(next: Promise<T>): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const silence = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new PoolError("bus_unavailable", `nothing heard from the meter for ${this.silenceMs / 1000} s`));
        this.#controller.abort();
      }, this.silenceMs);
    });
    next.catch(() => {});
    try {
      return await Promise.race([next, silence]);
    } finally {
      clearTimeout(timer);
    }
  }
}
