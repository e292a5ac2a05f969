/**
 * Acts later, in the order in which they came.
 *
 * A timer for each act would not keep the order: a timer that is late is passed by what comes after its time, and two
 * timers of different length end in any order within a millisecond.
 */
export class DelayQueue {
  readonly #waiting: { readonly dueMs: number; readonly act: () => void }[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** @param delayMs from now; not before anything that was pushed earlier */
  push(delayMs: number, act: () => void): void {
    const now = performance.now();
    const dueMs = Math.max(this.#waiting.at(-1)?.dueMs ?? now, now + delayMs);
    if (this.#waiting.length === 0 && dueMs <= now) return act();
    this.#waiting.push({ dueMs, act });
    this.#timer ??= setTimeout(() => this.#act(), dueMs - now);
  }

  /** What waits is never done. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting.length = 0;
  }

  #act(): void {
    this.#timer = undefined;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const leftMs = next.dueMs - performance.now();
      if (leftMs > 0) {
        this.#timer ??= setTimeout(() => this.#act(), Math.ceil(leftMs));
        return;
      }
      next.act();
      this.#waiting.shift();
    }
  }
}
