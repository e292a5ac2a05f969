/** A set of things that close by themselves, and a way to wait until all have closed. */
import type { EventEmitter } from "node:events";

/** A set whose members leave it at their "close" event. */
export class OpenSet<T extends EventEmitter> {
  readonly #open = new Set<T>();
  #onNone: (() => void) | undefined;

  get size(): number {
    return this.#open.size;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#open[Symbol.iterator]();
  }

  add(member: T): void {
    this.#open.add(member);
    member.once("close", () => {
      this.#open.delete(member);
      if (this.#open.size === 0) this.#onNone?.();
    });
  }

  /** Resolves when it is empty, or after `limitMs`. Call it once at a time. */
  async whenEmpty(limitMs: number): Promise<void> {
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limitMs);
      this.#onNone = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#onNone = undefined;
  }
}
