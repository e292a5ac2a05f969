/**
 * How long a connection waits before it tries a broker again.
 *
 * Decided here: the delays, and that a wall clock that somebody sets back
 * delays nothing. Not decided here: which broker is next (the NATS client).
 */
import type { Runtime } from "../runtime.js";

/** The time between two tries for a first connection, in milliseconds: 100 to 300 at random. */
export function reconnectDelayMs({ random }: Pick<Runtime, "random">): number {
  return 100 + random() * 200;
}

/**
 * For so long after a connection ended tries are quick, in milliseconds: a link that was down for a moment is there again
 * before anybody misses it. A time and no number of tries: the NATS client asks for a delay more than once for each.
 */
const QUICK_MS = 1_000;
/**
 * Tries that are farther apart than this belong to two outages, in milliseconds: more than the longest wait between two
 * tries. A connection that breaks soon after it was made has a quick second of its own.
 */
const OUTAGE_MS = 500;
/** A wall clock that lost less than this was corrected, not set back, in milliseconds. */
const SET_BACK_MS = 20;
/** So many tries are corrected after a clock was set back: one for each broker of a cluster. */
const CORRECTED_TRIES = 8;
/** A broker that is avoided would be tried again after this, in milliseconds: until then another one is. */
const AVOID_MS = 20;
/** More than all roundings of clocks together, in milliseconds. */
const AT_ONCE_MS = 1_000;

/** The time between two tries to come back: 20 to 80 ms at first, then 100 to 300, at random, so that many do not return at once. */
export class ReconnectDelays {
  readonly #runtime: Pick<Runtime, "now" | "wallNow" | "random">;
  #beganAtMs = Number.NEGATIVE_INFINITY;
  #triedAtMs = Number.NEGATIVE_INFINITY;
  #wallAheadMs: number;
  #lostMs = 0;
  #corrected = CORRECTED_TRIES;
  #avoidsLast = false;

  constructor(runtime: Pick<Runtime, "now" | "wallNow" | "random">) {
    this.#runtime = runtime;
    this.#wallAheadMs = runtime.wallNow() - runtime.now();
  }

  /** The broker that was tried last, which is the one that there is a connection to, is not the first to be tried next. */
  avoidLast(): void {
    this.#avoidsLast = true;
  }

  /**
   * The time from the last try at a broker until the next, in milliseconds.
   *
   * The NATS client adds it to the wall clock of the last try. When that clock
   * was set back since then, the result is less than minus what it lost, and
   * the broker is tried at once.
   */
  next(): number {
    const nowMs = this.#runtime.now();
    const sinceMs = nowMs - this.#triedAtMs;
    if (sinceMs > OUTAGE_MS) this.#beganAtMs = nowMs;
    this.#triedAtMs = nowMs;
    const lostMs = this.#lost(nowMs);
    if (lostMs > 0) return -lostMs - AT_ONCE_MS;
    if (this.#avoidsLast) {
      this.#avoidsLast = false;
      return sinceMs + AVOID_MS;
    }
    const { random } = this.#runtime;
    return nowMs - this.#beganAtMs <= QUICK_MS ? 20 + random() * 60 : reconnectDelayMs(this.#runtime);
  }

  #lost(nowMs: number): number {
    const aheadMs = this.#runtime.wallNow() - nowMs;
    const lostMs = this.#wallAheadMs - aheadMs;
    this.#wallAheadMs = aheadMs;
    this.#corrected += 1;
    if (this.#corrected > CORRECTED_TRIES) this.#lostMs = 0;
    if (lostMs > SET_BACK_MS) {
      this.#lostMs += lostMs;
      this.#corrected = 1;
    }
    return this.#lostMs;
  }
}
