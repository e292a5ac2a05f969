/**
 * What has waited too long in one pool: jobs past their deadline, attempts that
 * no worker has accepted, late replies. Pure.
 *
 * Decided here: when each of these is over, how long a worker has to accept, and
 * how old an attempt may be when it is started. It is called on a tick; it owns
 * no timer.
 *
 * An attempt is a lease: the next attempt leaves only when this one can no longer
 * start. With T the accept timeout and L the lease,
 *
 *   L + E + D <= T
 *
 * where E is how much too low a worker may take the age of a message (the
 * shortest way from here to there, at most the slowest round trip), and D allows
 * for clocks that run at different speeds and for rounding.
 *
 * That it can no longer start does not mean that it has not: a worker may have
 * begun, and its `accepted` may be late. So before a job that may run once only is sent
 * again, all workers are asked whether they have it (inquiries.ts). A worker answers
 * in order: when it says that it does not know the job, no `accepted` of it is on
 * the way. A worker that answers nothing is taken for suspended.
 */
import { PoolError } from "../../../mesh/errors.js";
import type { Dispatcher } from "./dispatcher.js";
import { type Attempt, type Job, LARGE_PAYLOAD_BYTES } from "./job.js";
import type { Workers } from "./workers.js";

/**
 * While no worker was measured, workers have at least this long to accept, in milliseconds; for a job that may run once only, while
 * there may be one that was not.
 */
const UNMEASURED_TIMEOUT_MS = 1_000;
/** What E is taken for while there may be a worker that was not measured, in milliseconds. */
const UNMEASURED_WAY_MS = 500;
/** A measured round trip raises the accept timeout to this at most, in milliseconds. */
const MAX_MEASURED_TIMEOUT_MS = 3_000;
/**
 * For so long after this manager began to listen, milliseconds, there may be workers that it does not know: it has heard each that
 * says something every second or two.
 */
const KNOWS_ALL_AFTER_MS = 2_500;
/** D: rounding, and a thousandth of the timeout. */
const ROUNDING_MS = 10;
const DRIFT = 1e-3;
/** The shortest lease, in milliseconds. */
const MIN_LEASE_MS = 20;
/** How long workers have to say whether they have a job that may run once only, in milliseconds. */
export const INQUIRY_MS = 500;
/** The same with the round trip that has to end before silence counts, in milliseconds. */
export const INQUIRY_ROUND_MS = INQUIRY_MS + 100;
const NONE: readonly Attempt[] = [];
/** How long the late reply to a revoked attempt is waited for, in milliseconds. */
const LATE_REPLY_MS = 2_000;
/** Time on the wire that a payload is allowed at first, in milliseconds a byte: 1 MB a second. */
const WIRE_MS_PER_BYTE = 1e-3;
/** The slowest link that is learned, in milliseconds a byte: 20 kB a second. */
const MAX_WIRE_MS_PER_BYTE = 5e-2;

export class Timeouts {
  readonly #dispatcher: Dispatcher;
  readonly #workers: Workers;
  readonly #leastAcceptMs: number;
  /** A round trip to the broker, and that to the slowest worker, in milliseconds. */
  #brokerMs = 0;
  #slowestMs: number | undefined;
  /** There may be a worker that was not measured, known to this manager or not yet. */
  #mayHaveUnmeasured = true;
  #wireMsPerByte = WIRE_MS_PER_BYTE;
  #listensSinceMs = Number.NEGATIVE_INFINITY;

  /** @param acceptTimeoutMs how long an attempt may stay unaccepted; raised to four round trips */
  constructor(dispatcher: Dispatcher, workers: Workers, acceptTimeoutMs: number) {
    this.#dispatcher = dispatcher;
    this.#workers = workers;
    this.#leastAcceptMs = acceptTimeoutMs;
  }

