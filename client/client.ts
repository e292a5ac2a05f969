/**
 * The light client: submits jobs of one pool through `pool.P.submit`.
 *
 * It hears no heartbeat and knows no worker; a manager parks, dispatches and
 * answers. Decided here: what a client does when managers come and go, so that
 * every job has exactly one outcome. Same verbs as Manager.
 */

import { PoolError } from "../mesh/errors.js";
import { ChurnMap } from "../mesh/job/churn-map.js";
import { Deadlines } from "../mesh/job/deadlines.js";
import {
  DEFAULT_TIMEOUT_MS,
  type IndexedOutcome,
  type JobResult,
  type Outcome,
  type Payload,
  type SubmitManyOptions,
  type SubmitOptions,
  type Submitter,
  toBytes,
} from "../mesh/job/job.js";
import { ATTEMPTS_PER_MANAGER, toJobSpec } from "../mesh/job/job-spec.js";
import { type PayloadStarter, submitMany } from "../mesh/job/submit-many.js";
import { askCancel } from "../mesh/link/ask-cancel.js";
import { Bus, type BusOptions } from "../mesh/link/bus.js";
import { Inbox } from "../mesh/link/inbox.js";
import type { Timer } from "../mesh/link/runtime.js";
import { checkName } from "../mesh/names.js";
import { Lifecycle } from "../mesh/process/lifecycle.js";
import { encodeJobHeaders, encodeRevocation } from "../mesh/wire/headers.js";
import { jobRefusal, payloadLimit } from "../mesh/wire/payload-limit.js";
import { Subjects } from "../mesh/wire/subjects.js";
import { ClientJob, type ClientJobOwner } from "./client-job.js";
import { ManagerWatch } from "./manager-watch.js";

/** How a client is made. */
export interface ClientOptions extends BusOptions {
  /** A connection to share; it is not closed by the client. Default: one of its own. */
  bus?: Bus;
  /** First token of every subject; default "pool". */
  prefix?: string;
  /** Deadline of a job that names none, in milliseconds from submit; default 30,000. */
  timeoutMs?: number;
}

const TICK_MS = 20;
/** How much later than the job's deadline the client itself gives up: the manager speaks first. */
const DEADLINE_SLACK_MS = 250;
/** How long a submission is repeated while no manager listens, and how often. */
const NO_MANAGER_LIMIT_MS = 2_000;
const NO_MANAGER_RETRY_MS = 100;
/** After a reconnect: how long a manager has to answer for a job before it counts as lost. */
const REASK_LIMIT_MS = 1_000;
/** How often a manager is asked again for a job that it should have. */
const ASK_AGAIN_MS = 500;
/** A manager that says nothing to a new job for this long stands still. */
const SILENT_MANAGER_MS = 2_500;

export class Client extends Lifecycle implements Submitter, ClientJobOwner {
  readonly pool: string;
  readonly #options: ClientOptions;
  readonly #subjects: Subjects;
  readonly #live = new ChurnMap<ClientJob>();
  /** Jobs whose manager has not said since an outage, or since they were sent, that it has them. */
  readonly #unsure = new Set<ClientJob>();
  readonly #deadlines = new Deadlines<ClientJob>(TICK_MS);
  #bus: Bus | undefined;
  #inbox: Inbox | undefined;
  #watch: ManagerWatch | undefined;
  #ticker: Timer | undefined;
  #askedAt = 0;
  /** Since when the bus holds what is sent, by the bus' clock; undefined when it does not. */
  #heldFrom: number | undefined;
  #offBus: () => void = () => {};

  /**
   * Connects to the broker.
   *
   * @throws PoolError `invalid_argument`, `bus_unavailable`, `unauthenticated`
   */
  static async connect(pool: string, options: ClientOptions = {}): Promise<Client> {
    const client = new Client(pool, options);
    await client.start();
    return client;
  }

