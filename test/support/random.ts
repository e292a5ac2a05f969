/** A seeded random source (mulberry32), so that a trace or a fuzz run can be repeated. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

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
