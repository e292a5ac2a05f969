/** Waits for what becomes true when something is heard, with a limit and without polling. */
import type { Runtime } from "../../mesh/link/runtime.js";

export class Waiting {
  readonly #runtime: Runtime;
  readonly #wakes = new Set<() => void>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Something was heard: everybody looks again. */
  wake(): void {
    for (const wake of [...this.#wakes]) wake();
  }

  /** The first value that `pick` finds, now or later; undefined after `limitMs` milliseconds. */
  until<T>(pick: () => T | undefined, limitMs: number): Promise<T | undefined> {
    return new Promise((resolve) => {
      const settle = (found: T | undefined): void => {
        this.#runtime.cancel(timer);
        this.#wakes.delete(look);
        resolve(found);
      };
      const look = (): void => {
        const found = pick();
        if (found !== undefined) settle(found);
      };
      const timer = this.#runtime.after(limitMs, () => settle(pick()));
      this.#wakes.add(look);
      look();
    });
  }
}
