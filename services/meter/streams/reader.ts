/**
 * One reader of a topic: what it has seen, and when it gets the next message.
 *
 * It holds a version and two instants, never a message. So a reader that comes back
 * late gets the newest values. States: reading (its stream still writes the last
 * message) and waiting (in next()).
 */
import type { Delta, Feed } from "./feed.js";

/** How often a reader wants a message, in milliseconds. */
export interface Pace {
  /** At most one message in this time. */
  readonly minIntervalMs: number;
  /** At least one message in this time. */
  readonly keepAliveMs: number;
}

/** By a finer clock a timer may fire this much early, in milliseconds. */
const ROUNDING_MS = 1;

/** What a reader needs of changes.ts. */
export interface ReaderHost {
  nowMs(): number;
  /** A waiting reader has changes and is not due yet: call pulse() later. */
  behind(): void;
  left(reader: Reader<unknown>): void;
}

/** A reader of values of type V. */
export class Reader<V> {
  readonly #feed: Feed<V>;
  readonly #pace: Pace;
  readonly #host: ReaderHost;
  readonly #signal: AbortSignal;
  readonly #onAbort = (): void => this.#close();
  #seen = 0n;
  #sentMs = Number.NEGATIVE_INFINITY;
  /** The tick that woke it last. Its pace is counted from there; otherwise it would miss every second tick. */
  #wokenMs: number | undefined;
  #wake: (() => void) | undefined;

  /** @param signal ends the reader; next() then rejects with its reason */
  constructor(feed: Feed<V>, pace: Pace, host: ReaderHost, signal: AbortSignal) {
    this.#feed = feed;
    this.#pace = pace;
    this.#host = host;
    this.#signal = signal;
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  /**
   * Resolves with the changes as soon as the pace allows: at first everything, later
   * perhaps nothing, as a keep-alive.
   *
   * @throws the signal's reason
   */
  async next(): Promise<Delta<V>> {
    this.#signal.throwIfAborted();
    this.#wokenMs = undefined;
    if (!this.#isDue(this.#host.nowMs())) {
      if (this.#feed.version > this.#seen) this.#host.behind();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#signal.throwIfAborted();
    }
    const delta = this.#feed.since(this.#seen);
    this.#seen = delta.version;
    return delta;
  }

  /** Whether the last message is older than the keep-alive time. */
  get isSilent(): boolean {
    return this.#host.nowMs() - this.#sentMs >= this.#pace.keepAliveMs;
  }

  /** The stream sends a message now. Both times are counted from here. */
  sent(): void {
    this.#sentMs = this.#wokenMs ?? this.#host.nowMs();
  }

  /** Wakes it when it waits and is due. False when it has changes and must still wait. */
  pulse(nowMs: number): boolean {
    if (this.#wake === undefined) return true;
    if (!this.#isDue(nowMs)) return this.#feed.version === this.#seen;
    this.#wokenMs = nowMs;
    this.#release();
    return true;
  }

  #isDue(nowMs: number): boolean {
    const sinceMs = nowMs - this.#sentMs;
    if (sinceMs >= this.#pace.keepAliveMs) return true;
    return this.#feed.version > this.#seen && sinceMs >= this.#pace.minIntervalMs - ROUNDING_MS;
  }

  #release(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #close(): void {
    this.#host.left(this as Reader<unknown>);
    this.#release();
  }
}
