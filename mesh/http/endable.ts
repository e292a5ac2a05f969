/**
 * Calls that end when they are aborted, even when their handler does not.
 *
 * After the abort a handler has a short time to end with its own answer. Then the
 * abort reason is the answer. A stream that just returns after the abort ends with
 * the abort reason too; otherwise it would look complete.
 */

/** The time that an aborted handler has to end by itself, in milliseconds. */
export const ABORT_GRACE_MS = 100;

/** What `work` settles with, or the abort reason a moment after `signal` fires. */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const onAbort = (): void => {
      timer = setTimeout(() => reject(signal.reason), ABORT_GRACE_MS);
    };
    const tidy = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    work.finally(tidy).then(resolve, reject);
  });
}

/** A stream of messages that ends when its signal fires. */
export class EndableStream<T> implements AsyncIterable<T>, AsyncIterator<T> {
  readonly #source: AsyncIterator<T>;
  readonly #signal: AbortSignal;
  readonly #translate: (error: unknown) => Error;
  #waiting: ((error: unknown) => void) | undefined;
  #grace: NodeJS.Timeout | undefined;
  #state: "open" | "expired" | "ended" = "open";

  /** @param translate what an error of the source, or the abort reason, becomes */
  constructor(source: AsyncIterable<T>, signal: AbortSignal, translate: (error: unknown) => Error) {
    this.#source = source[Symbol.asyncIterator]();
    this.#signal = signal;
    this.#translate = translate;
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener("abort", () => this.#onAbort(), { once: true });
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return this;
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#state === "expired") return Promise.reject(this.#translate(this.#signal.reason));
    return new Promise((resolve, reject) => {
      this.#waiting = reject;
      this.#source.next().then(
        (result) => {
          this.#waiting = undefined;
          if (!result.done) return resolve(result);
          this.#end();
          return this.#signal.aborted ? reject(this.#translate(this.#signal.reason)) : resolve(result);
        },
        (error) => {
          this.#end();
          reject(this.#translate(error));
        },
      );
    });
  }

  async return(value?: unknown): Promise<IteratorResult<T>> {
    this.#end();
    await this.#source.return?.(value);
    return { done: true, value };
  }

  /** A write failed because the client left. The source may never end, so nobody waits for it. */
  async throw(error: unknown): Promise<IteratorResult<T>> {
    this.#leave();
    throw this.#translate(error);
  }

  #onAbort(): void {
    if (this.#state !== "open") return;
    this.#grace = setTimeout(() => {
      this.#state = "expired";
      this.#waiting?.(this.#translate(this.#signal.reason));
      this.#leave();
    }, ABORT_GRACE_MS);
  }

  #leave(): void {
    clearTimeout(this.#grace);
    void this.#source.return?.().catch(() => {});
  }

  #end(): void {
    this.#state = "ended";
    this.#waiting = undefined;
    clearTimeout(this.#grace);
  }
}
