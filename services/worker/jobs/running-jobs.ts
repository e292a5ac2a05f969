/**
 * The jobs that hold this worker's slots: started and ended here. Pure.
 *
 * Decided here: a slot is taken in {@link RunningJobs.start} and given back in
 * `onEnded`, nowhere else. Not decided here: whether a job may start (intake.ts).
 */
import { PoolError } from "../../../mesh/errors.js";
import { ChurnMap } from "../../../mesh/job/containers.js";
import { isReference } from "../../../mesh/wire/payloads.js";
import type { HandlerOutcome, Runner } from "../handlers/runner.js";
import type { KeptOutcomes } from "./kept-outcomes.js";
import type { Revoke } from "./running-job.js";
import {
  type AcceptPolicy,
  attemptKey,
  Checks,
  type JobLedger,
  type JobOrder,
  jobKey,
  RunningJob,
} from "./running-job.js";

/** A handler's synchronous part that the results of other jobs do not wait for, in milliseconds. */
const LONG_TURN_MS = 1;

/** What it works with. */
export interface RunningJobsParts {
  readonly pool: string;
  readonly worker: string;
  readonly slots: Slots;
  readonly runner: Pick<Runner, "run" | "blocking" | "takesObjects">;
  readonly acceptPolicy: AcceptPolicy;
  /** Outcomes for managers that hand in a job of the durable lane again. */
  readonly kept: KeptOutcomes;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly acceptAfterMs: number;
  readonly abortGraceMs: number;
  /** The same outcome, or an error when the broker would not take the result. */
  readonly sendable: (outcome: HandlerOutcome) => HandlerOutcome;
  /** Sends now what waits for the end of the turn. */
  readonly flush: () => void;
  /** The largest payload that the broker takes now, in bytes. */
  readonly maxBytes: () => number;
  /** Calls `then` when what was published so far has arrived at the broker, or cannot arrive any more. */
  readonly confirm: (then: () => void) => void;
  /** A progress value was dropped: the broker takes less than it did when the handler was told. */
  readonly onProgressDropped: (job: RunningJob, bytes: number) => void;
  /** A job has failed for a reason that its handler does not know: it was aborted, or its result is not sendable. */
  readonly onFailed: (job: RunningJob, error: PoolError) => void;
  /** A job has started. */
  readonly onStarted: (job: RunningJob) => void;
  /** A job has its outcome: its caller is answered. */
  readonly onOutcome: (job: RunningJob, outcome: HandlerOutcome, nowMs: number) => void;
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
export interface JobFigures {
  readonly running: number;
  readonly runningIds: readonly string[];
  readonly runningNonces: readonly string[];
  readonly stuck: number;
  readonly acceptedTotal: number;
  readonly doneTotal: number;
  readonly failedTotal: number;
}

export class RunningJobs implements JobLedger {
  readonly #parts: RunningJobsParts;
  readonly #jobs = new ChurnMap<RunningJob>();
  readonly #checks: Checks;
  #whenEmpty: (() => void)[] = [];
  readonly #totals = { acceptedTotal: 0, doneTotal: 0, failedTotal: 0, busyMs: 0, lastError: "" };

  constructor(parts: RunningJobsParts) {
    const { acceptAfterMs, abortGraceMs, onChange } = parts;
    this.#parts = parts;
    const accept = (job: RunningJob): void => this.#accept(job);
    this.#checks = new Checks({ acceptAfterMs, abortGraceMs, accept, onStuckChange: onChange });
  }

  get size(): number {
    return this.#jobs.size;
  }

  get totals(): JobTotals {
    return this.#totals;
  }

  /** The running job of this submission and attempt. */
  find(order: Pick<JobOrder, "id" | "nonce" | "attempt">): RunningJob | undefined {
    return this.#jobs.size === 0 ? undefined : this.#jobs.get(attemptKey(order));
  }

  /** What a heartbeat says of them. @param idsLimit at most so many ids */
  figures(idsLimit: number): JobFigures {
    const listed = this.#jobs.values().slice(0, idsLimit);
    const runningIds = listed.map(({ id }) => id);
    const runningNonces = listed.map(({ nonce }) => nonce);
    const { acceptedTotal, doneTotal, failedTotal } = this.#totals;
    return {
      running: this.#jobs.size,
      runningIds,
      runningNonces,
      stuck: this.#checks.stuck,
      acceptedTotal,
      doneTotal,
      failedTotal,
    };
  }

