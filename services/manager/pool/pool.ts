/**
 * One pool at one manager: its parts put together, and the verbs on its jobs.
 *
 * Decided here: how a submission is checked, repeated, watched by its caller's
 * signal, and kept. It subscribes to nothing but replies and owns no timer.
 */
import { jobCanceled, PoolError, type Reason } from "../../../mesh/errors.js";
import {
  ATTEMPTS_PER_MANAGER,
  type JobResult,
  type JobSpec,
  type Outcome,
  type SubmitOptions,
  toJobSpec,
} from "../../../mesh/job/job.js";
import type { Bus } from "../../../mesh/link/bus.js";
import type { Inbox } from "../../../mesh/link/inbox.js";
import type { Meaning, Revocation } from "../../../mesh/wire/cancel-messages.js";
import type { JobHeaders } from "../../../mesh/wire/headers.js";
import { payloadLimit } from "../../../mesh/wire/payloads.js";
import type { Subjects } from "../../../mesh/wire/subjects.js";
import { isKnownPool, type PoolFacts } from "../doors/unknown-pool.js";
import { Dispatcher } from "../jobs/dispatcher.js";
import { JobHistory } from "../jobs/history.js";
import { type Job, type JobListener, PromiseListener, WatchedListener } from "../jobs/job.js";
import { OutcomeStore } from "../jobs/kept-outcomes.js";
import { Timeouts } from "../jobs/timeouts.js";
import { Totals } from "../jobs/totals.js";
import { Workers } from "../jobs/workers.js";
import { CanceledIds } from "./canceled-ids.js";
import { Locator } from "./locator.js";
import { Losses } from "./losses.js";
import type { PoolSettings } from "./pool-settings.js";
import { Sender } from "./sender.js";
import { UnknownWorkers } from "./unknown-workers.js";
import { WorkerList } from "./worker-list.js";

/** What pools share. */
export interface PoolParts {
  readonly bus: Bus;
  /** For questions to workers. */
  readonly inbox: Inbox;
  readonly subjects: Subjects;
  /** Whether the manager's configuration names its pools. */
  readonly isNamed: boolean;
  /** The pool that was perhaps meant by a name that nobody serves. */
  readonly near?: (name: string) => string | undefined;
  /** Hears when the pool has its first live job, when it has none any more, and when a reply has come. */
  readonly ticker: PoolTicker;
}

/** The timers of all pools of a manager, as one of them sees them. */
export interface PoolTicker {
  onBusy(pool: Pool, busy: boolean): void;
  /** @param nowMs monotonic milliseconds */
  onWake(nowMs: number): void;
}

/** What the durable lane says of a job. */
export interface StoredHeaders extends JobHeaders {
  /** The time of each attempt from its sending, milliseconds. */
  readonly runTimeoutMs: number;
  /** Failures after which it is given up. */
  readonly maxAttempts: number;
  /** The worker that has it already. */
  readonly joinAt?: string | undefined;
}

/** A client that hears no word for 2.5 s goes to another manager (client/failover.ts). Milliseconds. */
const SAY_TAKEN_AGAIN_MS = 3_000;

export class Pool {
  readonly name: string;
  readonly workers: Workers;
  readonly dispatcher: Dispatcher;
  readonly timeouts: Timeouts;
  readonly losses: Losses;
  readonly locator: Locator;
  readonly list: WorkerList;
  readonly unknown: UnknownWorkers;
  readonly totals: Totals;
  readonly outcomes = new OutcomeStore();
  readonly settings: PoolSettings;
  readonly sender: Sender;
  readonly #bus: Bus;
  /** Made for the first cancel of a whole id: most pools never hear one. */
  #canceledIds: CanceledIds | undefined;
  /** Whether the manager's configuration names it. */
  readonly isNamed: boolean;
  #isKnown = false;
  #isClosed = false;
  /** Monotonic milliseconds. */
  lastUsedAtMs: number;

