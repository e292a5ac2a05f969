/**
 * The jobs that hold this worker's slots: started and ended here.
 *
 * Decided here: a slot is taken in {@link RunningJobs.start} and given back in
 * `onEnded`, nowhere else. Not decided here: whether a job may start (intake.ts).
 */

import { PoolError } from "../../../mesh/errors.js";
import { ChurnMap } from "../../../mesh/job/churn-map.js";
import { type Runtime, within } from "../../../mesh/link/runtime.js";
import type { BeatFigures } from "../beat.js";
import type { Ending, Runner } from "../handlers/runner.js";
import type { OwedResults } from "../owed.js";
import type { Replies } from "../replies.js";
import type { Caution } from "./accept-policy.js";
import { attemptKey, type JobLedger, type JobOrder, RunningJob } from "./running-job.js";
import type { Slots } from "./slots.js";
import { Sweep } from "./sweep.js";

/** A handler's synchronous part that others' results do not wait for, in milliseconds. */
const LONG_TURN_MS = 1;

/** What it works with. */
export interface RunningJobsParts {
  readonly pool: string;
  readonly worker: string;
  readonly slots: Slots;
  readonly runner: Runner;
  readonly replies: Replies;
  readonly owed: OwedResults;
  readonly caution: Caution;
  readonly runtime: Runtime;
  readonly now: () => number;
  readonly acceptAfterMs: number;
  readonly abortGraceMs: number;
  /** Called whenever a heartbeat would say something new. */
  readonly onChange: () => void;
}

/** Counters since the start. */
export interface JobTotals {
  readonly acceptedTotal: number;
  readonly doneTotal: number;
  readonly failedTotal: number;
  /** The time that slots were held by jobs that ended, in milliseconds. */
  readonly busyMs: number;
  /** Such as "job_failed: no"; "" when there was none. */
  readonly lastError: string;
}

/** The part of a heartbeat that is about jobs. */
export type JobFigures = Pick<
  BeatFigures,
  "running" | "runningIds" | "stuck" | "acceptedTotal" | "doneTotal" | "failedTotal"
>;

export class RunningJobs implements JobLedger {
  readonly #parts: RunningJobsParts;
  readonly #jobs = new ChurnMap<RunningJob>();
  readonly #sweep: Sweep;
  #whenEmpty: (() => void)[] = [];
  readonly #totals = { acceptedTotal: 0, doneTotal: 0, failedTotal: 0, busyMs: 0, lastError: "" };

