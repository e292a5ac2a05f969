/**
 * Sees to it that what was published has arrived.
 *
 * What is published at the moment in which a connection breaks is lost. So it is
 * kept until a round trip that began after it has ended, and published again
 * after a reconnect. The receiver drops the second one. Not decided here: how it
 * is kept, and for how long (the store's matter).
 */
import type { Bus } from "./bus.js";
import type { Timer } from "./runtime.js";

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
