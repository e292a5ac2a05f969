/**
 * The batcher: what is sent to one place in one turn of the event loop leaves
 * together, at the end of the turn or when there is enough of it; what has no
 * company leaves as it is.
 *
 * Not decided here: what may wait, and how several travel (bundle.ts).
 */

import { ChurnMap } from "../job/churn-map.js";
import { MAX_BUNDLE_BYTES, MAX_BUNDLE_ENTRIES } from "../wire/bundle.js";
import { HEADER_RESERVE_BYTES } from "../wire/headers.js";
import type { Bus } from "./bus.js";

/** How items leave. */
export interface BatcherWays<T> {
  /** Sends the only item for a place. */
  alone(place: string, item: T): void;
  /** Sends two or more. */
  together(place: string, items: readonly T[]): void;
  /** What an item takes of a message, in bytes. */
  bytesOf(item: T): number;
}

interface Group<T> {
  readonly place: string;
  /** Empty once they have left or were taken back. */
  items: T[];
  bytes: number;
}

export class Batcher<T> {
  readonly #bus: Pick<Bus, "maxPayloadBytes" | "runtime">;
  readonly #ways: BatcherWays<T>;
  /** In the order in which their places were named first. */
  #groups: Group<T>[] = [];
  readonly #byPlace = new ChurnMap<Group<T>>();
  #waiting = false;

  /** @param bus whose broker's limit no message exceeds */
  constructor(bus: Pick<Bus, "maxPayloadBytes" | "runtime">, ways: BatcherWays<T>) {
    this.#bus = bus;
    this.#ways = ways;
  }

  /** Whether the end of this turn is waited for. */
  get waiting(): boolean {
    return this.#waiting;
  }

  /** Sends an item at the end of this turn, with others for the same place. */
  add(place: string, item: T): void {
    const bytes = this.#ways.bytesOf(item);
    const group = this.#byPlace.get(place) ?? this.#open(place);
    if (group.bytes + bytes > this.#maxBytes) this.#send(group);
    group.bytes += bytes;
    if (group.items.push(item) >= MAX_BUNDLE_ENTRIES) this.#send(group);
  }

  /** Takes back what waits for one place. */
  take(place: string): readonly T[] {
    const group = this.#byPlace.get(place);
    return group === undefined ? [] : empty(group);
  }

  /** Sends what waits now. */
  flush(): void {
    if (this.#groups.length === 0) return;
    const groups = this.#groups;
    this.#groups = [];
    this.#byPlace.clear();
    for (const group of groups) this.#send(group);
  }

  get #maxBytes(): number {
    return Math.min(MAX_BUNDLE_BYTES, this.#bus.maxPayloadBytes - HEADER_RESERVE_BYTES);
  }

  #open(place: string): Group<T> {
    const group: Group<T> = { place, items: [], bytes: 0 };
    this.#groups.push(group);
    this.#byPlace.set(place, group);
    if (!this.#waiting) {
      this.#waiting = true;
      this.#bus.runtime.endOfTurn(this.#onTurnEnd);
    }
    return group;
  }

  #send(group: Group<T>): void {
    const items = empty(group);
    if (items.length === 1) this.#ways.alone(group.place, items[0] as T);
    else if (items.length > 1) this.#ways.together(group.place, items);
  }

  readonly #onTurnEnd = (): void => {
    this.#waiting = false;
    this.flush();
  };
}

function empty<T>(group: Group<T>): T[] {
  const { items } = group;
  group.items = [];
  group.bytes = 0;
  return items;
}