  constructor(parts: RunningJobsParts) {
    this.#parts = parts;
    this.#sweep = new Sweep({
      ...parts,
      jobs: () => this.#jobs.values(),
      accept: (job) => this.#accept(job),
      onStuckChange: parts.onChange,
    });
  }

  get size(): number {
    return this.#jobs.size;
  }

  /** The running job of this id and attempt. */
  find(id: string, attempt: number): RunningJob | undefined {
    return this.#jobs.size === 0 ? undefined : this.#jobs.get(attemptKey(id, attempt));
  }

  /** The running attempts of a job. */
  *attemptsOf(id: string): Generator<RunningJob> {
    for (const job of this.#jobs.values()) if (job.id === id) yield job;
  }

  /** What a heartbeat says of them. */
  figures(idsLimit: number): JobFigures {
    const runningIds: string[] = [];
    for (const job of this.#jobs.values()) {
      if (runningIds.length === idsLimit) break;
      runningIds.push(job.id);
    }
    const { acceptedTotal, doneTotal, failedTotal } = this.#totals;
    return { running: this.#jobs.size, runningIds, stuck: this.#sweep.stuck, acceptedTotal, doneTotal, failedTotal };
  }

  get totals(): JobTotals {
    return this.#totals;
  }

  /** Says `accepted` once more for every running attempt of a job; whether there was one. */
  acceptAgain(id: string): boolean {
    let found = false;
    for (const job of this.attemptsOf(id)) {
      if (!job.running) continue;
      found = true;
      if (!job.order.offered) continue;
      this.#parts.replies.accepted(job.order);
    }
    return found;
  }

  /** Starts a job when a slot is free; false when none is. */
  start(order: JobOrder, nowMs: number): boolean {
    const { slots, pool, worker, runner, caution } = this.#parts;
    if (!slots.take()) return false;
    const job = new RunningJob(order, pool, worker, nowMs, this);
    this.#jobs.set(job.key, job);
    this.#totals.acceptedTotal += 1;
    this.#sweep.wake();
    this.#parts.onChange();
    if (!runner.blocking) runner.run(job);
    else if (job.accepted || caution.trusting) this.#runHere(job, nowMs);
    else {
      this.#accept(job);
      // after this microtask the acceptance is on the socket, whatever the handler does to the loop
      queueMicrotask(() => this.#runLater(job));
    }
    return true;
  }

  /** Aborts the attempts of a job up to a number; says whether there was one. */
  cancel(id: string, upToAttempt: number, error: PoolError): boolean {
    let found = false;
    for (const job of this.attemptsOf(id)) {
      if (job.attempt <= upToAttempt && job.abort(error, this.#parts.now())) found = true;
    }
    return found;
  }

  /** Aborts everything that runs. */
  abortAll(error: PoolError): void {
    for (const job of this.#jobs.values()) job.abort(error, this.#parts.now());
  }

  /** Resolves true when nothing runs; false after `limitMs`, if one is given. */
  async empty(limitMs?: number): Promise<boolean> {
    if (this.#jobs.size === 0) return true;
    const emptied = new Promise<boolean>((resolve) => this.#whenEmpty.push(() => resolve(true)));
    return limitMs === undefined ? emptied : within(this.#parts.runtime, limitMs, emptied, false);
  }

  stop(): void {
    this.#sweep.stop();
  }

  onProgress(job: RunningJob, payload: Uint8Array): void {
    if (job.order.offered) this.#parts.replies.progress(job.order, payload);
  }

  onAborted(job: RunningJob, error: PoolError, nowMs: number): void {
    this.#totals.failedTotal += 1;
    this.#answer(job, { ok: false, error }, nowMs);
    this.#parts.onChange();
  }

  onEnded(job: RunningJob, ending: Ending, answered: boolean): void {
    this.#jobs.delete(job.key);
    this.#parts.slots.give();
    const nowMs = this.#parts.now();
    this.#totals.busyMs += nowMs - job.startedAtMs;
    if (!answered) {
      const sendable = this.#parts.replies.sendable(ending);
      if (sendable.ok) this.#totals.doneTotal += 1;
      else this.#countFailure(sendable.error);
      this.#answer(job, sendable, nowMs);
    }
    this.#parts.onChange();
    if (this.#jobs.size === 0 && this.#whenEmpty.length > 0) this.#announceEmpty();
  }

  #answer(job: RunningJob, ending: Ending, nowMs: number): void {
    this.#parts.owed.send(job.order, ending, nowMs);
    for (const other of job.others) this.#parts.replies.ending(other, ending);
  }

  #accept(job: RunningJob): void {
    job.accepted = true;
    this.#parts.replies.flush();
    this.#parts.replies.accepted(job.order);
  }

  #countFailure(error: PoolError): void {
    this.#totals.failedTotal += 1;
    this.#totals.lastError = `${error.reason}: ${error.message}`;
  }

  #announceEmpty(): void {
    const waiting = this.#whenEmpty;
    this.#whenEmpty = [];
    for (const resolve of waiting) resolve();
  }

  /** Unless it was canceled before it could begin. */
  #runLater(job: RunningJob): void {
    if (job.running) this.#runHere(job, this.#parts.now());
    else job.end({ ok: false, error: new PoolError("canceled", "canceled before it began") });
  }

  #runHere(job: RunningJob, startMs: number): void {
    this.#parts.runner.run(job);
    const syncMs = this.#parts.now() - startMs;
    this.#parts.caution.ran(syncMs);
    // what waits for the end of this turn has waited long enough
    if (syncMs >= LONG_TURN_MS) this.#parts.replies.flush();
  }
}
