/**
 * Everything a worker has while it is connected, put together and taken apart
 * in a reasoned order.
 *
 * Not decided here: the worker's state (worker.ts).
 */
import { WorkerState } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolError } from "../../mesh/errors.js";
import type { Bus } from "../../mesh/link/bus.js";
import { MissingRights } from "../../mesh/link/missing-rights.js";
import { within } from "../../mesh/link/runtime.js";
import type { ServiceApi } from "../../mesh/link/service-api.js";
import { drainSubscription, type Subscription } from "../../mesh/link/subscription.js";
import type { PartEvents } from "../../mesh/process/part-events.js";
import { Ages } from "../../mesh/wire/ages.js";
import { QUEUE_WORKERS } from "../../mesh/wire/subjects.js";
import { Cancels } from "./cancels.js";
import { Control, type ControlActions, type SubmissionName } from "./control.js";
import { droppedProgressReportTo, reportTo } from "./handlers/job-report.js";
import type { Runner } from "./handlers/runner.js";
import { type HeartbeatFigures, type Heartbeats, makeHeartbeats, RUNNING_IDS_LIMIT } from "./heartbeat.js";
import { Intake, Revoked } from "./jobs/intake.js";
import { KeptOutcomes } from "./jobs/kept-outcomes.js";
import { Results } from "./jobs/results.js";
import { AcceptPolicy, jobKey } from "./jobs/running-job.js";
import { RunningJobs, Slots } from "./jobs/running-jobs.js";
import { CoreLane } from "./lanes/core.js";
import { Offers } from "./offers.js";
import { KeptReplies, Replies } from "./replies.js";
import { makeServiceEntry } from "./service-entry.js";
import { Ticker } from "./ticker.js";
import { tellOutcome, tellStarted, type WorkerEventMap } from "./worker-events.js";
import type { WorkerSettings } from "./worker-options.js";
import { missingOf, refusedForMs, repliesTo } from "./worker-rights.js";

/** Who listens to a worker's events: undefined while nobody has asked for them. */
export interface Listened {
  events: PartEvents<WorkerEventMap> | undefined;
}

/** The state of a worker; the worker sets it (worker.ts). */
export interface WorkerStatus {
  state: WorkerState;
}

/** What the worker itself decides. */
export interface SessionHost {
  readonly settings: WorkerSettings;
  readonly status: Readonly<WorkerStatus>;
  readonly listened: Listened;
  readonly actions: Omit<ControlActions, "rollCall" | "setPace" | "resend" | "has" | "snapshot">;
}

/** The longest wait for kept results to be confirmed at the end, in milliseconds. */
const SETTLE_LIMIT_MS = 500;
const NOTHING: readonly string[] = [];

export class Session {
  readonly slots: Slots;
  readonly jobs: RunningJobs;
  readonly offers: Offers;
  readonly heartbeats: Heartbeats;
  readonly #bus: Bus;
  readonly #host: SessionHost;
  readonly #ticker: Ticker;
  readonly #replies: KeptReplies;
  readonly #intake: Intake;
  readonly #lane: CoreLane;
  readonly #service: ServiceApi;
  readonly #missing: MissingRights;
  /** Whether a permission is missing. */
  #isHindered = false;
  readonly #results = new Results();
  readonly #kept = new KeptOutcomes();
  readonly #revoked = new Revoked();
  readonly #ages = new Ages();
  readonly #subscriptions: Subscription[] = [];

