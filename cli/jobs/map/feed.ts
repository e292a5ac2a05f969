/** Inputs with a tap: skips the first, ends when it is closed, whatever the source does. */

export class Feed<T> {
  readonly #source: AsyncIterable<T>;
  readonly #skip: number;
  readonly #closed: Promise<void>;
  #close!: () => void;
  #ended = false;

  constructor(source: AsyncIterable<T>, skip: number) {
    this.#source = source;
    this.#skip = skip;
    this.#closed = new Promise((resolve) => {
      this.#close = resolve;
    });
  }

  /** Whether the source had no more inputs before the tap was closed. */
  get ended(): boolean {
    return this.#ended;
  }

  /** No more inputs from now on. */
  close(): void {
    this.#close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    const iterator = this.#source[Symbol.asyncIterator]();
    const closed = this.#closed.then(() => undefined);
    for (let index = 0; ; index += 1) {
      const step = await Promise.race([closed, iterator.next()]);
      if (step === undefined) return;
      if (step.done) {
        this.#ended = true;
        return;
      }
      if (index >= this.#skip) yield step.value;
    }
  }
}
