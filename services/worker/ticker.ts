/**
 * A worker's timers: one while jobs run, one that watches the event loop, seldom while no job runs.
 *
 * Decided here: what was read after a stall of this process (a blocking handler,
 * SIGSTOP and SIGCONT) is stale input: it may have been revoked meanwhile. It is
 * stale until a round trip to the broker that began after the stall has ended. A worker with jobs leaves a broker
 * of a cluster that does not answer (mesh/link/broker/silent-broker.ts).
 */
import { SilentBroker } from "../../mesh/link/broker/silent-broker.js";
import type { Bus } from "../../mesh/link/bus.js";
import { delay, StallDetector, type Timer } from "../../mesh/link/runtime.js";

/** How often the event loop shows that it runs, and how late is a stall, in milliseconds. */
export const LOOP_TICK_MS = 50;
export const STALL_MS = 100;
/**
 * The same while no job has run for a while: an offer that is older than the gap in between is refused by its lease.
 * A bit more than half of a heartbeat's interval: with a heartbeat as every second tick, the process is woken twice a second.
 */
export const IDLE_LOOP_TICK_MS = 550;
/** How often running jobs are checked, in milliseconds; the ticker ends after so many checks without a job. */
const CHECK_MS = 10;
const IDLE_CHECKS = 50;
/** How long one round trip may take, and how long to wait after one that failed, in milliseconds. */
const ROUND_TRIP_LIMIT_MS = 2_000;
const RETRY_MS = 100;

/** What it works with. */
export interface TickerParts {
  readonly bus: Bus;
  /** Does what is due for the running jobs; returns how many there are. */
  readonly checkJobs: (nowMs: number) => number;
  /** The event loop was late by this much, in milliseconds. */
  readonly onLag: (lagMs: number) => void;
}

export class Ticker {
  readonly #parts: TickerParts;
  readonly #stall: StallDetector;
  readonly #broker: SilentBroker;
  #loop: Timer | undefined;
  #checks: Timer | undefined;
  #idleChecks = 0;
  #stale = false;
  #clearing = false;

  constructor(parts: TickerParts) {
    this.#parts = parts;
    this.#broker = new SilentBroker(parts.bus);
    this.#stall = new StallDetector(parts.bus.runtime.now(), IDLE_LOOP_TICK_MS, STALL_MS);
  }

  /** Whether what is read now may be out of date. */
  get inputIsStale(): boolean {
    return this.#stale;
  }

  start(): void {
    this.#watchLoop(IDLE_LOOP_TICK_MS);
  }

  /** A message is read: it may find a stall before the timer does. */
  onMessage(nowMs: number): void {
    if (this.#stall.check(nowMs)) this.#onStall();
  }

  /** A job has started. */
  onJobStarted(): void {
    this.#idleChecks = 0;
    if (this.#checks !== undefined) return;
    this.#checks = this.#parts.bus.runtime.every(CHECK_MS, () => this.#onCheck());
    if (this.#loop !== undefined) this.#watchLoop(LOOP_TICK_MS);
  }

  /** A heartbeat leaves: while no job runs it is a sign of life too, and the next tick is counted from here. */
  onHeartbeat(): void {
    if (this.#loop === undefined || this.#checks !== undefined) return;
    this.#onLoopTick();
    this.#watchLoop(IDLE_LOOP_TICK_MS);
  }

  /** The longest lag of the event loop since resetLag(), in milliseconds. */
  get longestLagMs(): number {
    return this.#stall.longestLagMs;
  }

  resetLag(): void {
    this.#stall.resetLag();
  }

  stop(): void {
    const { runtime } = this.#parts.bus;
    runtime.cancel(this.#loop);
    this.#loop = undefined;
    this.#endChecks();
  }

  #onLoopTick(): void {
    const lagMs = this.#stall.sign(this.#parts.bus.runtime.now());
    this.#parts.onLag(lagMs);
    if (this.#stall.isStall(lagMs)) this.#onStall();
  }

  #onCheck(): void {
    const nowMs = this.#parts.bus.runtime.now();
    const running = this.#parts.checkJobs(nowMs);
    // Managers wait to hear of a job that runs here, or has just ended.
    this.#broker.check(nowMs);
    this.#idleChecks = running === 0 && !this.#broker.owes ? this.#idleChecks + 1 : 0;
    if (this.#idleChecks <= IDLE_CHECKS) return;
    this.#endChecks();
    if (this.#loop !== undefined) this.#watchLoop(IDLE_LOOP_TICK_MS);
  }

  #watchLoop(everyMs: number): void {
    const { runtime } = this.#parts.bus;
    runtime.cancel(this.#loop);
    this.#stall.expect(runtime.now(), everyMs, STALL_MS);
    this.#loop = runtime.every(everyMs, () => this.#onLoopTick());
  }

  #endChecks(): void {
    this.#parts.bus.runtime.cancel(this.#checks);
    this.#checks = undefined;
  }

  #onStall(): void {
    this.#stale = true;
    if (!this.#clearing) void this.#clear();
  }

  async #clear(): Promise<void> {
    const { bus } = this.#parts;
    this.#clearing = true;
    while (this.#stale && this.#loop !== undefined) {
      const { stalls } = this.#stall;
      if (!(await bus.flush(ROUND_TRIP_LIMIT_MS))) await delay(bus.runtime, RETRY_MS);
      else if (stalls === this.#stall.stalls) this.#stale = false;
    }
    this.#clearing = false;
  }
}
