/**
 * A live job, which was submitted and has no outcome yet, and its attempts. Pure.
 *
 * States of a job: parked → sent → ended, and back from sent to parked when it was
 * refused or when it may run again. `ended` is final: a job ends once.
 *
 *   (submitted) ─► sent ─► ended
 *        │        ▲   │        ▲
 *        └► parked ◄──┘        │
 *             └────────────────┘  deadline, cancel
 */
import { PoolError } from "../../../mesh/errors.js";
import type { Deadlines, Due, FifoNode } from "../../../mesh/job/containers.js";
import { attemptCount, type JobResult, type JobSpec, MAX_ATTEMPTS, type Outcome } from "../../../mesh/job/job.js";
import type { Priority, ReplyHeaders } from "../../../mesh/wire/headers.js";
import type { Parkable } from "./parked-queue.js";

/** Who hears what becomes of a job. */
export interface JobListener {
  /** The nonce of the submission that it hears for; undefined when its caller cannot name it. */
  readonly nonce?: string | undefined;
  /** The subject at which its caller hears: two listeners with the same are one caller, who asks again. */
  readonly reply?: string | undefined;
  /** Called exactly once. */
  onEnd(outcome: Outcome): void;
  /** The job is held here from now on; called before anything is sent to a worker. */
  onTaken?(): void;
  /** What {@link onTaken} said may have been lost. */
  onTakenAgain?(): void;
  onAccepted?(worker: string): void;
  onProgress?: ((payload: Uint8Array) => void) | undefined;
}

/** Who hears what happens to every job of a pool: called while it happens, so it must be quick and must not throw. */
export interface JobObserver {
  /** A job was taken. */
  taken(job: Job): void;
  /** It waits for a slot. */
  parked(job: Job): void;
  /** An attempt leaves. @param worker "" for an offer to the queue group */
  sent(attempt: Attempt, worker: string): void;
  /** @param worker "" for one that says no name */
  refused(attempt: Attempt, worker: string): void;
  accepted(attempt: Attempt, worker: string): void;
  /** Nobody has accepted it in time. */
  revoked(attempt: Attempt): void;
  ended(job: Job, outcome: Outcome, nowMs: number): void;
}

export class Job implements Parkable, Due {
  /** Made with its first member: an array that grows from nothing takes room for seventeen. */
  readonly listeners: JobListener[];
  state: "parked" | "sent" | "ended" = "parked";
  /** Attempts that may have run. `busy` does not count as an attempt. */
  attempts: number;
  /** The last attempt that was sent. */
  attempt: Attempt | undefined;
  /** Its place among the deadlines (containers.ts). */
  dueTick = 0;
  duePlace = 0;
  /** Whether `jobStart` was told to the program. */
  started = false;
  /** Workers that were lost while they had it. */
  lostWorkers = 0;
  place: FifoNode<Parkable> | undefined;
  /** Monotonic milliseconds. */
  deadlineAtMs: number;

  /** @param submittedAtMs monotonic milliseconds */
  constructor(
    readonly spec: JobSpec,
    readonly submittedAtMs: number,
    listener: JobListener,
  ) {
    this.listeners = [listener];
    this.deadlineAtMs = submittedAtMs + spec.timeoutMs;
    this.attempts = spec.attemptsBefore;
  }

  get id(): string {
    return this.spec.id;
  }

  get payloadBytes(): number {
    return this.spec.payload.length;
  }

  get priority(): Priority {
    return this.spec.priority;
  }

  get client(): string {
    return this.spec.client;
  }

  /** Whether a worker may have begun the job: one that has it says so only after a while. */
  get mayHaveRun(): boolean {
    return this.attempts > this.spec.attemptsBefore || this.attempt?.isOpen === true;
  }

  /** It waits for a slot, and for nobody's answer. An attempt that was refused, or did not leave, was none. */
  park(): void {
    this.state = "parked";
    if (this.attempt !== undefined && this.attempts < this.attempt.number) this.attempt = undefined;
  }

