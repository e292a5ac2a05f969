/**
 * One pool at one manager: its dispatcher, what is known of its workers, and
 * what it tells about itself.
 *
 * Decided here: how heartbeats, cancels and submissions reach the dispatcher.
 * It subscribes to nothing and owns no timer; pools.ts does.
 */
import type { Heartbeat } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolError, type Reason } from "../../mesh/errors.js";
import type { JobResult, Outcome, SubmitOptions } from "../../mesh/job/job.js";
import { ATTEMPTS_PER_MANAGER, toJobSpec } from "../../mesh/job/job-spec.js";
import type { Bus } from "../../mesh/link/bus.js";
import type { Inbox } from "../../mesh/link/inbox.js";
import type { JobHeaders } from "../../mesh/wire/headers.js";
import { payloadLimit } from "../../mesh/wire/payload-limit.js";
import type { Subjects } from "../../mesh/wire/subjects.js";
import { Dispatcher } from "./jobs/dispatcher.js";
import type { JobListener, LiveJob } from "./jobs/job.js";
import { OutcomeStore } from "./jobs/outcomes.js";
import type { ParkedLimits } from "./jobs/parked-queue.js";
import { Placements } from "./jobs/placements.js";
import { Tally } from "./jobs/totals.js";
import { Watchdog } from "./jobs/watchdog.js";
import { Roster } from "./jobs/workers.js";

/** What a manager tells the program that embeds it. All are called synchronously; they must not throw. */
export interface ManagerHooks {
  /** A worker has accepted a job, or finished it before it had to say so. */
  jobStart?(job: {
    readonly id: string;
    readonly pool: string;
    readonly worker: string;
    readonly attempt: number;
  }): void;
  /** A job has its outcome. */
  jobFinish?(outcome: Outcome & { readonly pool: string }): void;
  /** A worker was seen first. */
  workerAdd?(worker: { readonly id: string; readonly pool: string; readonly slots: number }): void;
  /** A worker left or was lost. */
  workerRemove?(worker: { readonly id: string; readonly pool: string; readonly why: string }): void;
}

/** The settings of every pool of a manager. */
export interface PoolSettings {
  readonly limits: ParkedLimits;
  /** For jobs that name none, in milliseconds. */
  readonly timeoutMs: number;
  readonly acceptTimeoutMs: number;
  /** The pool has workers that send no heartbeats besides those that do. */
  readonly bare: boolean;
  readonly maxWorkers: number;
  readonly hooks: ManagerHooks;
}

/** What pools share. */
export interface PoolParts {
  readonly bus: Bus;
  readonly inbox: Inbox;
  /** Marks the replies to this pool's jobs. */
  readonly mark: string;
  readonly subjects: Subjects;
  readonly now: () => number;
  readonly onBusy: (pool: Pool, busy: boolean) => void;
}

export class Pool {
  readonly name: string;
  /** Marks the replies to its jobs, to tell whose a late one is. */
  readonly mark: string;
  readonly roster: Roster;
  readonly dispatcher: Dispatcher;
  readonly watchdog: Watchdog;
  readonly tally = new Tally();
  readonly outcomes = new OutcomeStore();
  /** The last heartbeat of each worker, for listings. */
  readonly heartbeats = new Map<
    string,
    { readonly heartbeat: Heartbeat; readonly at: number; readonly firstAt: number }
  >();
  readonly #settings: PoolSettings;
  readonly #parts: PoolParts;
  lastUsedAt: number;

