/**
 * The outbox: what is sent to one place in one turn of the event loop leaves
 * together, at the end of the turn or when there is enough of it.
 *
 * Not decided here: what may wait, and how several travel (bundle.ts).
 */
import { MAX_BUNDLE_ENTRIES } from "./bundle.js";

export class Outbox<T> {
  readonly #send: (place: string, items: T[]) => void;
  readonly #groups = new Map<string, T[]>();
  #immediate: NodeJS.Immediate | undefined;

  /** @param send sends what is for one place, at least one item */
  constructor(send: (place: string, items: T[]) => void) {
    this.#send = send;
  }

  /** Sends an item at the end of this turn, with others for the same place. */
  add(place: string, item: T): void {
    const group = this.#groups.get(place);
    if (group === undefined) {
      this.#groups.set(place, [item]);
      this.#immediate ??= setImmediate(this.#onTurnEnd);
    } else if (group.push(item) >= MAX_BUNDLE_ENTRIES) {
      this.#groups.delete(place);
      this.#send(place, group);
    }
  }

  /** Sends what waits now. */
  flush(): void {
    if (this.#groups.size === 0) return;
    for (const [place, group] of this.#groups) this.#send(place, group);
    this.#groups.clear();
  }

  readonly #onTurnEnd = (): void => {
    this.#immediate = undefined;
    this.flush();
  };
}