  /** The running job of an earlier attempt of this submission. */
  findEarlier({ id, nonce, attempt }: Pick<JobOrder, "id" | "nonce" | "attempt">): RunningJob | undefined {
    if (this.#jobs.size === 0) return undefined;
    const isOf = (job: RunningJob): boolean => job.id === id && job.nonce === nonce && job.attemptNumber < attempt;
    return this.#jobs.values().find((job) => job.running && isOf(job));
  }

  /** Any running attempt of a submission of the durable lane: a later one joins it. */
  findDurable(id: string, nonce: string): RunningJob | undefined {
    if (this.#jobs.size === 0) return undefined;
    return this.#attemptsOf(id, nonce).find(({ running, order }) => running && order.durable);
  }

  /** The keys of all submissions of the durable lane that run. */
  durableKeys(): ReadonlySet<string> {
    const joinable = this.#jobs.values().filter(({ running, order }) => running && order.durable);
    return new Set(joinable.map(({ id, nonce }) => jobKey(id, nonce)));
  }

  /** Says `accepted` once more for every running attempt of a submission; whether there was one. */
  acceptAgain(id: string, nonce: string): boolean {
    const running = this.#attemptsOf(id, nonce).filter((job) => job.running);
    for (const job of running) {
      for (const order of askersOf(job)) if (order.offered) order.answerer.accepted(order);
    }
    return running.length > 0;
  }

  /** Starts a job when a slot is free; false when none is. */
  start(order: JobOrder, nowMs: number): boolean {
    const { slots, pool, worker, runner, acceptPolicy } = this.#parts;
    if (!slots.take()) return false;
    const job = new RunningJob(order, pool, worker, nowMs, this);
    this.#jobs.set(job.key, job);
    this.#totals.acceptedTotal += 1;
    this.#parts.onStarted(job);
    this.#parts.onChange();
    if (isReference(order.bytes) && !runner.takesObjects) job.end({ ok: false, error: objectRefused() });
    else if (!runner.blocking) runner.run(job);
    else if (job.accepted || acceptPolicy.resultIsEnough) this.#runHere(job, nowMs);
    else {
      this.#accept(job);
      // After this microtask the acceptance is on the socket, whatever the handler does to the event loop.
      queueMicrotask(() => this.#runLater(job));
    }
    return true;
  }

  /** Does what is due for the running jobs; returns how many there are. */
  check(nowMs: number): number {
    this.#checks.check(this.#jobs.values(), nowMs);
    return this.#jobs.size;
  }

  /** Aborts the attempts that are revoked; says whether there was one. */
  cancel({ id, nonce, upToAttempt, beforeMs = Number.POSITIVE_INFINITY }: Revoke, error: PoolError): boolean {
    let found = false;
    for (const job of this.#attemptsOf(id, nonce)) {
      if (job.startedAtMs > beforeMs) continue;
      if (job.lastAttempt <= upToAttempt && job.abort(error, this.#parts.now())) found = true;
    }
    return found;
  }

  /** Aborts everything that runs. */
  abortAll(error: PoolError): void {
    for (const job of this.#jobs.values()) job.abort(error, this.#parts.now());
  }

  /** Resolves when nothing runs. */
  empty(): Promise<void> {
    if (this.#jobs.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  now(): number {
    return this.#parts.now();
  }

  get progressLimit(): number {
    return this.#parts.maxBytes();
  }

  confirm(then: () => void): void {
    this.#parts.confirm(then);
  }

  onProgress(job: RunningJob, payload: Uint8Array): void {
    if (payload.length > this.progressLimit) return this.#parts.onProgressDropped(job, payload.length);
    for (const order of askersOf(job)) if (order.offered) order.answerer.progress(order, payload);
  }

  onAborted(job: RunningJob, error: PoolError, nowMs: number): void {
    this.#totals.failedTotal += 1;
    this.#parts.onFailed(job, error);
    this.#answer(job, { ok: false, error }, nowMs);
    this.#parts.onChange();
  }

  onEnded(job: RunningJob, outcome: HandlerOutcome, answered: boolean): void {
    this.#jobs.delete(job.key);
    this.#parts.slots.give();
    const nowMs = this.#parts.now();
    this.#totals.busyMs += nowMs - job.startedAtMs;
    if (!answered) {
      const sendable = this.#parts.sendable(outcome);
      if (sendable.ok) this.#totals.doneTotal += 1;
      else this.#countFailure(sendable.error);
      if (outcome.ok && !sendable.ok) this.#parts.onFailed(job, sendable.error);
      this.#answer(job, sendable, nowMs);
      if (job.order.durable) this.#parts.kept.keep(job, sendable, nowMs);
    }
    this.#parts.onChange();
    if (this.#jobs.size === 0 && this.#whenEmpty.length > 0) this.#announceEmpty();
  }

  /** @param nonce "" for every submission of this id */
  #attemptsOf(id: string, nonce: string): RunningJob[] {
    return this.#jobs.values().filter((job) => job.id === id && (nonce === "" || job.nonce === nonce));
  }

  #answer(job: RunningJob, outcome: HandlerOutcome, nowMs: number): void {
    for (const order of askersOf(job)) order.answerer.end(order, outcome, nowMs);
    this.#parts.onOutcome(job, outcome, nowMs);
  }

  #accept(job: RunningJob): void {
    job.accepted = true;
    this.#parts.flush();
    job.order.answerer.accepted(job.order);
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
    this.#parts.acceptPolicy.ran(syncMs);
    // What waits for the end of this turn has waited long enough.
    if (syncMs >= LONG_TURN_MS) this.#parts.flush();
  }
}

/** All who wait for a job: who had it started, and who joined it. */
function askersOf({ order, others }: RunningJob): readonly JobOrder[] {
  return others.length === 0 ? [order] : [order, ...others];
}

/** Room for running jobs, whatever lane they come by: a count of slots that never goes below zero or over its total by taking. */
export class Slots {
  #total: number;
  #busy = 0;

  /** @param total a whole number, at least 1 */
  constructor(total: number) {
    this.#total = total;
  }

  get total(): number {
    return this.#total;
  }

  get busy(): number {
    return this.#busy;
  }

  /** Slots that a job could take now; 0 also when a resize left more busy than there are. */
  get free(): number {
    return Math.max(0, this.#total - this.#busy);
  }

  /** Takes one; false when none is free. */
  take(): boolean {
    if (this.#busy >= this.#total) return false;
    this.#busy += 1;
    return true;
  }

  /** Gives one back. */
  give(): void {
    if (this.#busy === 0) throw new Error("a slot was given back twice");
    this.#busy -= 1;
  }

  /** Changes the total; running jobs keep theirs. */
  resize(total: number): void {
    this.#total = total;
  }
}

/** The payload is in the object store, and this worker does not read from there. */
function objectRefused(): PoolError {
  const message = "the payload is in the object store: start the worker with largePayloads (--large-payloads)";
  return new PoolError("job_rejected", `${message}; the job did not run`, { jobCode: "payload.stored" });
}
