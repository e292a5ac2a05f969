/**
 * How many leading inputs are all done, while outcomes come in any order. Pure.
 *
 * What is done beyond the first gap is as much as the window holds, at most.
 */
export class DonePrefix {
  readonly #beyond = new Set<number>();
  #length: number;

  /** @param from the index of the first input */
  constructor(from = 0) {
    this.#length = from;
  }

  /** The index of the first input that is not done: what `--skip` is told. */
  get length(): number {
    return this.#length;
  }

  /** Inputs beyond the first gap that are done too. */
  get beyond(): number {
    return this.#beyond.size;
  }

  add(index: number): void {
    this.#beyond.add(index);
    while (this.#beyond.delete(this.#length)) this.#length += 1;
  }
}
