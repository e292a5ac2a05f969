/**
 * Submissions that this manager did not take. Pure.
 *
 * A client whose connection broke does not know whether a manager has its job, and gives it to no other one. This manager
 * can say that it has not: each submission of a client has a reply subject of its own. Who was told so submits the job again, so no
 * other copy of that submission may be taken any more.
 */
import { LRUCache } from "lru-cache";

/** At most so many are remembered; the oldest goes first. As many first submissions are held, and may be given up at once. */
const MAX_DROPPED = 20_000;

/** A submission: all copies of it have the same. */
export interface DroppedNames {
  readonly job: string | undefined;
  /** Where its sender waits. */
  readonly reply: string | undefined;
}

export class DroppedSubmissions {
  /** Whether its sender was told. Bounded by `maxSize`, it takes no room while empty. */
  readonly #told = new LRUCache<string, boolean>({ maxSize: MAX_DROPPED, sizeCalculation: () => 1 });

  get isEmpty(): boolean {
    return this.#told.size === 0;
  }

  /** @param isTold whether its sender hears that it was not taken, and submits it again */
  add(names: DroppedNames, isTold: boolean): void {
    if (names.reply) this.#told.set(keyOf(names), isTold || this.isTold(names));
  }

  /** Another copy of it was taken. */
  delete(names: DroppedNames): void {
    if (this.#told.size > 0) this.#told.delete(keyOf(names));
  }

  /** Whether it was not taken, for its sender who asks, and who is told so. */
  tell(names: DroppedNames): boolean {
    if (this.#told.size === 0 || !this.#told.has(keyOf(names))) return false;
    this.#told.set(keyOf(names), true);
    return true;
  }

  /** Whether its sender was told that it was not taken: no copy of it is taken any more. */
  isTold(names: DroppedNames): boolean {
    return this.#told.size > 0 && this.#told.get(keyOf(names)) === true;
  }
}

function keyOf({ job = "", reply = "" }: DroppedNames): string {
  return `${reply} ${job}`;
}