  constructor(bus: Bus, runner: Runner, host: SessionHost) {
    const { settings } = host;
    const { runtime } = bus;
    this.#bus = bus;
    this.#host = host;
    this.slots = new Slots(settings.slots);
    const acceptPolicy = new AcceptPolicy();
    const report = reportTo(settings.log);
    const results = this.#results;
    const replies = new Replies(bus, settings.id, () => this.slots.free);
    this.#replies = new KeptReplies(bus, results, replies);
    this.#ticker = new Ticker({
      bus,
      checkJobs: (nowMs) => this.jobs.check(nowMs),
      onLag: (lagMs) => acceptPolicy.lagged(lagMs),
    });
    this.heartbeats = makeHeartbeats(bus, settings, runner.isolation, {
      figures: () => this.#figures(),
      onInterval: () => this.#ticker.onHeartbeat(),
      onSent: () => {
        this.#ticker.resetLag();
        this.#ticker.onHeartbeat();
        this.#kept.sweep(runtime.now());
      },
    });
    this.jobs = new RunningJobs({
      ...settings,
      worker: settings.id,
      slots: this.slots,
      runner,
      acceptPolicy,
      kept: this.#kept,
      now: runtime.now,
      sendable: (outcome) => replies.sendable(outcome),
      flush: () => replies.flush(),
      maxBytes: () => replies.maxBytes,
      confirm: (then) => void bus.flush().then(then),
      onProgressDropped: droppedProgressReportTo(settings.log),
      onFailed: (job, error) => report(job, { ok: false, error }),
      onStarted: (job) => {
        this.#ticker.onJobStarted();
        const events = host.listened.events;
        if (events !== undefined) tellStarted(events, job);
      },
      onOutcome: (job, outcome, nowMs) => {
        const events = host.listened.events;
        if (events !== undefined) tellOutcome(events, job, outcome, nowMs);
      },
      onChange: this.heartbeats.changed,
    });
    this.#intake = new Intake({
      slots: this.slots,
      jobs: this.jobs,
      results,
      kept: this.#kept,
      revoked: this.#revoked,
      refusals: this.#replies,
      submitSubject: settings.subjects.submit(settings.pool),
      onUnheard: this.heartbeats.changed,
      isReady: () => this.state === WorkerState.READY,
      inputIsStale: () => this.#ticker.inputIsStale,
    });
    this.#lane = new CoreLane({
      intake: this.#intake,
      replies: this.#replies,
      runtime,
      ages: this.#ages,
      mayAnswer: (reply) => bus.mayAnswer(reply),
      onMessage: (nowMs) => this.#ticker.onMessage(nowMs),
    });
    this.#service = makeServiceEntry(bus, settings, runner.isolation, () => this.jobs.totals);
    this.offers = new Offers(bus, settings.subjects.job(settings.pool), (msg) => this.#lane.receive(msg));
    this.#missing = this.#watchRights();
  }

  /** The worker's state as others see it: without permissions that it needs it is PAUSED, whatever it was told. */
  get state(): WorkerState {
    const { state } = this.#host.status;
    return state === WorkerState.READY && this.#isHindered ? WorkerState.PAUSED : state;
  }

  /** Sends the first heartbeat and listens to all but offers. */
  async open(): Promise<void> {
    const { subjects, pool, id } = this.#host.settings;
    this.#ticker.start();
    this.heartbeats.start();
    const cancels = new Cancels({
      bus: this.#bus,
      subjects,
      worker: id,
      jobs: this.jobs,
      revoked: this.#revoked,
      now: this.#bus.runtime.now,
    });
    const control = new Control(this.#bus, id, this.#actions(), this.#ages);
    this.#subscriptions.push(
      // In the queue group: if two live workers claim one id, an assignment still runs once.
      this.#bus.subscribe(subjects.jobFor(pool, id), (msg) => this.#lane.receive(msg), QUEUE_WORKERS),
      this.#bus.subscribe(subjects.every.cancel(pool), cancels.receive),
      this.#bus.subscribe(subjects.control(pool, id), control.receive),
      this.#bus.subscribe(subjects.controlAll(pool), control.receive),
    );
    await this.#service.start();
  }

  /** Resolves true when no job runs; false after `limitMs` milliseconds. */
  empty(limitMs: number): Promise<boolean> {
    const emptied = this.jobs.empty().then(() => true);
    return within(this.#bus.runtime, limitMs, emptied, false);
  }

  /** Answers what still runs, `draining` or `worker_lost` after a crash, and fires its AbortSignal. */
  abortRunning(hasCrashed: boolean): void {
    const [reason, why] = hasCrashed
      ? (["worker_lost", "an exception that nobody caught ended the worker"] as const)
      : (["draining", "the worker stopped"] as const);
    this.jobs.abortAll(new PoolError(reason, `${why} before the job was done`, { maybeExecuted: true }));
  }

  /** Waits until results are confirmed, with a limit. */
  settle(): Promise<void> {
    return this.#replies.settle(SETTLE_LIMIT_MS);
  }

  /**
   * Ends listening; results are confirmed, and then the last heartbeat leaves.
   *
   * @param onLast sets the state that it tells. No earlier one may tell it: whoever hears that the worker has left waits
   * for no result of it
   */
  async close(onLast: () => void): Promise<void> {
    this.#missing.stop();
    await this.#service.stop();
    await Promise.all(this.#subscriptions.map((each) => drainSubscription(this.#bus, each)));
    await this.settle();
    this.#replies.stop();
    this.#ticker.stop();
    this.heartbeats.stop();
    onLast();
    this.heartbeats.send();
    await this.#bus.flush(SETTLE_LIMIT_MS);
  }

  #actions(): ControlActions {
    return {
      ...this.#host.actions,
      rollCall: () => this.heartbeats.rollCall(),
      setPace: (pace) => this.heartbeats.setPace(pace),
      resend: (submissions) => this.#resend(submissions),
      has: (submissions) => this.#has(submissions),
      snapshot: () => this.heartbeats.snapshot(),
    };
  }

  #resend(submissions: readonly SubmissionName[]): readonly boolean[] {
    const keys = submissions.map(({ id, nonce }) => jobKey(id, nonce));
    const finished = this.#replies.resend(new Set(keys));
    return submissions.map(({ id, nonce }, i) => this.jobs.acceptAgain(id, nonce) || finished.has(keys[i] as string));
  }

  #has(submissions: readonly SubmissionName[]): readonly boolean[] {
    const nowMs = this.#bus.runtime.now();
    const running = this.jobs.durableKeys();
    return submissions.map(
      ({ id, nonce }) => running.has(jobKey(id, nonce)) || this.#kept.find(id, nonce, nowMs) !== undefined,
    );
  }

  #watchRights(): MissingRights {
    const { settings } = this.#host;
    const { subjects, pool, id } = settings;
    const jobs = subjects.job(pool);
    const needs = {
      heard: new Set([jobs, subjects.jobFor(pool, id), subjects.every.cancel(pool), subjects.control(pool, id)]),
      heartbeat: subjects.heartbeat(pool, id),
      isSender: (root: string) => this.#lane.hasSender(root),
    };
    return new MissingRights({
      bus: this.#bus,
      log: settings.log,
      needed: "this worker needs: it takes no jobs",
      nameOf: (refusal) => missingOf(refusal, needs),
      refusedForMs: refusedForMs(settings.heartbeatIntervalMs),
      subscriptions: () => [...this.#subscriptions, this.offers.subscription].filter((each) => each !== undefined),
      onChange: () => {
        this.#isHindered = this.#missing.any;
        this.offers.hold(this.#isHindered, this.#missing.has(`subscribe ${jobs}`));
        this.heartbeats.changed();
      },
    });
  }

  #figures(): HeartbeatFigures {
    const missing = this.#isHindered ? this.#missing.names : NOTHING;
    return {
      state: this.state,
      slots: this.slots.total,
      busy: this.slots.busy,
      ...(!this.#isHindered ? this.jobs.figures(RUNNING_IDS_LIMIT) : this.#jobsAndRefused()),
      refusedTotal: this.#intake.refusedTotal,
      loopLagMs: this.#ticker.longestLagMs,
      missing,
    };
  }

  /** A job whose result was refused by the broker is not over: its manager must not send it to another worker. */
  #jobsAndRefused(): ReturnType<RunningJobs["figures"]> {
    const figures = this.jobs.figures(RUNNING_IDS_LIMIT);
    const refused = this.#results.sentTo((reply) => this.#missing.has(repliesTo(reply)), this.#bus.runtime.now());
    return {
      ...figures,
      running: figures.running + refused.length,
      runningIds: [...figures.runningIds, ...refused.map(({ id }) => id)].slice(0, RUNNING_IDS_LIMIT),
      runningNonces: [...figures.runningNonces, ...refused.map(({ nonce }) => nonce)].slice(0, RUNNING_IDS_LIMIT),
    };
  }
}
