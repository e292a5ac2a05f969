/** Draws from a seeded source. */
import { seededRandom } from "../../support/random.js";

/** What a generator asks for. */
export class Draw {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    // neighbouring seeds begin alike
    for (let i = 0; i < 4; i += 1) this.#random();
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.#random() < probability;
  }

  /** A whole number, both ends included. */
  int(from: number, to: number): number {
    return from + Math.floor(this.#random() * (to - from + 1));
  }

  /** A whole number whose order of size is drawn evenly, both ends included; `from` is at least 1. */
  size(from: number, to: number): number {
    return Math.min(to, Math.round(from * (to / from) ** this.#random()));
  }

  /** One of them. */
  one<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)] as T;
  }

  /** One of them by weight. */
  weighted<T extends { readonly weight: number }>(items: readonly T[]): T {
    let left = this.#random() * items.reduce((sum, each) => sum + each.weight, 0);
    for (const each of items) {
      left -= each.weight;
      if (left < 0) return each;
    }
    return items.at(-1) as T;
  }
}
