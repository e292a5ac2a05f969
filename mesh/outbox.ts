/**
 * The outbox: what is sent to one place in one turn of the event loop leaves
 * together, at the end of the turn or when there is enough of it; what has no
 * company leaves as it is.
 *
 * Not decided here: what may wait, and how several travel (bundle.ts).
 */
import { MAX_BUNDLE_ENTRIES } from "./bundle.js";

/** How items leave. */
export interface OutboxWays<T> {
  /** Sends the only item for a place. */
  alone(place: string, item: T): void;
  /** Sends two or more. */
  together(place: string, items: readonly T[]): void;
}

export class Outbox<T> {
  readonly #ways: OutboxWays<T>;
  readonly #groups = new Map<string, T[]>();
  #immediate: NodeJS.Immediate | undefined;

  constructor(ways: OutboxWays<T>) {
    this.#ways = ways;
  }

  /** Sends an item at the end of this turn, with others for the same place. */
  add(place: string, item: T): void {
    const group = this.#groups.get(place);
    if (group === undefined) {
      this.#groups.set(place, [item]);
      this.#immediate ??= setImmediate(this.#onTurnEnd);
    } else if (group.push(item) >= MAX_BUNDLE_ENTRIES) {
      this.#groups.delete(place);
      this.#ways.together(place, group);
    }
  }

  /** Sends what waits now. */
  flush(): void {
    if (this.#groups.size === 0) return;
    for (const [place, group] of this.#groups) {
      if (group.length === 1) this.#ways.alone(place, group[0] as T);
      else this.#ways.together(place, group);
    }
    this.#groups.clear();
  }

  readonly #onTurnEnd = (): void => {
    this.#immediate = undefined;
    this.flush();
  };
}
