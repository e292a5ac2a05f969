/**
 * When to start again what has died. Pure.
 *
 * The pause doubles from 250 ms to 10 s. A run of 30 s or more counts as
 * healthy and takes the pause back; ten short runs in a row are enough.
 */

/** What to do after an exit: wait and start again, or give up. */
export type Verdict = { readonly again: true; readonly delayMs: number } | { readonly again: false };

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 10_000;
const HEALTHY_AFTER_MS = 30_000;
/** Short runs in a row after which it is given up. */
export const GIVE_UP_AFTER = 10;

export class RestartPolicy {
  #deaths = 0;

  /** @param aliveMs how long the run lasted */
  onExit(aliveMs: number): Verdict {
    if (aliveMs >= HEALTHY_AFTER_MS) this.#deaths = 0;
    this.#deaths += 1;
    if (this.#deaths >= GIVE_UP_AFTER) return { again: false };
    return { again: true, delayMs: Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (this.#deaths - 1)) };
  }
}