  constructor(pool: string, options: ClientOptions = {}) {
    super();
    this.pool = checkName("pool", pool);
    this.#subjects = new Subjects(options.prefix);
    this.#options = options;
  }

  submit(payload: Payload, options: SubmitOptions = {}): Promise<JobResult> {
    return new Promise((resolve, reject) => {
      const onOutcome = (outcome: Outcome): void => (outcome.ok ? resolve(outcome.result) : reject(outcome.error));
      try {
        this.#submit(toBytes(payload), options, onOutcome);
      } catch (error) {
        reject(error);
      }
    });
  }

  submitMany(
    payloads: Iterable<Payload> | AsyncIterable<Payload>,
    options: SubmitManyOptions = {},
  ): AsyncIterable<IndexedOutcome> {
    const starter: PayloadStarter = {
      start: (payload, each, onEnd) => this.#submit(payload, each, onEnd),
      cancel: (id) => {
        const job = this.#live.get(id);
        if (job !== undefined) this.#cancel(job);
      },
    };
    return submitMany(starter, payloads, options);
  }

  detachSubmit(payload: Payload, options: SubmitOptions & { onOutcome?: (outcome: Outcome) => void } = {}): string {
    const { onOutcome, ...rest } = options;
    return this.#submit(toBytes(payload), rest, onOutcome ?? (() => {}));
  }

