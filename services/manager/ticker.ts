/**
 * A manager's timers: one of 10 ms while jobs are live, one of a second.
 *
 * Decided here: how often each check of a pool is made, that a message which wakes
 * the process about then makes the check, so that the timer need not wake it once more, and that
 * time in which this process stalled counts against nobody.
 */
import type { Bus } from "../../mesh/link/bus.js";
import { PROBE_AFTER_MS } from "../../mesh/link/presence.js";
import { StallDetector, type Timer } from "../../mesh/link/runtime.js";
import type { Heartbeats } from "./heartbeat.js";
import type { Pool } from "./pool/pool.js";

const TICK_MS = 10;
/** A tick waits this much longer for a message that wakes the process anyway. */
const TICK_SLACK_MS = 10;
/** The time between two ticks while no message comes. */
const LONE_TICK_MS = TICK_MS + TICK_SLACK_MS;
const SECOND_MS = 1_000;
/** The second's work is done as soon as something else wakes the process around its time, so that it needs no wake of its own. While no job is live it may also be early. */
const SECOND_SLACK_MS = 100;
/** The fast ticker goes on for this long without a job, so that one job after another does not start it anew. */
const GOES_ON_MS = 1_000;
/** A tick that comes later than this ends a stall, while jobs are live and while none is, in milliseconds. */
const BUSY_TOLERANCE_MS = 80;
const IDLE_TOLERANCE_MS = 500;
const ROUND_TRIP_LIMIT_MS = 1_000;
/** How often silent workers with jobs are looked for, in milliseconds. */
const PRESENCE_CHECK_MS = PROBE_AFTER_MS / 3;
/** A broker that does not answer for this long delivers nothing: what waits meanwhile is excused, in milliseconds. */
const BROKER_STALL_MS = 300;

/** What it works with. */
export interface TickerParts {
  readonly bus: Bus;
  readonly pools: () => Iterable<Pool>;
  readonly heartbeats: Pick<Heartbeats, "changed">;
  /** Called every second, after the checks. */
  readonly onSecond: (nowMs: number) => void;
}

export class Ticker {
  readonly #parts: TickerParts;
  readonly #busy = new Set<Pool>();
  readonly #stall: StallDetector;
  #fast: Timer | undefined;
  #slow: Timer | undefined;
  #lastSecondAtMs = 0;
  /** From when on a message may stand for the timer. */
  #tickDueAtMs = 0;
  #busyAtMs = 0;
  /** The pools that have become busy or idle since the last tick. */
  readonly #changed = new Set<Pool>();
  #nextPresenceAtMs = 0;
  /** When the broker was asked for a sign of life that it has not given. */
  #askedBrokerAtMs = Number.POSITIVE_INFINITY;

  constructor(parts: TickerParts) {
    this.#parts = parts;
    this.#stall = new StallDetector(parts.bus.runtime.now(), SECOND_MS, IDLE_TOLERANCE_MS);
  }

  /** Whether a pool has live jobs. */
  get isBusy(): boolean {
    return this.#busy.size > 0;
  }

  start(): void {
    const nowMs = this.#parts.bus.runtime.now();
    this.#stall.expect(nowMs, SECOND_MS, IDLE_TOLERANCE_MS);
    this.#awaitSecond(nowMs);
  }

