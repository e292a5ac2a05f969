/** Watches the worker's event loop: ticks, and makes the round trip that ends a suspicion. */
import type { Bus } from "../../mesh/link/bus.js";
import { delay, type Timer } from "../../mesh/link/runtime.js";
import type { Caution } from "./jobs/accept-policy.js";
import { StallWatch, TICK_MS } from "./stall.js";

/** How long one round trip may take, and how long to wait after one that failed, in milliseconds. */
const FLUSH_LIMIT_MS = 2_000;
const RETRY_MS = 100;

export class LoopWatch {
  readonly stall: StallWatch;
  readonly #bus: Bus;
  readonly #caution: Caution;
  readonly #now: () => number;
  #ticker: Timer | undefined;
  #clearing = false;

  constructor(bus: Bus, caution: Caution, now: () => number) {
    this.#bus = bus;
    this.#caution = caution;
    this.#now = now;
    this.stall = new StallWatch(now());
  }

  start(): void {
    this.stall.tick(this.#now());
    this.stall.takeLongestLagMs();
    this.stall.cleared(this.stall.stalls);
    this.#ticker = this.#bus.runtime.every(TICK_MS, () => this.#tick());
  }

  stop(): void {
    this.#bus.runtime.cancel(this.#ticker);
    this.#ticker = undefined;
  }

  /** Begins the round trip after a stall, unless one is under way. */
  readonly onStall = (): void => {
    if (!this.#clearing) void this.#clear();
  };

  #tick(): void {
    this.#caution.lagged(this.stall.tick(this.#now()));
    if (this.stall.suspect) this.onStall();
  }

  async #clear(): Promise<void> {
    this.#clearing = true;
    while (this.stall.suspect && this.#ticker !== undefined) {
      const { stalls } = this.stall;
      if (await this.#bus.flush(FLUSH_LIMIT_MS)) this.stall.cleared(stalls);
      else await delay(this.#bus.runtime, RETRY_MS);
    }
    this.#clearing = false;
  }
}
