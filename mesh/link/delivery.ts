/**
 * How messages leave and how their sender knows that they have arrived.
 *
 * {@link Batcher}: what is sent to one subject in one turn of the event loop leaves
 * together, at the end of the turn, when there is enough of it, or, if asked for, when the turn is long. {@link Confirmer}:
 * what was published is kept until the broker has confirmed it, and published again
 * after a reconnect. Not decided here: what may wait, how several travel in one
 * message (wire/payloads.ts), how they are kept and for how long.
 */
import { ChurnMap } from "../job/containers.js";
import { HEADER_RESERVE_BYTES } from "../wire/headers.js";
import { MAX_BUNDLE_BYTES, MAX_BUNDLE_ENTRIES } from "../wire/payloads.js";
import type { Bus } from "./bus.js";
import type { Timer } from "./runtime.js";

/** How items leave. */
export interface BatcherWays<T> {
  /** Sends the only item for a place. */
  alone(place: string, item: T): void;
  /** Sends two or more. */
  together(place: string, items: readonly T[]): void;
  /** What an item takes of a message, in bytes. */
  bytesOf(item: T): number;
  /**
   * What has waited for so many milliseconds leaves though the turn goes on; default: nothing does. A turn lasts as long as a full
   * buffer can be read from the socket, up to 2 MiB: at a manager that cannot keep up, thousands of replies.
   */
  readonly longestWaitMs?: number;
}

interface Group<T> {
  readonly place: string;
  /** Empty once they have left or were taken back. */
  items: T[];
  bytes: number;
}

/** Where a turn may be long, the clock is looked at when so many items have been added. */
const ITEMS_PER_LOOK = 32;

/** Sends together what is for one place and comes in one turn; an item without company leaves as it is. */
export class Batcher<T> {
  readonly #bus: Pick<Bus, "maxPayloadBytes" | "runtime">;
  readonly #ways: BatcherWays<T>;
  /** In the order in which their places were named first. */
  #groups: Group<T>[] = [];
  readonly #byPlace = new ChurnMap<Group<T>>();
  #waiting = false;
  /** When the oldest of what waits came, at most; in monotonic milliseconds. */
  #waitsFromMs = 0;
  #added = 0;
  #flushesSoon = false;

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
    this.#added += 1;
    if (this.#added % ITEMS_PER_LOOK === 0 && this.#ways.longestWaitMs !== undefined)
      this.#flushAfter(this.#ways.longestWaitMs);
  }

  /**
   * What is added from now on leaves once the messages that were read together are handled, before the turn ends. Said
   * before something is published, it leaves in one write with that.
   */
  flushSoon(): void {
    if (this.#flushesSoon) return;
    this.#flushesSoon = true;
    queueMicrotask(this.#onHandled);
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
      this.#waitsFromMs = this.#bus.runtime.now();
      this.#bus.runtime.endOfTurn(this.#onTurnEnd);
    }
    return group;
  }

  #send(group: Group<T>): void {
    const items = empty(group);
    if (items.length === 1) this.#ways.alone(group.place, items[0] as T);
    else if (items.length > 1) this.#ways.together(group.place, items);
  }

  #flushAfter(longestWaitMs: number): void {
    const nowMs = this.#bus.runtime.now();
    if (nowMs - this.#waitsFromMs < longestWaitMs) return;
    this.#waitsFromMs = nowMs;
    this.flush();
  }

  readonly #onHandled = (): void => {
    this.#flushesSoon = false;
    this.flush();
  };

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

/** What was published and is not confirmed. */
export interface UnconfirmedStore {
  /** The number of the newest message; numbers rise by one. */
  readonly seq: number;
  /** How many messages are not confirmed. */
  readonly unconfirmed: number;
  /** All messages up to this number have arrived. */
  confirm(seq: number): void;
  /** Publishes again all that is not confirmed. */
  publishAgain(): void;
  /** Called before a round trip: what waits for the end of the turn leaves first. */
  flush?(): void;
}

/** The longest time that a message waits for its round trip to begin, in milliseconds. */
const CONFIRM_AFTER_MS = 50;
/** So many messages do not wait for that. */
const CONFIRM_AT_COUNT = 1_024;
const ROUND_TRIP_LIMIT_MS = 2_000;

/**
 * Sees to it that what was published has arrived.
 *
 * What is published at the moment in which a connection breaks is lost. So it is
 * kept until a round trip that began after it has ended. The receiver drops the
 * second one of two.
 */
export class Confirmer {
  readonly #bus: Bus;
  readonly #store: UnconfirmedStore;
  readonly #stopListening: () => void;
  #timer: Timer | undefined;
  #confirming: Promise<void> | undefined;
  #stopped = false;

  constructor(bus: Bus, store: UnconfirmedStore) {
    this.#bus = bus;
    this.#store = store;
    this.#stopListening = bus.on("reconnect", () => this.#onReconnect());
  }

  /** A message was published and is kept. */
  published(): void {
    if (this.#store.unconfirmed >= CONFIRM_AT_COUNT) void this.#confirm();
    else this.#confirmSoon();
  }

  /** Tries to confirm everything, with a limit in milliseconds. */
  async settle(limitMs: number): Promise<void> {
    const { now } = this.#bus.runtime;
    const endAtMs = now() + limitMs;
    while (this.#store.unconfirmed > 0 && now() < endAtMs && this.#bus.connected) {
      await this.#confirm(Math.max(1, endAtMs - now()));
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#stopListening();
    this.#cancelTimer();
  }

  #confirmSoon(): void {
    if (this.#stopped || this.#timer !== undefined || !this.#bus.connected) return;
    this.#timer = this.#bus.runtime.after(CONFIRM_AFTER_MS, () => void this.#confirm());
  }

  #cancelTimer(): void {
    this.#bus.runtime.cancel(this.#timer);
    this.#timer = undefined;
  }

  #confirm(limitMs = ROUND_TRIP_LIMIT_MS): Promise<void> {
    this.#cancelTimer();
    this.#confirming ??= this.#roundTrip(limitMs).finally(() => {
      this.#confirming = undefined;
      if (this.#store.unconfirmed > 0) this.#confirmSoon();
    });
    return this.#confirming;
  }

  async #roundTrip(limitMs: number): Promise<void> {
    this.#store.flush?.();
    const { seq } = this.#store;
    if (await this.#bus.flush(limitMs)) this.#store.confirm(seq);
  }

  #onReconnect(): void {
    this.#store.publishAgain();
    if (this.#store.unconfirmed > 0) void this.#confirm();
  }
}
