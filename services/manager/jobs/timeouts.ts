/**
 * What has waited too long in one pool: jobs past their deadline, attempts that
 * no worker has accepted, late replies. Pure.
 *
 * Decided here: when each of these is over, and how long a worker has to accept.
 * It is called on a tick; it owns no timer.
 */
import { PoolError } from "../../../mesh/errors.js";
import type { Dispatcher } from "./dispatcher.js";
import type { Workers } from "./workers.js";

/** While no answer was measured, a worker has at least this long to accept, in milliseconds. */
const UNMEASURED_TIMEOUT_MS = 1_000;
/** A measured round trip raises the accept timeout to this at most, in milliseconds. */
const MAX_MEASURED_TIMEOUT_MS = 3_000;
/** How long the late reply to a revoked attempt is waited for, in milliseconds. */
const LATE_REPLY_MS = 2_000;

export class Timeouts {
  readonly #dispatcher: Dispatcher;
  readonly #workers: Workers;
  readonly #leastAcceptMs: number;
  /** A round trip to the broker, and that to the slowest worker, in milliseconds. */
  #brokerMs = 0;
  #slowestMs: number | undefined;

  /** @param acceptTimeoutMs how long an attempt may stay unaccepted; raised to four round trips */
  constructor(dispatcher: Dispatcher, workers: Workers, acceptTimeoutMs: number) {
    this.#dispatcher = dispatcher;
    this.#workers = workers;
    this.#leastAcceptMs = acceptTimeoutMs;
  }

  /**
   * The accept timeout in force: never less than four round trips as measured to
   * the worker that is farthest. A round trip counts for 750 ms at most: a longer
   * one tells of a process that stalled, and the jobs of a dead worker must not
   * wait for that.
   */
  get acceptTimeoutMs(): number {
    const least = this.#slowestMs === undefined ? UNMEASURED_TIMEOUT_MS : 4 * this.#slowestMs;
    const measured = Math.min(Math.max(least, 4 * this.#brokerMs), MAX_MEASURED_TIMEOUT_MS);
    return Math.max(this.#leastAcceptMs, measured);
  }

  /** A round trip to a worker took this long, in milliseconds. */
  workerMeasured(worker: string, ms: number): void {
    if (ms > LATE_REPLY_MS) return;
    this.#workers.measured(worker, ms);
    this.#slowestMs = Math.max(this.#slowestMs ?? 0, ms);
  }

  /** A round trip to the broker took this long, in milliseconds. */
  brokerMeasured(ms: number): void {
    this.#brokerMs = this.#brokerMs === 0 ? ms : this.#brokerMs * 0.7 + ms * 0.3;
  }

  /** Ends the jobs whose deadline has passed. */
  checkDeadlines(nowMs: number): void {
    for (const job of this.#dispatcher.deadlines.expired(nowMs)) {
      const parked = job.state === "parked";
      const message = parked ? "no slot came free before the deadline" : "no result before the deadline";
      const options = { maybeExecuted: job.mayHaveRun };
      this.#dispatcher.cancel(job, new PoolError("deadline_exceeded", message, options));
    }
  }

  /** Revokes the attempts that no worker has accepted in time. */
  checkUnanswered(nowMs: number): void {
    const { unanswered } = this.#dispatcher.inFlight;
    for (let oldest = unanswered.first; oldest !== undefined; oldest = unanswered.first) {
      if (nowMs - oldest.sentAtMs < this.acceptTimeoutMs) return;
      this.#dispatcher.acceptTimedOut(oldest);
    }
  }

  /** Called every second: late replies are given up, and the slowest worker is looked up anew. */
  checkLate(nowMs: number): void {
    this.#slowestMs = this.#workers.slowestMs();
    this.#dispatcher.inFlight.closeLate(nowMs - LATE_REPLY_MS);
  }

  /** This manager stalled for `gapMs`: that time counts against no attempt and no worker. */
  excuseStall(gapMs: number, nowMs: number): void {
    this.#workers.excuseStall(gapMs, nowMs);
    for (const attempt of this.#dispatcher.inFlight.unanswered) {
      attempt.sentAtMs = Math.min(nowMs, attempt.sentAtMs + gapMs);
    }
  }

  /** The connection was away: what is unanswered has its time again from now on. */
  restartUnanswered(nowMs: number): void {
    for (const attempt of this.#dispatcher.inFlight.unanswered) attempt.sentAtMs = nowMs;
  }

  /** Gives up all late replies. */
  stop(): void {
    this.#dispatcher.inFlight.closeLate(Number.POSITIVE_INFINITY);
  }
}