  constructor(name: string, parts: PoolParts, settings: PoolSettings) {
    const { bus, subjects } = parts;
    this.name = name;
    this.settings = settings;
    this.totals = new Totals(new JobHistory(settings.history));
    this.isNamed = parts.isNamed;
    this.#bus = bus;
    this.lastUsedAtMs = bus.runtime.now();
    this.workers = new Workers(settings.maxWorkers);
    const dispatcher = (): Dispatcher => this.dispatcher;
    this.unknown = new UnknownWorkers({ pool: name, bus, subjects, dispatcher });
    this.sender = new Sender({
      pool: name,
      bus,
      subjects,
      totals: this.totals,
      dispatcher,
      unknown: this.unknown,
      workers: this.workers,
      maxWorkers: settings.maxWorkers,
      leaseMs: (attempt, nowMs) => this.timeouts.leaseMs(attempt, nowMs),
      onWake: (nowMs) => parts.ticker.onWake(nowMs),
    });
    this.dispatcher = this.#makeDispatcher(parts);
    this.timeouts = new Timeouts(this.dispatcher, this.workers, settings.acceptTimeoutMs);
    this.timeouts.listens(this.lastUsedAtMs);
    const onLost = (worker: string, why: string): void => this.list.remove(worker, why);
    this.losses = new Losses({ ...parts, ...this.#core(), pool: name, timeouts: this.timeouts, onLost });
    this.locator = new Locator({ ...parts, pool: name, workers: this.workers });
    const { losses, unknown } = this;
    this.list = new WorkerList({ ...this.#core(), pool: name, losses, unknown, hooks: settings.hooks });
  }

  /**
   * Takes a job and calls the listener with its outcome exactly once.
   *
   * @returns the job's id
   * @throws PoolError for what is refused at once
   */
  submit(payload: Uint8Array, options: SubmitOptions | JobHeaders, listener: JobListener, keep = false): string {
    const spec = this.#specOf(payload, options);
    const signal = "signal" in options ? options.signal : undefined;
    if (signal?.aborted) throw jobCanceled();
    const nowMs = this.#bus.runtime.now();
    this.lastUsedAtMs = nowMs;
    const named = "id" in options ? options.id !== undefined : (options as JobHeaders).jobId !== undefined;
    const before = named ? this.#outcomeOfRepeat(spec) : undefined;
    if (before === undefined && this.#isClosed) throw stopping();
    if (before !== undefined) queueMicrotask(() => listener.onEnd(before));
    else if (!named && !keep && signal === undefined) this.#take(spec, listener);
    else this.#submitWatched(spec, listener, named || keep, signal);
    return spec.id;
  }

  /**
   * Takes a job of the durable lane. Its outcome is stored by the lane, so it is
   * neither repeated nor kept here.
   *
   * @throws PoolError for what is refused at once
   */
  submitStored(payload: Uint8Array, headers: StoredHeaders, listener: JobListener): Job {
    this.lastUsedAtMs = this.#bus.runtime.now();
    const { runTimeoutMs, maxAttempts, joinAt } = headers;
    const spec = toJobSpec(payload, headers, runTimeoutMs, payloadLimit(this.#bus), this.#bus.runtime.newId);
    spec.runTimeoutMs = runTimeoutMs;
    spec.maxAttempts = maxAttempts;
    spec.joinAt = joinAt;
    return this.#take(spec, listener);
  }

  /** The outcome of a job by promise. Rejects with a PoolError. */
  run(payload: Uint8Array, options: SubmitOptions): Promise<JobResult> {
    return new Promise((resolve, reject) => {
      try {
        this.submit(payload, options, new PromiseListener(resolve, options.onProgress));
      } catch (error) {
        reject(error);
      }
    });
  }

  /**
   * One more caller waits for a submission that is live here or whose outcome is kept; false when neither is so.
   *
   * @param nonce of the submission; undefined for the one that has this id now
   */
  listen(id: string, nonce: string | undefined, listener: JobListener): boolean {
    const job = this.dispatcher.live(id);
    if (job?.isOf(nonce)) {
      job.listen(listener);
      return true;
    }
    const kept = this.outcomes.of(id, nonce, this.#bus.runtime.now());
    if (kept === undefined) return false;
    queueMicrotask(() => listener.onEnd(kept));
    return true;
  }

  /** Whether a submission is told what comes, or came, of a job that is here: it is no new one. @throws PoolError */
  joins(payload: Uint8Array, headers: JobHeaders): boolean {
    this.lastUsedAtMs = this.#bus.runtime.now();
    const spec = this.#specOf(payload, headers);
    return this.dispatcher.live(spec.id) !== undefined || this.#outcomeOfRepeat(spec) !== undefined;
  }

  /** Whether a submission is live here, or its outcome is kept. */
  has(id: string, nonce: string): boolean {
    const live = this.dispatcher.live(id);
    return live?.isOf(nonce) === true || this.outcomes.of(id, nonce, this.#bus.runtime.now()) !== undefined;
  }

  /** Whether a job of this id is live here, or its outcome is kept. */
  knows(id: string): boolean {
    if (this.dispatcher.live(id) !== undefined) return true;
    const kept = this.outcomes.get(id, this.#bus.runtime.now());
    return kept !== undefined && !this.#isGivenUp(kept);
  }

  /** For which client a job is that is live here or whose outcome is kept; undefined for any other. */
  clientOf(id: string): string | undefined {
    return this.dispatcher.live(id)?.client ?? this.outcomes.clientOf(id, this.#bus.runtime.now());
  }

  /** Cancels a job that is live here; false when it is not. */
  cancel(id: string): boolean {
    const job = this.dispatcher.live(id);
    if (job === undefined) return false;
    this.dispatcher.cancel(job, jobCanceled(job.mayHaveRun));
    return true;
  }

  /**
   * A cancel or revocation that was heard on the bus; true when it ended a job here.
   *
   * A revocation of all attempts that are this manager's comes from a client that
   * went elsewhere; it ends the job for that client alone.
   */
  onCancel(id: string, { upToAttempt, nonce, beforeMs = Number.POSITIVE_INFINITY }: Revocation & Meaning): boolean {
    const job = this.dispatcher.live(id);
    // It was taken after the cancel was said, which only workers may have heard then: to them the id is used anew.
    if (job !== undefined && job.submittedAtMs > beforeMs) {
      this.sender.useAnew(id);
      return false;
    }
    if (upToAttempt === undefined && !nonce) {
      this.#canceledIds ??= new CanceledIds();
      this.#canceledIds.add(id, this.#bus.runtime.now());
    }
    if (job === undefined || !job.isOf(nonce)) return false;
    if (upToAttempt !== undefined && upToAttempt < job.spec.attemptsBefore + ATTEMPTS_PER_MANAGER) return false;
    const callers = nonce === undefined ? [] : job.listeners.filter((listener) => listener.nonce === nonce);
    if (upToAttempt !== undefined) this.totals.handedOver = job;
    if (callers.length > 0) for (const each of callers) this.dispatcher.leave(job, each, jobCanceled(job.mayHaveRun));
    else if (upToAttempt === undefined) this.dispatcher.cancel(job, jobCanceled(job.mayHaveRun));
    else this.dispatcher.fail(job, jobCanceled(job.mayHaveRun));
    this.totals.handedOver = undefined;
    return true;
  }

  /** The broker refused what was sent to one worker, or to the queue group: the jobs whose attempts nobody has answered end. */
  onRefused(worker: string | undefined, error: PoolError): void {
    for (const job of this.dispatcher.liveJobsNow()) {
      const isMeant = job.state === "sent" && job.attempt?.isUnanswered === true && job.attempt.worker === worker;
      if (isMeant) this.dispatcher.cancel(job, error);
    }
  }

  /** Ends every live job with this error. */
  endAll(reason: Reason, message: string): void {
    for (const job of this.dispatcher.liveJobsNow()) {
      this.dispatcher.cancel(job, new PoolError(reason, message, { maybeExecuted: job.mayHaveRun }));
    }
  }

  /** Takes no new job from now on: whoever submits one again hears its kept outcome, and all else is refused as `draining`. */
  close(): void {
    this.#isClosed = true;
  }

  /** The connection is back. Who submitted shortly before, and has not heard that the job was taken, would go elsewhere. */
  onReconnect(nowMs: number): void {
    this.losses.onReconnect(nowMs);
    for (const job of this.dispatcher.liveJobsNow()) {
      // When a further caller joined is not known.
      if (nowMs - job.submittedAtMs < SAY_TAKEN_AGAIN_MS || job.listeners.length > 1)
        for (const listener of job.listeners) listener.onTakenAgain?.();
    }
  }

  /** Whether there is, or was, a pool behind the name. */
  get facts(): PoolFacts {
    const { isNamed, workers, totals, dispatcher } = this;
    const { everHeard } = workers;
    return { isNamed, everHeard, outcomes: totals.outcomes(), liveJobs: dispatcher.liveJobs };
  }

  /** Whether there is, or ever was, a worker of it, or its operator named it. What was known once stays known. */
  get isKnown(): boolean {
    this.#isKnown ||= isKnownPool(this.facts);
    return this.#isKnown;
  }

  /** Gives up what is still asked and heard. */
  stop(): void {
    this.timeouts.stop();
    this.losses.stop();
    this.unknown.stop();
    this.locator.stop();
    this.sender.stop();
  }

  #specOf(payload: Uint8Array, options: SubmitOptions | JobHeaders): JobSpec {
    const { newId } = this.#bus.runtime;
    return toJobSpec(payload, options, this.settings.timeoutMs, payloadLimit(this.#bus), newId);
  }

  #core(): Pick<Pool, "workers" | "dispatcher"> {
    return { workers: this.workers, dispatcher: this.dispatcher };
  }

  #makeDispatcher({ bus, ticker, near }: PoolParts): Dispatcher {
    const { hooks, limits, bare } = this.settings;
    const pool = this.name;
    const onStart = ({ id, attempt }: Job, worker: string): void =>
      hooks.jobStart?.({ id, pool, worker, attempt: attempt?.count ?? 1, attemptNumber: attempt?.number ?? 1 });
    return new Dispatcher({
      sender: this.sender,
      workers: this.workers,
      totals: this.totals,
      limits,
      bare,
      now: bus.runtime.now,
      onBusy: (busy) => ticker.onBusy(this, busy),
      onRoundTrip: (worker, ms) => this.timeouts.workerMeasured(worker, ms),
      acceptTimeoutOf: (job) => this.timeouts.acceptTimeoutOf(job),
      near: () => near?.(pool),
      onLate: (attempt, ageMs) => this.timeouts.cameLate(attempt, ageMs),
      ...(hooks.jobStart ? { onStart } : {}),
      ...(hooks.jobFinish ? { onFinish: (outcome: Outcome) => hooks.jobFinish?.({ ...outcome, pool }) } : {}),
    });
  }

  #take(spec: JobSpec, listener: JobListener): Job {
    const live = this.dispatcher.live(spec.id);
    if (live === undefined) this.#bus.requireConnected();
    // Its client has given it to a manager once more: it has revoked what is live here, and that word may come later.
    else if (live.isOf(spec.nonce) && spec.attemptsBefore >= live.spec.attemptsBefore + ATTEMPTS_PER_MANAGER) {
      this.totals.handedOver = live;
      this.dispatcher.cancel(live, jobCanceled(live.mayHaveRun));
      this.totals.handedOver = undefined;
    }
    if (this.#canceledIds?.take(spec.id, this.lastUsedAtMs)) this.sender.useAnew(spec.id);
    return this.dispatcher.submit(spec, listener);
  }

  /** Whether a job ended because this manager stops: who submits it again wants it to run at another one. */
  #isGivenUp(outcome: Outcome): boolean {
    return this.#isClosed && !outcome.ok && outcome.error.reason === "draining";
  }

  /** The kept outcome of a job that had the same id, payload and options. */
  #outcomeOfRepeat(spec: JobSpec): Outcome | undefined {
    const before = this.outcomes.repeat(spec, this.lastUsedAtMs);
    // A client that gives a job to another manager revokes it first, and that word may not have come. What came of
    // that is not its outcome: one that was canceled, or that of an attempt which it revoked, when it may run again.
    if (before === undefined || this.#isGivenUp(before)) return undefined;
    if (spec.attemptsBefore === 0) return before;
    const wasCanceled = !before.ok && before.error.reason === "canceled";
    const attempt = before.ok ? before.result.attempt : before.attempt;
    return wasCanceled || (spec.idempotent && attempt <= spec.attemptsBefore) ? undefined : before;
  }

  #submitWatched(spec: JobSpec, listener: JobListener, keep: boolean, signal: AbortSignal | undefined): void {
    let job: Job | undefined;
    const onAbort = (): void => {
      if (job !== undefined) this.dispatcher.leave(job, watched, jobCanceled(job.mayHaveRun));
    };
    const watched = new WatchedListener(listener, (outcome) => {
      signal?.removeEventListener("abort", onAbort);
      if (keep) this.outcomes.keep(outcome, spec, this.#bus.runtime.now());
    });
    job = this.#take(spec, watched);
    signal?.addEventListener("abort", onAbort);
  }
}

/** The error of what a manager that stops does not take. */
export function stopping(): PoolError {
  return new PoolError("draining", "this manager is stopping", { retryAfterMs: 100 });
}
