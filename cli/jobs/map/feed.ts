/**
 * Inputs with a tap: skips the first, ends when it is closed, whatever the source does.
 *
 * A source gives its inputs in groups, such as the lines of one chunk. Within a
 * group the next input comes at once, without a promise.
 */
import type { InputIterator } from "../../../mesh/job/job-flow.js";

/** What a source gives: groups of inputs. A group is read to its end before the next one is asked for. */
export type Groups<T> = AsyncIterable<Iterable<T>>;

export class Feed<T> implements InputIterator<T> {
  readonly #groups: AsyncIterator<Iterable<T>>;
  #group: Iterator<T> | undefined;
  /** How many inputs are still left out. */
  #toSkip: number;
  #ended = false;
  #closed = false;
  /** Ends the read that waits for the source. */
  #endRead: () => void = () => {};
  #onFirst: () => void = () => {};

  /** @param skip how many inputs to leave out */
  constructor(source: Groups<T>, skip: number) {
    this.#groups = source[Symbol.asyncIterator]();
    this.#toSkip = skip;
  }

  /** Whether the source had no more inputs before the tap was closed. */
  get ended(): boolean {
    return this.#ended;
  }

  /** `hear` is called when the first input is taken. */
  onFirst(hear: () => void): void {
    this.#onFirst = hear;
  }

  /** No more inputs from now on. */
  close(): void {
    this.#closed = true;
    this.#endRead();
  }

  next(): IteratorResult<T> | Promise<IteratorResult<T>> {
    return this.#fromGroup() ?? this.#read();
  }

  /** Closes the tap and lets the source go; does not wait for a source that waits itself. */
  return(): void {
    this.close();
    void this.#groups.return?.().catch(() => undefined);
  }

  /** What can be said without reading: an input, the end, or undefined when the group is used up. */
  #fromGroup(): IteratorResult<T> | undefined {
    if (this.#closed) return { done: true, value: undefined };
    for (let step = this.#group?.next(); step !== undefined && !step.done; step = this.#group?.next()) {
      if (this.#toSkip === 0) return this.#take(step);
      this.#toSkip -= 1;
    }
    return this.#ended ? { done: true, value: undefined } : undefined;
  }

  #take(step: IteratorResult<T>): IteratorResult<T> {
    this.#onFirst();
    this.#onFirst = () => {};
    return step;
  }

  #read(): Promise<IteratorResult<T>> {
    return new Promise((resolve, reject) => {
      this.#endRead = () => resolve({ done: true, value: undefined });
      const onGroup = (step: IteratorResult<Iterable<T>>): void => {
        if (step.done) this.#ended ||= !this.#closed;
        else this.#group = step.value[Symbol.iterator]();
        resolve(this.next());
      };
      this.#groups.next().then(onGroup).catch(reject);
    });
  }
}
