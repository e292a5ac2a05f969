/**
 * Slots: room for running jobs, whatever lane they come by.
 *
 * Pure. Taken in one place and given back in one place (running-jobs.ts).
 */

/** A count of slots that never goes below zero or over its total by taking. */
export class Slots {
  #total: number;
  #busy = 0;

  /** @param total a whole number, at least 1 */
  constructor(total: number) {
    this.#total = total;
  }

  get total(): number {
    return this.#total;
  }

  get busy(): number {
    return this.#busy;
  }

  /** Slots that a job could take now; 0 also when a resize left more busy than there are. */
  get free(): number {
    return Math.max(0, this.#total - this.#busy);
  }

  /** Takes one; false when none is free. */
  take(): boolean {
    if (this.#busy >= this.#total) return false;
    this.#busy += 1;
    return true;
  }

  /** Gives one back. */
  give(): void {
    if (this.#busy === 0) throw new Error("a slot was given back twice");
    this.#busy -= 1;
  }

  /** Changes the total; running jobs keep theirs. */
  resize(total: number): void {
    this.#total = total;
  }
}