  /**
   * Where each attempt has its own time, it begins when the attempt is sent, and ends when the job is parked again.
   *
   * @param sentAtMs monotonic milliseconds; undefined when it is parked
   */
  restartDeadline(deadlines: Deadlines<Job>, sentAtMs: number | undefined): void {
    const { runTimeoutMs = 0, timeoutMs } = this.spec;
    deadlines.delete(this);
    const lastMs = this.submittedAtMs + timeoutMs;
    this.deadlineAtMs = sentAtMs === undefined ? lastMs : Math.min(lastMs, sentAtMs + runTimeoutMs);
    deadlines.add(this, this.deadlineAtMs);
  }

  /** Whether one of its callers submitted it under this nonce, or cannot say under which. */
  isOf(nonce: string | undefined): boolean {
    if (nonce === undefined || nonce === "" || this.spec.nonce === nonce) return true;
    return this.listeners.some((listener) => listener.nonce === nonce);
  }

  /** One more caller with the same id. @throws PoolError `duplicate_job` when it has another payload, or is another client */
  join(spec: JobSpec, listener: JobListener): this {
    const { payload, client } = this.spec;
    // Under a policy a client is a caller, and nobody hears the outcome of another caller's job.
    if (client !== spec.client) {
      throw new PoolError("duplicate_job", "a job with this id is live for another client", { field: "job" });
    }
    if (payload.length !== spec.payload.length || Buffer.compare(payload, spec.payload) !== 0) {
      throw new PoolError("duplicate_job", "a job with this id is live and has another payload", { field: "job" });
    }
    this.listen(listener);
    return this;
  }

  /** One more who waits for this job, unless it waits already: a caller that asks again hears one outcome. */
  listen(listener: JobListener): void {
    const { reply } = listener;
    const waits = reply ? this.listeners.some((each) => each.reply === reply) : false;
    if (!waits) this.listeners.push(listener);
    listener.onTaken?.();
  }

  /** The outcome of a job that ends with an error. */
  failure(error: PoolError): Outcome {
    const { worker = "", count = 0, sentAtMs } = this.attempt ?? {};
    const waited = sentAtMs === undefined ? {} : { waitMs: sentAtMs - this.submittedAtMs };
    return { ok: false, id: this.id, error, worker, attempt: count, ...waited };
  }
}

/**
 * Where an attempt stands. Only `InFlight` (in-flight.ts) changes a state, and
 * every count of offers, slots and unanswered messages follows from the change.
 *
 *   offered ──► assigned        it had not left yet and a free worker was found
 *   offered, assigned ──► accepted    a worker has it
 *   offered, assigned ──► revoked     nobody accepted it in time; a late reply still tells how far away its worker is
 *   any ──► over                      a result, a refusal, a cancel, or its worker is lost; nothing more is heard of it
 */
export type AttemptState = "offered" | "assigned" | "accepted" | "revoked" | "over";

/** A payload over this takes time on a slow link, in bytes. */
export const LARGE_PAYLOAD_BYTES = 16_384;

/** One attempt of a job, from its sending to its answer. */
export class Attempt {
  /** The correlation id of its replies; belongs to the sender. */
  token = "";
  /** All attempts that left in the same message, itself among them, until the first reply; the sender sets it. */
  bundle: readonly Attempt[] | undefined;
  /** How long nobody may answer it before it is revoked, in milliseconds; set when it is opened (timeouts.ts). */
  answerWithinMs = 0;
  /** Since when that time runs: when it was sent, later by what this manager stalled or was away since (timeouts.ts). */
  answerFromMs: number;
  /** Its time to be answered is its own: a large payload, or its workers were asked about it (in-flight.ts). */
  ownTime: boolean;
  /** Whether the workers were asked if they have it ("open"), and the question has reached them ("over"). */
  inquiry: "none" | "open" | "over" = "none";
  /** This manager's connection broke while nobody had answered it: a word of its worker may be lost. */
  wasCutOff = false;
  /** Its worker has the job already, and is not to start it again. */
  joins = false;
  /** That a worker has it is known only from a list of jobs, which does not say their attempts. */
  isListedOnly = false;
  /** Heartbeats of its worker in a row that did not list it as running. */
  unlisted = 0;
  /** Its place in the list of its worker (in-flight.ts). */
  spot = -1;
  /** Its place among the attempts that wait for a reply (in-flight.ts). */
  node: FifoNode<Attempt> | undefined;
  #state: AttemptState;
  #worker: string | undefined;

