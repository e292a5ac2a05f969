/**
 * Leaves a broker that stands still for another one.
 *
 * Such a broker (SIGSTOP, a machine that swaps, a link that drops all) keeps its connections open, and nobody hears
 * who is behind it. The NATS client's own pings notice that after ten to fifteen seconds; others have judged by then.
 *
 * Decided here: how long a broker may say nothing while somebody waits to hear us, and that there must be another one to
 * go to. Time in which this process stalled is not the broker's. Not decided here: who waits to hear us.
 */
import type { Bus } from "../bus.js";

/** How often the broker is asked for a sign of life, in milliseconds. */
const ASK_EVERY_MS = 400;
/** A broker that has not answered for so long stands still, in milliseconds. Less than the three seconds after which a worker counts as lost. */
const SILENT_AFTER_MS = 1_200;
/** A question is given up after so long, in milliseconds. */
const ASK_LIMIT_MS = 60_000;
/** Two checks that are farther apart tell of a stall of this process, in milliseconds. */
const STALL_MS = 200;
/** After it has left one broker it stays with the next for at least so long, in milliseconds: a machine that is too busy looks alike everywhere. */
const STAYS_MS = 5_000;

export class SilentBroker {
  readonly #bus: Bus;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  /** Since when it owes an answer; time of our own stalls is taken off. */
  #owesSinceMs: number | undefined;
  #checkedAtMs = Number.NEGATIVE_INFINITY;
  #staysUntilMs = Number.NEGATIVE_INFINITY;

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  /** Whether it owes an answer: the checks must go on. */
  get owes(): boolean {
    return this.#owesSinceMs !== undefined;
  }

  /** Called several times a second while somebody waits to hear us. @param nowMs monotonic milliseconds */
  check(nowMs: number): void {
    const gapMs = nowMs - this.#checkedAtMs;
    this.#checkedAtMs = nowMs;
    if (!this.#bus.mayMove) {
      this.#owesSinceMs = undefined;
      return;
    }
    // What it has answered meanwhile is not read yet.
    if (this.#owesSinceMs !== undefined && gapMs > STALL_MS) this.#owesSinceMs = nowMs;
    if (this.#owesSinceMs === undefined) {
      if (nowMs - this.#askedAtMs >= ASK_EVERY_MS) void this.#ask(nowMs);
      return;
    }
    if (nowMs - this.#owesSinceMs < SILENT_AFTER_MS || nowMs < this.#staysUntilMs) return;
    this.#staysUntilMs = nowMs + STAYS_MS;
    this.#owesSinceMs = undefined;
    this.#bus.move("the broker does not answer");
  }

  async #ask(nowMs: number): Promise<void> {
    this.#askedAtMs = nowMs;
    this.#owesSinceMs = nowMs;
    await this.#bus.flush(ASK_LIMIT_MS);
    // A later question may be open by then.
    if (this.#askedAtMs === nowMs) this.#owesSinceMs = undefined;
  }
}
