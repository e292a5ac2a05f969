/**
 * One reader of a topic: what it has seen, and when it is told again.
 *
 * It holds a version and two instants, never a message: a reader that does not
 * come back for long gets the newest values when it does. States: reading (its
 * stream is busy with what it got) and waiting (in next()).
 */
import type { Delta, Feed } from "./feed.js";

/** How often a reader wants to be told, in milliseconds. */
export interface Pace {
  /** At most one message in this time. */
  readonly minIntervalMs: number;
  /** At least one message in this time. */
  readonly keepAliveMs: number;
}

/** A timer of so many milliseconds may fire so much earlier by a finer clock. */
const ROUNDING_MS = 1;

/** What a reader needs of whoever keeps its topic current. */
export interface ReaderHost {
  nowMs(): number;
  /** There is something for a waiting reader that is not due yet: pulse it later. */
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
  /** The tick that woke it last: its time counts from there, or it would miss every other one. */
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
   * Resolves with what is new, as soon as the pace allows: at first everything,
   * later perhaps nothing, as a sign of life.
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

  /** The stream sends a message now: both times count from here. */
  sent(): void {
    this.#sentMs = this.#wokenMs ?? this.#host.nowMs();
  }

  /** Wakes it when it waits and is due; false when it has to wait although there is something new. */
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