  /**
   * @param number its name (mesh/job/job.ts); after a refusal the next attempt has the same one
   * @param sentAtMs monotonic milliseconds
   */
  constructor(
    readonly job: Job,
    readonly number: number,
    readonly sentAtMs: number,
    state: "offered" | "assigned",
    worker: string | undefined,
  ) {
    this.answerFromMs = sentAtMs;
    this.#state = state;
    this.#worker = worker;
    this.ownTime = job.payloadBytes > LARGE_PAYLOAD_BYTES;
  }

  /** Which attempt of its job it is, as it is shown. */
  get count(): number {
    return attemptCount(this.number);
  }

  get state(): AttemptState {
    return this.#state;
  }

  /** Who has it: known at once when it was assigned, from the first reply when it was offered. */
  get worker(): string | undefined {
    return this.#worker;
  }

  /** Whether a reply to it can still decide something. */
  get isOpen(): boolean {
    return this.#state === "offered" || this.#state === "assigned" || this.#state === "accepted";
  }

  /** Whether no worker has answered it yet. */
  get isUnanswered(): boolean {
    return this.#state === "offered" || this.#state === "assigned";
  }

  /** Whether another attempt may follow when its worker is lost. */
  get mayBeFollowed(): boolean {
    return this.number - this.job.spec.attemptsBefore < MAX_ATTEMPTS;
  }

  /** Whether a reply is about this attempt and comes from the worker that has it. A missing header matches. */
  isMeant({ attempt, worker }: ReplyHeaders): boolean {
    if (attempt !== undefined && attempt !== this.number) return false;
    return worker === undefined || this.#worker === undefined || worker === this.#worker;
  }

  /** Called by `InFlight` alone. */
  enter(state: AttemptState, worker = this.#worker): void {
    this.#state = state;
    this.#worker = worker;
  }
}

/** Nobody can say whether a job has begun that may run once only. */
export function uncertain(): PoolError {
  const message = "no worker says whether it has begun the job, which may run once only";
  return new PoolError("worker_lost", message, { maybeExecuted: true, retryable: false });
}

/** Whether a job may have begun and may run once only: it goes to the worker that has it, or nowhere. */
export function isJoinOnly(spec: JobSpec): boolean {
  return spec.joinAt !== undefined && !spec.idempotent;
}

/** Hears all that another listener hears, and the outcome before it. */
export class WatchedListener implements JobListener {
  readonly #inner: JobListener;
  readonly #beforeEnd: (outcome: Outcome) => void;

  constructor(inner: JobListener, beforeEnd: (outcome: Outcome) => void) {
    this.#inner = inner;
    this.#beforeEnd = beforeEnd;
  }

  get nonce(): string | undefined {
    return this.#inner.nonce;
  }

  get reply(): string | undefined {
    return this.#inner.reply;
  }

  onTaken(): void {
    this.#inner.onTaken?.();
  }

  onTakenAgain(): void {
    this.#inner.onTakenAgain?.();
  }

  onAccepted(worker: string): void {
    this.#inner.onAccepted?.(worker);
  }

  onProgress(payload: Uint8Array): void {
    this.#inner.onProgress?.(payload);
  }

  onEnd(outcome: Outcome): void {
    this.#beforeEnd(outcome);
    this.#inner.onEnd(outcome);
  }
}

/**
 * Turns the outcome of one job into a promise's. A parked job keeps it, so it is small: a class, since an object with a
 * closure is three times as large; and without the promise's `reject`, which is a closure of its own.
 */
export class PromiseListener implements JobListener {
  readonly #resolve: (result: JobResult | Promise<never>) => void;
  readonly onProgress: JobListener["onProgress"];

  constructor(resolve: (result: JobResult | Promise<never>) => void, onProgress: JobListener["onProgress"]) {
    this.#resolve = resolve;
    this.onProgress = onProgress;
  }

  onEnd(outcome: Outcome): void {
    this.#resolve(outcome.ok ? outcome.result : Promise.reject(outcome.error));
  }
}
