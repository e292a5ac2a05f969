/**
 * Submissions that this manager did not take, and never will. Pure.
 *
 * A client whose connection broke does not know whether a manager has its job, and gives it to no other one. This manager
 * can say that it has not: each submission has a reply subject of its own.
 */
import { LRUCache } from "lru-cache";

/** At most so many are remembered; the oldest goes first. */
const MAX_DROPPED = 10_000;

export class DroppedSubmissions {
  /** Bounded by `maxSize`, it takes no room while empty. */
  readonly #replies = new LRUCache<string, true>({ maxSize: MAX_DROPPED, sizeCalculation: () => 1 });

  /** @param reply where its sender waits */
  add(reply: string): void {
    this.#replies.set(reply, true);
  }

  /** Another copy of it was taken. */
  delete(reply: string | undefined): void {
    if (reply !== undefined && this.#replies.size > 0) this.#replies.delete(reply);
  }

  has(reply: string | undefined): boolean {
    return reply !== undefined && this.#replies.size > 0 && this.#replies.has(reply);
  }
}