  async cancel(id: string): Promise<void> {
    const { bus, inbox } = this.#open();
    const job = this.#live.get(checkName("job", id));
    if (job === undefined) return askCancel(bus, { inbox, subjects: this.#subjects }, this.pool, id);
    this.#cancel(job);
  }

  /** Ends it: jobs under way end as `canceled`, its own connection is closed. */
  close(): Promise<void> {
    return this.stop();
  }

  /** Monotonic milliseconds of the connection's process. */
  now(): number {
    return this.#bus?.runtime.now() ?? 0;
  }

  onNoManager(job: ClientJob): void {
    // Its manager may only be reconnecting; whether it is gone is for the watch to say.
    if (job.state === "taken") return;
    job.unsent = true;
    const now = this.now();
    if (now - job.submittedAt > NO_MANAGER_LIMIT_MS || job.headers.wait === false) {
      return job.fail(new PoolError("bus_unavailable", "no manager serves the pool", { retryAfterMs: 1_000 }));
    }
    this.#bus?.runtime.after(
      NO_MANAGER_RETRY_MS,
      () => job.state === "asking" && job.unsent && this.#send(job),
      "background",
    );
  }

  onTaken(job: ClientJob, manager: string): void {
    this.#unsure.delete(job);
    if (job.state === "taken") return;
    job.state = "taken";
    job.manager = manager;
    if (manager !== "") this.#watch?.add(manager, this.now());
  }

  onForgotten(job: ClientJob): void {
    this.#loseManager(job, "the manager that had the job has forgotten it");
  }

  onEnd(job: ClientJob, outcome: Outcome): void {
    if (job.state === "ended") return;
    if (job.state === "taken" && job.manager !== "") this.#watch?.remove(job.manager);
    job.state = "ended";
    this.#inbox?.close(job.token);
    this.#live.delete(job.id);
    this.#unsure.delete(job);
    this.#deadlines.delete(job, job.deadlineTick);
    if (this.#live.size === 0) this.#stopTicking();
    job.onOutcome(outcome);
  }

  protected async onStart(): Promise<void> {
    const options = this.#options;
    this.#bus =
      options.bus ??
      (await Bus.connect({ name: `poolmesh-client-${this.pool}`, waitOnFirstConnect: false, ...options }));
    this.#inbox = new Inbox(this.#bus);
    this.#watch = new ManagerWatch(this.#bus, this.#inbox, {
      onGone: (manager) => this.#onManagerGone(manager),
      onRestarted: (manager) => this.#onManagerRestarted(manager),
    });
    const offs = [
      this.#bus.stayWhile(() => this.#isOwed()),
      this.#bus.on("moving", () => this.#onMoving()),
      this.#bus.on("disconnect", () => this.#onDisconnect()),
      this.#bus.on("reconnect", () => this.#onReconnect()),
    ];
    this.#offBus = () => {
      for (const off of offs) off();
    };
    void this.#bus.closed.then((error) => error !== undefined && this.fail(error));
  }

  protected async onStop(): Promise<void> {
    for (const job of this.#live.values()) this.#cancel(job);
    this.#offBus();
    this.#stopTicking();
    this.#inbox?.stop();
    if (this.#options.bus === undefined) await this.#bus?.close();
  }

  #open(): { bus: Bus; inbox: Inbox } {
    if (this.#bus === undefined || this.#inbox === undefined || this.state === "stopped") {
      throw new PoolError("bus_unavailable", "the client is not started");
    }
    return { bus: this.#bus, inbox: this.#inbox };
  }

  #submit(payload: Uint8Array, options: SubmitOptions, onOutcome: (outcome: Outcome) => void): string {
    const { bus, inbox } = this.#open();
    const { signal } = options;
    if (signal?.aborted) throw canceled();
    const spec = toJobSpec(
      payload,
      options,
      this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      payloadLimit(bus),
      bus.runtime.newId,
    );
    if (this.#live.get(spec.id) !== undefined) {
      throw new PoolError("duplicate_job", "a job with this id is live at this client", { field: "job" });
    }
    bus.requireConnected();
    const now = this.now();
    const { id, client, traceparent, tracestate, payload: _payload, attemptsBefore: _attemptsBefore, ...rest } = spec;
    const headers = {
      ...rest,
      jobId: id,
      offer: true,
      ...(client === "" ? {} : { client }),
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(tracestate === undefined ? {} : { tracestate }),
    };
    const onAbort = (): void => this.#cancel(job);
    const end = (outcome: Outcome): void => {
      signal?.removeEventListener("abort", onAbort);
      onOutcome(outcome);
    };
    const job = new ClientJob(this, headers, payload, now, now + spec.timeoutMs, end, options.onProgress);
    signal?.addEventListener("abort", onAbort);
    job.token = inbox.open(job);
    job.deadlineTick = this.#deadlines.add(job, job.deadlineAt + DEADLINE_SLACK_MS);
    this.#live.set(id, job);
    this.#ticker ??= bus.runtime.every(TICK_MS, () => this.#tick());
    this.#send(job);
    return id;
  }

  /** Gives it to whichever manager the broker picks. */
  #send(job: ClientJob): void {
    const { bus } = this.#open();
    const refusal = jobRefusal(job.payload, job.headers, payloadLimit(bus), !job.unsent);
    if (refusal !== undefined) return job.fail(refusal);
    this.#publish(job, this.#subjects.submit(this.pool), job.payload);
  }

  /** Asks the manager that has it, if it said who it is. */
  #ask(job: ClientJob): void {
    if (job.manager === "") this.#send(job);
    else this.#publish(job, this.#subjects.submitTo(this.pool, job.manager));
  }

  #publish(job: ClientJob, subject: string, payload?: Uint8Array): void {
    const { bus, inbox } = this.#open();
    const timeoutMs = Math.max(1, job.deadlineAt - this.now());
    const attempt = job.managersBefore === 0 ? undefined : job.managersBefore * ATTEMPTS_PER_MANAGER + 1;
    const headers = encodeJobHeaders({ ...job.headers, timeoutMs, attempt });
    job.sentAt = this.now();
    job.inDoubt = false;
    this.#unsure.add(job);
    job.unsent = !bus.publish(subject, payload, { headers, reply: inbox.subject(job.token) });
  }

  #cancel(job: ClientJob): void {
    this.#bus?.publish(this.#subjects.cancel(this.pool, job.id));
    job.fail(canceled());
  }

  #tick(): void {
    const now = this.now();
    for (const job of this.#deadlines.expired(now)) {
      job.fail(new PoolError("deadline_exceeded", "no outcome before the deadline", { maybeExecuted: true }));
    }
    this.#watch?.tick(now);
    if (now - this.#askedAt >= ASK_AGAIN_MS && this.#bus?.connected) this.#askAgain(now);
  }

  /**
   * Silence where an answer is due. A manager says that it takes a job before it
   * sends it anywhere; so a job that nobody took goes to another manager, unless
   * the word may have been lost, and one that was taken is asked for again.
   */
  #askAgain(now: number): void {
    this.#askedAt = now;
    for (const job of this.#unsure) {
      if (now - job.sentAt < ASK_AGAIN_MS) continue;
      if (job.state === "taken") this.#ask(job);
      else if (!job.inDoubt && now - job.sentAt >= SILENT_MANAGER_MS) this.#sendAnew(job);
    }
  }

  #stopTicking(): void {
    this.#bus?.runtime.cancel(this.#ticker);
    this.#ticker = undefined;
  }

  /** Whether a manager has still to answer what has left by the connection that we are to give up. */
  #isOwed(): boolean {
    for (const job of this.#unsure) if (!job.unsent && !this.#isHeld(job)) return true;
    return false;
  }

  #isHeld(job: ClientJob): boolean {
    return this.#heldFrom !== undefined && job.sentAt >= this.#heldFrom;
  }

  #onMoving(): void {
    this.#heldFrom = this.now();
  }

  /** What the bus held is dropped. */
  #onDisconnect(): void {
    for (const job of this.#unsure) job.unsent ||= this.#isHeld(job);
    this.#heldFrom = undefined;
  }

  /**
   * Answers may have been lost meanwhile: ask each job's manager again; it joins
   * or repeats. A job of which no manager can have answered yet is not in doubt.
   */
  #onReconnect(): void {
    const now = this.now();
    this.#watch?.onReconnect(now);
    for (const job of this.#live.values()) {
      if (job.state === "taken") this.#ask(job);
      else if (job.unsent) this.#send(job);
      else if (this.#isHeld(job)) continue;
      else if (job.headers.idempotent) this.#sendAnew(job);
      else job.inDoubt = true;
    }
    this.#heldFrom = undefined;
    this.#bus?.runtime.after(REASK_LIMIT_MS, () => this.#endDoubts(), "background");
  }

  #endDoubts(): void {
    for (const job of this.#live.values()) {
      if (job.state === "asking" && job.inDoubt) this.#loseManager(job, "no manager answered after an outage");
    }
  }

  #onManagerGone(manager: string): void {
    for (const job of this.#live.values()) {
      if (job.state === "taken" && job.manager === manager)
        this.#loseManager(job, "the manager that had the job is gone");
    }
  }

  #onManagerRestarted(manager: string): void {
    for (const job of this.#live.values()) {
      if (job.state === "taken" && job.manager === manager) this.#ask(job);
    }
  }

  #loseManager(job: ClientJob, why: string): void {
    if (!job.headers.idempotent) {
      return job.fail(new PoolError("bus_unavailable", why, { maybeExecuted: true, retryable: false }));
    }
    if (job.state === "taken" && job.manager !== "") this.#watch?.remove(job.manager);
    job.state = "asking";
    job.manager = "";
    this.#sendAnew(job);
  }

  /** Gives a job to another manager: the old attempts are revoked, their answers are nobody's, the new ones are new. */
  #sendAnew(job: ClientJob): void {
    const { bus, inbox } = this.#open();
    inbox.close(job.token);
    job.token = inbox.open(job);
    job.managersBefore += 1;
    const headers = encodeRevocation(job.managersBefore * ATTEMPTS_PER_MANAGER);
    bus.publish(this.#subjects.cancel(this.pool, job.id), undefined, { headers });
    this.#send(job);
  }
}

function canceled(): PoolError {
  return new PoolError("canceled", "the caller canceled the job");
}