  /** A message has woken the process, and was handled. @param nowMs monotonic milliseconds */
  onWake(nowMs: number): void {
    if (this.#fast !== undefined && nowMs >= this.#tickDueAtMs) this.#onTick(nowMs);
    const secondMs = this.#fast === undefined ? SECOND_MS - SECOND_SLACK_MS : SECOND_MS;
    if (this.#slow !== undefined && nowMs - this.#lastSecondAtMs >= secondMs) this.#onSecond(nowMs);
  }

  /** A pool has its first live job, or has none any more. */
  onBusy(pool: Pool, busy: boolean): void {
    this.#changed.add(pool);
    if (!busy) {
      this.#busy.delete(pool);
      return;
    }
    this.#busy.add(pool);
    if (this.#fast !== undefined) return;
    const nowMs = this.#parts.bus.runtime.now();
    this.#busyAtMs = nowMs;
    this.#stall.expect(nowMs, LONE_TICK_MS, BUSY_TOLERANCE_MS);
    this.#awaitTick(nowMs);
  }

  stop(): void {
    const { runtime } = this.#parts.bus;
    runtime.cancel(this.#fast);
    runtime.cancel(this.#slow);
    this.#slow = undefined;
    this.#fast = undefined;
  }

  #awaitTick(nowMs: number): void {
    const { runtime } = this.#parts.bus;
    runtime.cancel(this.#fast);
    this.#tickDueAtMs = nowMs + TICK_MS;
    this.#fast = runtime.after(LONE_TICK_MS, () => this.#onTick(runtime.now()));
  }

  #onTick(nowMs: number): void {
    const { bus } = this.#parts;
    this.#awaitTick(nowMs);
    this.#checkStall(nowMs);
    this.#tellChange();
    const isPresenceDue = nowMs >= this.#nextPresenceAtMs;
    if (isPresenceDue) this.#nextPresenceAtMs = nowMs + PRESENCE_CHECK_MS;
    for (const pool of this.#busy) this.#check(pool, nowMs, isPresenceDue);
    if (this.#busy.size > 0) this.#busyAtMs = nowMs;
    if (nowMs - this.#busyAtMs < GOES_ON_MS) return;
    bus.runtime.cancel(this.#fast);
    this.#fast = undefined;
    this.#stall.expect(nowMs, SECOND_MS, IDLE_TOLERANCE_MS);
  }

  #check(pool: Pool, nowMs: number, isPresenceDue: boolean): void {
    const { bus } = this.#parts;
    pool.timeouts.checkDeadlines(nowMs);
    // During a handover messages are held, and a broker that stands still delivers none: no worker can have answered.
    if (!bus.connected || bus.handingOver || nowMs - this.#askedBrokerAtMs > BROKER_STALL_MS) return;
    const due = pool.timeouts.checkUnanswered(nowMs);
    if (due.length > 0) pool.losses.inquire(due);
    if (!isPresenceDue) return;
    pool.losses.checkPresence(nowMs);
    pool.losses.checkSilence(nowMs);
    pool.dispatcher.probeBare();
  }

  #awaitSecond(nowMs: number): void {
    const { runtime } = this.#parts.bus;
    runtime.cancel(this.#slow);
    this.#lastSecondAtMs = nowMs;
    this.#slow = runtime.after(SECOND_MS + SECOND_SLACK_MS, () => this.#onSecond(runtime.now()));
  }

  #onSecond(nowMs: number): void {
    this.#awaitSecond(nowMs);
    if (this.#fast === undefined) this.#checkStall(nowMs);
    for (const pool of this.#parts.pools()) {
      pool.timeouts.checkLate(nowMs);
      pool.losses.checkSilence(nowMs);
    }
    this.#parts.onSecond(nowMs);
    if (this.isBusy || this.#askedBrokerAtMs < nowMs) void this.#measureRoundTrip();
  }

  #checkStall(nowMs: number): void {
    const lagMs = this.#stall.sign(nowMs);
    if (!this.#stall.isStall(lagMs)) return;
    for (const pool of this.#parts.pools()) pool.timeouts.excuseStall(lagMs, nowMs);
  }

  /** Heartbeats tell it soon. Asked at a tick, and not at each first and last job: jobs that come one after another are many. */
  #tellChange(): void {
    if (this.#changed.size === 0) return;
    for (const pool of this.#changed) this.#parts.heartbeats.changed(pool);
    this.#changed.clear();
  }

  #excuseBroker({ timeouts, losses }: Pool, stalledMs: number, nowMs: number): void {
    timeouts.excuseStall(stalledMs, nowMs);
    losses.excuseBroker(nowMs);
  }

  async #measureRoundTrip(): Promise<void> {
    const { bus } = this.#parts;
    const begunAtMs = bus.runtime.now();
    if (this.#askedBrokerAtMs === Number.POSITIVE_INFINITY) this.#askedBrokerAtMs = begunAtMs;
    const isAnswered = await bus.flush(ROUND_TRIP_LIMIT_MS);
    if (!isAnswered) return;
    const nowMs = bus.runtime.now();
    const stalledMs = nowMs - this.#askedBrokerAtMs;
    this.#askedBrokerAtMs = Number.POSITIVE_INFINITY;
    for (const pool of this.#parts.pools()) {
      if (stalledMs <= BROKER_STALL_MS) pool.timeouts.brokerMeasured(nowMs - begunAtMs);
      else this.#excuseBroker(pool, stalledMs, nowMs);
    }
  }
}