  /**
   * The accept timeout in force, for a payload that takes no time on the wire:
   * never less than four round trips as measured to the worker that is farthest. A
   * round trip counts for 750 ms at most: a longer one tells of a process that
   * stalled, and the jobs of a dead worker must not wait for that.
   */
  get acceptTimeoutMs(): number {
    const least = this.#slowestMs === undefined ? UNMEASURED_TIMEOUT_MS : 4 * this.#slowestMs;
    const measured = Math.min(Math.max(least, 4 * this.#brokerMs), MAX_MEASURED_TIMEOUT_MS);
    return Math.max(this.#leastAcceptMs, measured);
  }

  /**
   * The accept timeout of one job: its payload's time on the wire counts. A job that may run once only has enough for a
   * worker whose way nobody knows: a lease that is shorter than that way would not be noticed as over there.
   */
  acceptTimeoutOf({ payloadBytes, spec }: Job): number {
    const wireMs = payloadBytes > LARGE_PAYLOAD_BYTES ? payloadBytes * this.#wireMsPerByte : 0;
    const leastMs = this.#mayHaveUnmeasured && !spec.idempotent ? UNMEASURED_TIMEOUT_MS : 0;
    return Math.max(leastMs, this.acceptTimeoutMs) + wireMs;
  }

  /**
   * How old an attempt may be when it is started, milliseconds.
   *
   * @param nowMs when it leaves
   */
  leaseMs({ answerWithinMs, answerFromMs }: Attempt, nowMs: number): number {
    const wayMs = this.#slowestMs === undefined || this.#mayHaveUnmeasured ? UNMEASURED_WAY_MS : this.#slowestMs;
    const errorMs = Math.min(wayMs, answerWithinMs / 2);
    const driftMs = ROUNDING_MS + answerWithinMs * DRIFT;
    return Math.max(MIN_LEASE_MS, answerWithinMs - (nowMs - answerFromMs) - errorMs - driftMs);
  }

  /** This manager begins to listen, or does so again after its connection was away. */
  listens(nowMs: number): void {
    this.#listensSinceMs = nowMs;
    this.#mayHaveUnmeasured = true;
  }

  /** Whether each worker that sends heartbeats was heard by now. Until then nobody's word is that of all. */
  knowsAll(nowMs: number): boolean {
    return nowMs - this.#listensSinceMs >= KNOWS_ALL_AFTER_MS;
  }

  /** A worker is new, and was not measured. */
  workerJoined(): void {
    this.#mayHaveUnmeasured = true;
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

  /** A worker refused an attempt because it was so old when it came: large payloads get more time. */
  cameLate({ job }: Attempt, ageMs: number): void {
    if (job.payloadBytes <= LARGE_PAYLOAD_BYTES) return;
    const msPerByte = Math.min((2 * ageMs) / job.payloadBytes, MAX_WIRE_MS_PER_BYTE);
    this.#wireMsPerByte = Math.max(this.#wireMsPerByte, msPerByte);
  }

  /** Ends the jobs whose deadline has passed. */
  checkDeadlines(nowMs: number): void {
    for (const job of this.#dispatcher.deadlines.expired(nowMs)) {
      const options = { maybeExecuted: job.mayHaveRun };
      this.#dispatcher.cancel(job, new PoolError("deadline_exceeded", this.#whyLate(job), options));
    }
  }

  /**
   * Revokes the attempts that no worker has accepted in time. An attempt of a job
   * that may run once only gets {@link INQUIRY_ROUND_MS} more: its worker may have begun,
   * and its `accepted` may be on the way. It gets that again while the question has
   * not reached the workers. Attempts are looked at in the order in which they left: one with a short time behind
   * one with a long time waits for that.
   *
   * @returns the attempts that workers have to be asked about now
   */
  checkUnanswered(nowMs: number): readonly Attempt[] {
    const { unanswered, unansweredOwnTime } = this.#dispatcher.inFlight;
    let due: Attempt[] | undefined;
    for (let oldest = unanswered.first; oldest !== undefined; oldest = unanswered.first) {
      if (nowMs - oldest.answerFromMs < oldest.answerWithinMs) break;
      due ??= [];
      if (this.#isOver(oldest)) due.push(oldest);
    }
    if (unansweredOwnTime.size > 0) {
      const isDue = ({ answerFromMs, answerWithinMs }: Attempt): boolean => nowMs - answerFromMs >= answerWithinMs;
      for (const attempt of [...unansweredOwnTime].filter(isDue)) {
        due ??= [];
        if (this.#isOver(attempt)) due.push(attempt);
      }
    }
    return due ?? NONE;
  }

  /** Revokes an attempt whose time is over, or gives it more; true when workers have to be asked about it. */
  #isOver(attempt: Attempt): boolean {
    if (attempt.inquiry === "over" || attempt.job.spec.idempotent) {
      this.#dispatcher.retries.acceptTimedOut(attempt);
      return false;
    }
    attempt.inquiry = "open";
    this.#dispatcher.inFlight.extend(attempt, INQUIRY_ROUND_MS);
    return true;
  }

  /** Called every second: late replies are given up, and the slowest worker is looked up anew. */
  checkLate(nowMs: number): void {
    this.#slowestMs = this.#workers.slowestMs();
    this.#mayHaveUnmeasured = this.#workers.hasUnmeasured || !this.knowsAll(nowMs);
    this.#dispatcher.inFlight.closeLate(nowMs - LATE_REPLY_MS);
  }

  /** This manager stalled for `gapMs`: that time counts against no attempt and no worker. */
  excuseStall(gapMs: number, nowMs: number): void {
    this.#workers.excuseStall(gapMs, nowMs);
    this.#eachUnanswered((attempt) => {
      attempt.answerFromMs = Math.min(nowMs, attempt.answerFromMs + gapMs);
    });
  }

  /**
   * The connection was away: what is unanswered has its time again from now on, and whatever the workers were asked about
   * it before, their answers may be lost.
   */
  restartUnanswered(nowMs: number): void {
    this.listens(nowMs);
    this.#eachUnanswered((attempt) => {
      attempt.answerFromMs = nowMs;
      attempt.inquiry = "none";
      attempt.wasCutOff = true;
    });
  }

  /** Gives up all late replies. */
  stop(): void {
    this.#dispatcher.inFlight.closeLate(Number.POSITIVE_INFINITY);
  }

  #eachUnanswered(visit: (attempt: Attempt) => void): void {
    const { unanswered, unansweredOwnTime } = this.#dispatcher.inFlight;
    for (const attempt of unanswered) visit(attempt);
    for (const attempt of unansweredOwnTime) visit(attempt);
  }

  #whyLate(job: Job): string {
    const { stream } = this.#dispatcher;
    const answered = stream === undefined ? "" : `; stream ${stream} captures the pool's subjects`;
    if (job.state === "parked" && !job.mayHaveRun) {
      const hindrance = this.#workers.hindrance();
      return `no slot came free before the deadline${answered}${hindrance === undefined ? "" : `; ${hindrance}`}`;
    }
    const isLarge = job.payloadBytes > LARGE_PAYLOAD_BYTES && job.attempt?.state !== "accepted";
    if (isLarge) return `no worker accepted a payload of ${job.payloadBytes} bytes before the deadline${answered}`;
    return `no result before the deadline${answered}`;
  }
}
