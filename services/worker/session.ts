/**
 * Everything a worker has while it is connected, put together and taken apart
 * in a reasoned order.
 *
 * Not decided here: the worker's state (worker.ts).
 */
import type { WorkerState } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolError } from "../../mesh/errors.js";
import type { Bus } from "../../mesh/link/bus.js";
import type { ServiceApi } from "../../mesh/link/service-api.js";
import type { Subscription } from "../../mesh/link/subscription.js";
import { QUEUE_WORKERS } from "../../mesh/wire/subjects.js";
import { type BeatFigures, RUNNING_IDS_LIMIT } from "./beat.js";
import { Cancels } from "./cancels.js";
import { Control, type ControlActions } from "./control.js";
import type { Runner } from "./handlers/runner.js";
import type { Beater } from "./heartbeat.js";
import { Intake } from "./intake.js";
import { Caution } from "./jobs/accept-policy.js";
import { Results } from "./jobs/results.js";
import { Revoked } from "./jobs/revoked.js";
import { RunningJobs } from "./jobs/running-jobs.js";
import { Slots } from "./jobs/slots.js";
import { LoopWatch } from "./loop-watch.js";
import { makeBeater } from "./make-beater.js";
import { drainSubscription, Offers } from "./offers.js";
import { OwedResults } from "./owed.js";
import { Replies } from "./replies.js";
import { makeServiceFace } from "./service-face.js";
import type { WorkerSettings } from "./worker-options.js";

/** What the worker itself decides. */
export interface SessionHost {
  readonly settings: WorkerSettings;
  readonly state: () => WorkerState;
  readonly actions: Omit<ControlActions, "rollCall" | "setPace" | "resend" | "snapshot">;
}

/** The longest wait for kept results to be confirmed at the end, in milliseconds. */
const SETTLE_LIMIT_MS = 500;

export class Session {
  readonly slots: Slots;
  readonly jobs: RunningJobs;
  readonly offers: Offers;
  readonly beater: Beater;
  readonly #bus: Bus;
  readonly #host: SessionHost;
  readonly #loop: LoopWatch;
  readonly #owed: OwedResults;
  readonly #intake: Intake;
  readonly #service: ServiceApi;
  readonly #revoked = new Revoked();
  readonly #subscriptions: Subscription[] = [];

  constructor(bus: Bus, runner: Runner, host: SessionHost) {
    const { settings } = host;
    const { runtime } = bus;
    const { now } = runtime;
    this.#bus = bus;
    this.#host = host;
    this.slots = new Slots(settings.slots);
    const caution = new Caution();
    const results = new Results();
    const replies = new Replies(bus, settings.id, () => this.slots.free);
    this.#loop = new LoopWatch(bus, caution, now);
    this.#owed = new OwedResults(bus, results, replies, now);
    this.beater = makeBeater(bus, settings, runner.isolation, () => this.#figures(), now);
    this.jobs = new RunningJobs({
      ...settings,
      worker: settings.id,
      slots: this.slots,
      runner,
      replies,
      owed: this.#owed,
      caution,
      runtime,
      now,
      onChange: this.beater.changed,
    });
    this.#intake = new Intake({
      slots: this.slots,
      jobs: this.jobs,
      replies,
      results,
      owed: this.#owed,
      revoked: this.#revoked,
      stall: this.#loop.stall,
      inboxPrefix: bus.inboxPrefix,
      submitSubject: settings.subjects.submit(settings.pool),
      state: host.state,
      now,
      wallNow: runtime.wallNow,
      newId: runtime.newId,
      onStall: this.#loop.onStall,
    });
    this.#service = makeServiceFace(bus, settings, runner.isolation, () => this.jobs.totals);
    this.offers = new Offers(bus, settings.subjects.job(settings.pool), (msg) => this.#intake.receive(msg));
  }

  /** Beats for the first time and listens to all but offers. */
  async open(): Promise<void> {
    const { subjects, pool, id } = this.#host.settings;
    this.#loop.start();
    this.beater.start();
    const cancels = new Cancels({
      bus: this.#bus,
      subjects,
      worker: id,
      jobs: this.jobs,
      revoked: this.#revoked,
      now: this.#bus.runtime.now,
    });
    const control = new Control(this.#bus, id, this.#actions());
    this.#subscriptions.push(
      // in the queue group: should two live workers claim one id, a hand-off still runs once
      this.#bus.subscribe(subjects.jobFor(pool, id), (msg) => this.#intake.receive(msg), QUEUE_WORKERS),
      this.#bus.subscribe(subjects.every.cancel(pool), cancels.receive),
      this.#bus.subscribe(subjects.control(pool, id), control.receive),
      this.#bus.subscribe(subjects.controlAll(pool), control.receive),
    );
    await this.#service.start();
  }

  /** Answers what still runs with `draining` and fires its AbortSignal. */
  abortRunning(): void {
    this.jobs.abortAll(
      new PoolError("draining", "the worker stopped before the job was done", { maybeExecuted: true }),
    );
  }

  /** Ends listening; results are confirmed, and the last heartbeat is sent by the caller's state. */
  async close(): Promise<void> {
    await this.#service.stop();
    await Promise.all(this.#subscriptions.map((each) => drainSubscription(this.#bus, each)));
    await this.#owed.settle(SETTLE_LIMIT_MS);
    this.#owed.stop();
    this.jobs.stop();
    this.#loop.stop();
    this.beater.stop();
    this.beater.beat();
    await this.#bus.flush(SETTLE_LIMIT_MS);
  }

  #actions(): ControlActions {
    return {
      ...this.#host.actions,
      rollCall: () => this.beater.rollCall(),
      setPace: (coalesceMs) => this.beater.setPace(coalesceMs),
      resend: (ids) => this.#resend(ids),
      snapshot: () => this.beater.snapshot(),
    };
  }

  #resend(ids: readonly string[]): ReadonlySet<string> {
    const known = this.#owed.resend(new Set(ids));
    for (const id of ids) if (this.jobs.acceptAgain(id)) known.add(id);
    return known;
  }

  #figures(): BeatFigures {
    return {
      state: this.#host.state(),
      slots: this.slots.total,
      busy: this.slots.busy,
      ...this.jobs.figures(RUNNING_IDS_LIMIT),
      refusedTotal: this.#intake.refusedTotal,
      loopLagMs: this.#loop.stall.takeLongestLagMs(),
    };
  }
}
