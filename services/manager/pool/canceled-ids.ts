/**
 * Ids that somebody canceled as a whole, whichever submissions they had. Pure.
 *
 * A worker that has heard such a cancel refuses every job of the id for a while, also
 * one that is submitted after it. The manager knows which came first: so it remembers
 * these ids for as long, and tells the workers when one of them is used anew.
 */
import { LRUCache } from "lru-cache";

/** At most so many are remembered; the oldest goes first. */
const MAX_IDS = 10_000;
/** For how long, in milliseconds: longer than a worker does. */
const REMEMBERED_MS = 15_000;

export class CanceledIds {
  /** When each was canceled, monotonic milliseconds. Bounded by `maxSize`, it takes no room while empty. */
  readonly #atMs = new LRUCache<string, number>({ maxSize: MAX_IDS, sizeCalculation: () => 1 });

  /** @param nowMs monotonic milliseconds */
  add(id: string, nowMs: number): void {
    this.#atMs.set(id, nowMs);
  }

  /** Whether an id was canceled a short while ago; asked once, it is forgotten. */
  take(id: string, nowMs: number): boolean {
    if (this.#atMs.size === 0) return false;
    const atMs = this.#atMs.peek(id);
    return this.#atMs.delete(id) && nowMs - (atMs ?? 0) <= REMEMBERED_MS;
  }
}
