/**
 * Which of this process's messages have reached its broker.
 *
 * A broker takes what comes in order. So what was sent before a ping has arrived
 * when its pong is here. Who waits for a word of somebody else asks this first: while
 * its own message is still being written, or lies before a broker that stands still,
 * silence says nothing of the other, and to send again makes it worse.
 */
import type { Bus } from "../bus.js";

/** The longest wait for a pong, in milliseconds; a connection without pongs is ended before. */
const PONG_LIMIT_MS = 60_000;

export class Arrivals {
  readonly #bus: Pick<Bus, "flush" | "runtime" | "connected">;
  #arrivedMs = Number.NEGATIVE_INFINITY;
  #isAsking = false;

  constructor(bus: Pick<Bus, "flush" | "runtime" | "connected">) {
    this.#bus = bus;
  }

  /**
   * Whether what was sent at this time has arrived, or is lost with its connection. While that is not known the broker
   * is asked: look again later.
   *
   * @param sentAtMs monotonic milliseconds, before this turn
   */
  has(sentAtMs: number): boolean {
    if (this.#arrivedMs > sentAtMs) return true;
    if (!this.#isAsking && this.#bus.connected) void this.#ask();
    return false;
  }

  async #ask(): Promise<void> {
    const askedMs = this.#bus.runtime.now();
    this.#isAsking = true;
    if (await this.#bus.flush(PONG_LIMIT_MS)) this.#arrivedMs = askedMs;
    this.#isAsking = false;
  }
}
