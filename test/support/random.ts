/** Random sources of tests. */
export { seededRandom } from "../../testing/sim/random.js";

/** Draws for a fuzz run. The same random source gives the same draws. */
export class FuzzDraw {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** A whole number from 0, below this one. */
  whole(below: number): number {
    return Math.floor(this.#random() * below);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.whole(from.length)] as T;
  }

  /** One to so many random bytes. */
  bytes(most: number): Buffer {
    return Buffer.from(Array.from({ length: 1 + this.whole(most) }, () => this.whole(256)));
  }

  /** The same bytes with a few changed, put in or taken out, so many times. */
  spoil(given: Buffer, times: number): Buffer {
    const bytes = [...given];
    for (let i = times; i > 0; i -= 1) bytes.splice(this.whole(bytes.length), this.whole(3), ...this.bytes(3));
    return Buffer.from(bytes);
  }
}
