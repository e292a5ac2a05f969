/**
 * Submissions that this manager did not take. Pure.
 *
 * A client whose connection broke does not know whether a manager has its job, and gives it to no other one. This manager
 * can say that it has not: each submission has a reply subject of its own. Who was told so submits the job again, so no
 * other copy of that submission may be taken any more.
 */
import { LRUCache } from "lru-cache";

/** At most so many are remembered; the oldest goes first. */
const MAX_DROPPED = 10_000;

export class DroppedSubmissions {
  /** Whether its sender was told. Bounded by `maxSize`, it takes no room while empty. */
  readonly #replies = new LRUCache<string, boolean>({ maxSize: MAX_DROPPED, sizeCalculation: () => 1 });

  /**
   * @param reply where its sender waits
   * @param isTold whether it hears that its submission was not taken
   */
  add(reply: string, isTold: boolean): void {
    this.#replies.set(reply, isTold || this.isTold(reply));
  }

  /** Another copy of it was taken. */
  delete(reply: string | undefined): void {
    if (reply !== undefined && this.#replies.size > 0) this.#replies.delete(reply);
  }

  /** Whether one was not taken, for its sender who asks, and who is told so. */
  tell(reply: string | undefined): boolean {
    if (reply === undefined || this.#replies.size === 0 || !this.#replies.has(reply)) return false;
    this.#replies.set(reply, true);
    return true;
  }

  /** Whether its sender was told that one was not taken: no copy of it is taken any more. */
  isTold(reply: string | undefined): boolean {
    return reply !== undefined && this.#replies.size > 0 && this.#replies.get(reply) === true;
  }
}