  constructor(name: string, parts: PoolParts, settings: PoolSettings) {
    this.name = name;
    this.mark = parts.mark;
    this.#parts = parts;
    this.#settings = settings;
    this.lastUsedAt = parts.now();
    this.roster = new Roster(settings.maxWorkers);
    const { hooks, limits, bare } = settings;
    this.dispatcher = new Dispatcher({
      ...parts,
      pool: name,
      roster: this.roster,
      placements: new Placements(),
      tally: this.tally,
      limits,
      bare,
      onBusy: (busy) => parts.onBusy(this, busy),
      ...(hooks.jobStart
        ? {
            onStart: (job, worker) =>
              hooks.jobStart?.({ id: job.id, pool: name, worker, attempt: job.attempt?.number ?? 1 }),
          }
        : {}),
      ...(hooks.jobFinish ? { onFinish: (outcome) => hooks.jobFinish?.({ ...outcome, pool: name }) } : {}),
    });
    this.watchdog = new Watchdog(this.dispatcher, {
      acceptTimeoutMs: settings.acceptTimeoutMs,
      onLost: (worker, why) => this.#onLeft(worker, why),
    });
  }

  /**
   * Takes a job and calls the listener with its outcome exactly once.
   *
   * @returns the job's id
   * @throws PoolError for what is refused at once
   */
  submit(payload: Uint8Array, options: SubmitOptions | JobHeaders, listener: JobListener, keep = false): string {
    const spec = toJobSpec(
      payload,
      options,
      this.#settings.timeoutMs,
      payloadLimit(this.#parts.bus),
      this.#parts.bus.runtime.newId,
    );
    const signal = "signal" in options ? options.signal : undefined;
    if (signal?.aborted) throw canceled();
    this.lastUsedAt = this.#parts.now();
    const named = "id" in options ? options.id !== undefined : (options as JobHeaders).jobId !== undefined;
    if (!named && !keep && signal === undefined) return this.dispatcher.submit(spec, listener).id;
    const before = named ? this.outcomes.repeat(spec.id, payload, this.lastUsedAt) : undefined;
    // A client that gives a job to another manager revokes it first; what came of that is not its outcome.
    const revoked = before?.ok === false && before.error.reason === "canceled" && spec.attemptsBefore > 0;
    if (before !== undefined && !revoked) {
      queueMicrotask(() => listener.onEnd(before));
      return spec.id;
    }
    this.#submitWatched(spec, listener, named || keep, signal);
    return spec.id;
  }

  /** The outcome of a job by promise. Rejects with a PoolError. */
  run(payload: Uint8Array, options: SubmitOptions): Promise<JobResult> {
    return new Promise((resolve, reject) => {
      try {
        this.submit(payload, options, new PromiseListener(resolve, reject, options.onProgress));
      } catch (error) {
        reject(error);
      }
    });
  }

  /** One more who waits for a job that is live here, or whose outcome is kept; false when neither is so. */
  again(id: string, listener: JobListener): boolean {
    const job = this.dispatcher.live(id);
    const kept = job === undefined ? this.outcomes.get(id, this.#parts.now()) : undefined;
    if (kept !== undefined) queueMicrotask(() => listener.onEnd(kept));
    else job?.hearAlso(listener);
    return job !== undefined || kept !== undefined;
  }

  /** Cancels a job that is live here; false when it is not. */
  cancel(id: string): boolean {
    const job = this.dispatcher.live(id);
    if (job === undefined) return false;
    this.dispatcher.cancel(job, canceled());
    return true;
  }

  /**
   * A cancel or revocation heard on the bus. An answer is sent when the job was here.
   *
   * @param upToAttempt of a revocation; one of all attempts that are ours comes from a client that went elsewhere
   */
  onCancel(id: string, upToAttempt: number | undefined): boolean {
    if (upToAttempt === undefined) return this.cancel(id);
    const job = this.dispatcher.live(id);
    if (job === undefined || upToAttempt < job.spec.attemptsBefore + ATTEMPTS_PER_MANAGER) return false;
    this.dispatcher.fail(job, canceled());
    return true;
  }

  /** A heartbeat of one of this pool's workers. */
  onHeartbeat(heartbeat: Heartbeat): void {
    const now = this.#parts.now();
    const id = heartbeat.worker;
    const meaning = this.roster.beat(heartbeat, now);
    if (meaning === "ignored") return;
    this.lastUsedAt = now;
    if (meaning === "left") return this.#onWorkerGone(id, "left");
    this.heartbeats.set(id, { heartbeat, at: now, firstAt: this.heartbeats.get(id)?.firstAt ?? now });
    if (meaning === "joined" || meaning === "restarted") this.watchdog.onJoined(id);
    if (meaning === "joined") this.#settings.hooks.workerAdd?.({ id, pool: this.name, slots: heartbeat.slots });
    if (meaning === "restarted") this.dispatcher.onWorkerLost(id, "restarted");
    for (const jobId of heartbeat.runningJobs) this.dispatcher.locate(jobId, id);
    if (!heartbeat.runningTruncated) this.watchdog.onRunning(id, heartbeat.runningJobs);
    this.dispatcher.pump();
  }

  /** What is said of this pool in a manager's heartbeat, besides who says it. */
  figures(): {
    parked: number;
    parkedBytes: bigint;
    oldestWaitMs: number;
    parkedLimit: number;
    inFlight: number;
    submittedTotal: bigint;
    outcomes: Record<string, bigint>;
    lateTotal: bigint;
  } {
    const { parked, inFlight } = this.dispatcher;
    const oldest = parked.oldestSubmittedAt();
    const outcomes: Record<string, bigint> = {};
    for (const [reason, count] of this.tally.outcomes()) outcomes[reason] = BigInt(count);
    return {
      parked: parked.size,
      parkedBytes: BigInt(parked.bytes),
      oldestWaitMs: oldest === undefined ? 0 : this.#parts.now() - oldest,
      parkedLimit: this.#settings.limits.jobs,
      inFlight,
      submittedTotal: BigInt(this.tally.submitted),
      outcomes,
      lateTotal: BigInt(this.tally.late),
    };
  }

  /** Ends every live job with this error. */
  endAll(reason: Reason, message: string): void {
    for (const job of this.dispatcher.liveJobsNow()) {
      const maybeExecuted = job.attempt?.accepted ?? false;
      this.dispatcher.cancel(job, new PoolError(reason, message, { maybeExecuted }));
    }
  }

  #submitWatched(spec: LiveJob["spec"], listener: JobListener, keep: boolean, signal: AbortSignal | undefined): void {
    let job: LiveJob | undefined;
    const onAbort = (): void => {
      if (job !== undefined) this.dispatcher.leave(job, watched, canceled());
    };
    const watched: JobListener = {
      ...listener,
      onEnd: (outcome) => {
        signal?.removeEventListener("abort", onAbort);
        if (keep) this.outcomes.keep(outcome, spec.payload, this.#parts.now());
        listener.onEnd(outcome);
      },
    };
    job = this.dispatcher.submit(spec, watched);
    signal?.addEventListener("abort", onAbort);
  }

  #onWorkerGone(id: string, why: string): void {
    this.#onLeft(id, why);
    this.dispatcher.onWorkerLost(id, why);
  }

  #onLeft(id: string, why: string): void {
    this.heartbeats.delete(id);
    this.#settings.hooks.workerRemove?.({ id, pool: this.name, why });
  }
}

/** A class, because a job that waits keeps it: an object with a closure is three times as large. */
class PromiseListener implements JobListener {
  readonly #resolve: (result: JobResult) => void;
  readonly #reject: (error: PoolError) => void;
  readonly onProgress: JobListener["onProgress"];

  constructor(
    resolve: (result: JobResult) => void,
    reject: (error: PoolError) => void,
    onProgress: JobListener["onProgress"],
  ) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.onProgress = onProgress;
  }

  onEnd(outcome: Outcome): void {
    if (outcome.ok) this.#resolve(outcome.result);
    else this.#reject(outcome.error);
  }
}

function canceled(): PoolError {
  return new PoolError("canceled", "the caller canceled the job");
}
