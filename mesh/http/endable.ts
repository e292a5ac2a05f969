/**
 * Calls that end when they are aborted, even when their handler does not.
 *
 * A handler hears its signal and has a moment to end with its own answer; then
 * the abort reason is the answer. A stream that merely returns once aborted
 * ends as the abort reason too, since it would look complete otherwise.
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
  #timer: NodeJS.Timeout | undefined;

  /** @param translate what an error of the source becomes */
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
    return new Promise((resolve, reject) => {
      this.#waiting = (error) => reject(this.#translate(error));
      this.#source.next().then(
        (result) => {
          this.#settled();
          if (result.done && this.#signal.aborted) reject(this.#translate(this.#signal.reason));
          else resolve(result);
        },
        (error) => {
          this.#settled();
          reject(this.#translate(error));
        },
      );
      if (this.#signal.aborted) this.#onAbort();
    });
  }

  async return(value?: unknown): Promise<IteratorResult<T>> {
    await this.#source.return?.(value);
    return { done: true, value };
  }

  async throw(error: unknown): Promise<IteratorResult<T>> {
    // A write failed: the client left. The source may wait for something that never comes, so it is not awaited.
    void this.#source.return?.().catch(() => {});
    throw this.#translate(error);
  }

  #onAbort(): void {
    if (this.#waiting === undefined || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#waiting?.(this.#signal.reason);
    }, ABORT_GRACE_MS);
  }

  #settled(): void {
    this.#waiting = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
