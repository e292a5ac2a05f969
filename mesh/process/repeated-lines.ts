/** Lines that anybody could cause again and again: one at once, then one in a while with how many it stands for. Pure. */

/** The time between two lines about the same thing, in milliseconds. */
const EVERY_MS = 10_000;
/** Things that are told apart; beyond this many, all others are one. */
const MOST_THINGS = 256;
const OTHERS = "";

interface Told {
  atMs: number;
  untold: number;
}

export class RepeatedLines {
  readonly #told = new Map<string, Told>();

  /**
   * It has happened once more.
   *
   * @param nowMs monotonic milliseconds
   * @returns how often it happened since its last line, this time included; 0 when it is not to be told now
   */
  happened(what: string, nowMs: number): number {
    const key = this.#told.has(what) || this.#told.size < MOST_THINGS ? what : OTHERS;
    const told = this.#told.get(key) ?? { atMs: Number.NEGATIVE_INFINITY, untold: 0 };
    this.#told.set(key, told);
    told.untold += 1;
    if (nowMs - told.atMs < EVERY_MS) return 0;
    const times = told.untold;
    told.atMs = nowMs;
    told.untold = 0;
    return times;
  }
}
