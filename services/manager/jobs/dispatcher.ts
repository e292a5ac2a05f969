/**
 * The dispatcher of one pool: no job waits while a slot is idle. Pure.
 *
 * Decided here: the rules of dispatch. A job is offered to the queue group when
 * the pool has room. A worker without a free slot refuses at once. A refused job
 * is assigned to a worker that is known to be free, else it is parked. A slot
 * that comes free takes the next parked job. Events come in as method calls;
 * three ports lead out: send, revoke, and the job's listeners at its end.
 *
 * Not decided here: who goes next (parked-queue.ts), who has room (workers.ts),
 * how an attempt is counted (in-flight.ts), when waiting has lasted too long
 * (timeouts.ts), whether a job that may have begun is sent again (retries.ts).
 */
import { PoolError } from "../../../mesh/errors.js";
import { ChurnMap, Deadlines } from "../../../mesh/job/containers.js";
import { ATTEMPTS_PER_MANAGER, JobResult, type JobSpec, type Outcome } from "../../../mesh/job/job.js";
import type { ReplyHeaders } from "../../../mesh/wire/headers.js";
import { Admission } from "./admission.js";
import { InFlight } from "./in-flight.js";
import { type Attempt, isJoinOnly, Job, type JobListener, uncertain } from "./job.js";
import { type ParkedLimits, ParkedQueue } from "./parked-queue.js";
import { isSafeAfter, Retries } from "./retries.js";
import type { SenderPort } from "./sender-port.js";
import type { Totals } from "./totals.js";
import type { WorkerEntry, Workers } from "./workers.js";

/** Offers that a pool without heartbeats may have out at once. */
const MAX_BARE_OFFERS = 1_024;

/** What a dispatcher works with. */
export interface DispatcherParts {
  readonly sender: SenderPort;
  readonly workers: Workers;
  readonly totals: Totals;
  readonly limits: ParkedLimits;
  /** The pool has workers that send no heartbeats. */
  readonly bare: boolean;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly onStart?: (job: Job, worker: string) => void;
  readonly onFinish?: (outcome: Outcome) => void;
  /** The pool that was perhaps meant, when nobody serves this one. */
  readonly near?: (() => string | undefined) | undefined;
  /** Called when the first job comes in and when the last has ended. */
  readonly onBusy: (busy: boolean) => void;
  /** A worker's first reply to an attempt took this long, in milliseconds. */
  readonly onRoundTrip: (worker: string, ms: number) => void;
  /** How long nobody may answer an attempt of this job, in milliseconds. */
  readonly acceptTimeoutOf: (job: Job) => number;
  /** A worker refused an attempt because it was this old when it came, in milliseconds. */
  readonly onLate: (attempt: Attempt, ageMs: number) => void;
}

export class Dispatcher {
  readonly parked: ParkedQueue<Job>;
  readonly inFlight: InFlight;
  readonly retries: Retries;
  readonly deadlines = new Deadlines<Job>();
  readonly #parts: DispatcherParts;
  readonly #live = new ChurnMap<Job>();
  readonly #admission: Admission;
  /** No worker listened to the last offer of a pool without heartbeats. */
  #nobodyListens = false;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
    this.parked = new ParkedQueue(parts.limits);
    this.inFlight = new InFlight(parts.workers, (attempt) => parts.sender.forget(attempt));
    this.retries = new Retries({
      ...parts,
      inFlight: this.inFlight,
      revoke: (job, upTo) => parts.sender.revoke(job, upTo),
      assignOrPark: (job) => this.#assignOrPark(job),
      join: (job, holder) => this.#send(job, holder, parts.now(), true),
      fail: (job, error) => this.fail(job, error),
    });
    const { workers, totals, near, sender } = parts;
    const { parked, inFlight } = this;
    this.#admission = new Admission({ workers, totals, parked, inFlight, near, sender });
  }

  /** Jobs that have no outcome yet. */
  get liveJobs(): number {
    return this.#live.size;
  }

  /** Jobs that were sent to workers and have not ended. */
  get sentJobs(): number {
    return this.#live.size - this.parked.size;
  }

  /** Whether heartbeats say nothing about the room in this pool. */
  get isBare(): boolean {
    return this.#parts.bare || !this.#parts.workers.everHeard;
  }

  /** A JetStream stream that captures this pool's subjects, as was known within the last minute. */
  get stream(): string | undefined {
    return this.#parts.totals.stream(this.#parts.now());
  }

  live(id: string): Job | undefined {
    return this.#live.get(id);
  }

  liveJobsNow(): Job[] {
    return this.#live.values();
  }

  /**
   * Takes a job. Its listener hears exactly one outcome.
   *
   * @throws PoolError `pool_full`, `no_workers`, `unknown_pool`, `duplicate_job`
   */
  submit(spec: JobSpec, listener: JobListener): Job {
    const live = this.#live.get(spec.id);
    if (live !== undefined) return live.join(spec, listener);
    const nowMs = this.#parts.now();
    const job = new Job(spec, nowMs, listener);
    const holder = this.#parts.workers.join(spec.joinAt);
    if (holder === undefined && isJoinOnly(spec)) throw uncertain();
    const goesNow = holder !== undefined || (this.parked.size === 0 && this.#hasRoom(!spec.wait));
    if (!goesNow) this.#admission.checkParkable(job, nowMs);
    this.#live.set(job.id, job);
    if (this.#live.size === 1) this.#parts.onBusy(true);
    this.deadlines.add(job, job.deadlineAtMs);
    this.#parts.totals.taken(job);
    listener.onTaken?.();
    if (holder !== undefined) this.#send(job, holder, nowMs, true);
    else if (goesNow) this.#sendFirst(job, nowMs);
    else this.#park(job);
    return job;
  }

  /** Ends a live job as its caller wished; its worker is told. */
  cancel(job: Job, error: PoolError): void {
    if (job.state === "ended") return;
    // All attempts of this manager; those of another that has the job after it are its own.
    if (job.attempt?.isOpen) this.#parts.sender.revoke(job, job.spec.attemptsBefore + ATTEMPTS_PER_MANAGER);
    this.fail(job, error);
  }

  /** One caller of a job gives up. The job ends only when nobody else waits for it. */
  leave(job: Job, listener: JobListener, error: PoolError): void {
    if (job.state === "ended") return;
    if (job.listeners.length <= 1) return this.cancel(job, error);
    job.listeners.splice(job.listeners.indexOf(listener), 1);
    listener.onEnd(job.failure(error));
  }

  /** Ends a job with an error. */
  fail(job: Job, error: PoolError): void {
    this.#end(job, job.failure(error), this.#parts.now());
  }

  /** A worker is lost: what it had runs elsewhere where that is safe, else it ends. @param keeps what its next process has already */
  workerLost(id: string, why: string, keeps: (job: Job) => boolean = () => false): void {
    this.retries.workerLost(id);
    const lost = this.inFlight.assignments.at(id).filter(({ job }) => !keeps(job));
    for (const attempt of lost) this.retries.attemptLost(attempt, why);
    this.pump();
  }

  /**
   * A worker says that it runs a job, in a heartbeat or when asked: it has accepted the attempt.
   *
   * @param nonce of the submission, "" when the worker names none
   */
  runsAt(id: string, nonce: string, worker: string): void {
    const job = this.#live.get(id);
    const attempt = job?.attempt;
    if (job === undefined || attempt === undefined || !attempt.isUnanswered) return;
    // A worker that lists no nonces may mean another submission of this id; it tells us nothing.
    if (job.spec.nonce !== nonce) return;
    if (attempt.worker === undefined || attempt.worker === worker) {
      this.#accept(attempt, worker, undefined, this.#parts.now());
      attempt.isListedOnly = true;
    }
  }

  /**
   * A reply to an attempt.
   *
   * @param error of a reply that is an error
   * @param nowMs when it came, monotonic milliseconds
   */
  replied(attempt: Attempt, reply: ReplyHeaders, data: Uint8Array, error?: PoolError, nowMs = this.#parts.now()): void {
    if (!attempt.isOpen) return this.#onLateReply(attempt, reply, nowMs);
    if (reply.kind === "unknown" || (reply.bare && !this.isBare)) return this.onStranger();
    if (attempt.node !== undefined && reply.worker !== undefined) {
      this.#parts.onRoundTrip(reply.worker, nowMs - attempt.answerFromMs);
    }
    if (attempt.isMeant(reply)) this.#handle(attempt, reply, data, error, nowMs);
    else this.#parts.totals.late += 1;
  }

  /** What is no answer of a worker of this mesh is counted and changes nothing. */
  onStranger(): void {
    this.#parts.totals.strangers += 1;
  }

  /** A stream's acknowledgement came in the place of an answer. It decides nothing. */
  streamAnswered(stream: string): void {
    this.#parts.totals.streamCovers(stream, this.#parts.now());
    this.onStranger();
  }

  /** Nobody listened to a message with these attempts. */
  notDelivered(attempts: readonly Attempt[]): void {
    for (const attempt of attempts) {
      const { worker, isOpen } = attempt;
      this.inFlight.close(attempt);
      if (!isOpen) continue;
      if (worker !== undefined) this.#parts.workers.unreachable(worker, this.#parts.now());
      else if (this.isBare) this.#nobodyListens = true;
      this.#assignOrPark(attempt.job);
    }
  }

  /** The broker may take less than it did: parked jobs that it does not take any more are refused. */
  refuseTooLarge(): void {
    for (const job of this.#live.values()) {
      const refusal = job.state === "parked" ? this.#admission.tooLarge(job) : undefined;
      if (refusal !== undefined) this.fail(job, refusal);
    }
  }

  /** Sends parked jobs for as long as there is room. */
  pump(): void {
    while (this.parked.size > 0 && this.#hasRoom()) {
      const job = this.parked.take();
      if (job === undefined) return;
      const nowMs = this.#parts.now();
      if (this.#assign(job, nowMs)) continue;
      if (!this.isBare) return this.parked.putBack(job);
      this.#send(job, undefined, nowMs);
    }
  }

  /** Sends one parked job of a pool without heartbeats although nobody listened to the last one. */
  probeBare(): void {
    if (!this.isBare || !this.#nobodyListens) return;
    const job = this.parked.take();
    if (job !== undefined) this.#send(job, undefined, this.#parts.now());
  }

  #handle(
    attempt: Attempt,
    reply: ReplyHeaders,
    payload: Uint8Array,
    error: PoolError | undefined,
    nowMs: number,
  ): void {
    attempt.isListedOnly = false;
    switch (reply.kind) {
      case "busy":
        return this.#onBusy(attempt, reply, nowMs);
      case "accepted":
        return this.#accept(attempt, reply.worker, reply.free, nowMs);
      case "progress":
        return this.#onProgress(attempt, reply, payload, nowMs);
      case "result":
        return this.#onResult(attempt, reply, payload, nowMs);
      default:
        return this.#onError(attempt, reply, error ?? new PoolError("job_failed", "the worker gave no reason"), nowMs);
    }
  }

  /** @param finds also where nobody listened to the last offer: a bare worker may have come since */
  #hasRoom(finds = false): boolean {
    const { offers } = this.inFlight;
    if (this.#parts.workers.free > offers) return true;
    return this.isBare && (finds || !this.#nobodyListens) && offers < MAX_BARE_OFFERS;
  }

  #park(job: Job, first = true): void {
    job.park();
    this.#parts.totals.observer?.parked(job);
    if (first) this.parked.park(job);
    else this.parked.putBack(job);
  }

  /**
   * Sent alone: publish to the queue group. Sent with others in this turn: assign
   * each to a worker that has a free slot, those included that were to be offered.
   * While a worker answers nothing, no job is left to the broker's choice.
   */
  #sendFirst(job: Job, nowMs: number): void {
    const { sender, workers } = this.#parts;
    if (!sender.holds && !workers.hasUnresponsive) return this.#send(job, undefined, nowMs);
    if (workers.free > 0) for (const offer of sender.takeOffers()) if (offer.isOpen) this.#assignOffer(offer, nowMs);
    if (!this.#assign(job, nowMs)) this.#send(job, undefined, nowMs);
  }

  /** An offer that has not left yet goes to a worker that is known to be free, if there is one. */
  #assignOffer(offer: Attempt, nowMs: number): void {
    const worker = this.#parts.workers.assign(nowMs);
    if (worker !== undefined) this.inFlight.assign(offer, worker);
    this.#parts.sender.send(offer, worker);
  }

  #assign(job: Job, nowMs: number): boolean {
    const worker = this.#parts.workers.assign(nowMs);
    if (worker === undefined) return false;
    this.#send(job, worker, nowMs);
    return true;
  }

  /** After a refusal or in doubt: to a worker that is known to be free, else back into the queue. */
  #assignOrPark(job: Job): void {
    if (job.state === "ended") return;
    if (isJoinOnly(job.spec)) return this.retries.failUncertain(job);
    const refusal = this.#admission.tooLarge(job);
    if (refusal !== undefined) return this.fail(job, refusal);
    const nowMs = this.#parts.now();
    if (this.#assign(job, nowMs)) return;
    if (!job.spec.wait) return this.fail(job, this.#admission.noSlot(nowMs));
    if (job.spec.runTimeoutMs !== undefined) job.restartDeadline(this.deadlines, undefined);
    this.#park(job, false);
  }

  #send(job: Job, worker: WorkerEntry | undefined, nowMs: number, joins = false): void {
    job.attempt = this.inFlight.open(job, worker, nowMs, !this.isBare, joins);
    if (job.spec.runTimeoutMs !== undefined) job.restartDeadline(this.deadlines, nowMs);
    job.attempt.answerWithinMs = this.#parts.acceptTimeoutOf(job);
    job.state = "sent";
    this.#parts.sender.send(job.attempt, worker);
  }

  /** Dropped. A late reply to a revoked attempt tells how far away its worker is. */
  #onLateReply(attempt: Attempt, { kind, worker, ageMs }: ReplyHeaders, nowMs: number): void {
    this.#parts.totals.late += 1;
    if (ageMs !== undefined) this.#parts.onLate(attempt, ageMs);
    // A refusal from a worker that stalled tells how long it stalled, not how far away it is.
    const isRefusal = kind === "busy" || kind === "error";
    const tells = attempt.state === "revoked" && !isRefusal && worker !== undefined;
    if (tells) this.#parts.onRoundTrip(worker, nowMs - attempt.answerFromMs);
    this.inFlight.close(attempt);
  }

  #onBusy(attempt: Attempt, { worker, free, ageMs }: ReplyHeaders, nowMs: number): void {
    if (ageMs !== undefined) this.#parts.onLate(attempt, ageMs);
    this.inFlight.refuse(attempt, worker, free, nowMs);
    this.#parts.totals.wasRefused(attempt, worker);
    this.#assignOrPark(attempt.job);
    this.pump();
  }

  #accept(attempt: Attempt, worker: string | undefined, free: number | undefined, nowMs: number): void {
    if (!attempt.isUnanswered) return;
    this.inFlight.accept(attempt, worker, free, nowMs);
    this.#parts.totals.observer?.accepted(attempt, worker ?? "");
    for (const listener of attempt.job.listeners) listener.onAccepted?.(worker ?? "");
    this.#onStart(attempt.job, worker);
    this.pump();
  }

  /** Told once for a job, so that every start has one finish. */
  #onStart(job: Job, worker = ""): void {
    if (job.started) return;
    job.started = true;
    this.#parts.onStart?.(job, worker);
  }

  #onProgress(attempt: Attempt, { worker, free }: ReplyHeaders, payload: Uint8Array, nowMs: number): void {
    this.#accept(attempt, worker, free, nowMs);
    for (const listener of attempt.job.listeners) listener.onProgress?.(payload);
  }

  #onResult(attempt: Attempt, { worker, free }: ReplyHeaders, payload: Uint8Array, nowMs: number): void {
    const { job } = attempt;
    this.#onStart(job, worker);
    this.inFlight.end(attempt, worker, free, nowMs);
    this.#nobodyListens = false;
    const [waitMs, totalMs] = [attempt.sentAtMs - job.submittedAtMs, nowMs - job.submittedAtMs];
    const result = new JobResult(job.id, payload, worker ?? "", attempt.count, waitMs, totalMs);
    this.#end(job, { ok: true, id: job.id, result }, nowMs);
  }

  #onError(attempt: Attempt, { worker, free }: ReplyHeaders, error: PoolError, nowMs: number): void {
    const { job } = attempt;
    this.inFlight.end(attempt, worker, free, nowMs);
    if (error.reason !== "draining" || !isSafeAfter(job, error)) this.#onStart(job, worker);
    if (!this.retries.failed(attempt, error)) this.#end(job, job.failure(error), nowMs);
  }

  #end(job: Job, outcome: Outcome, nowMs: number): void {
    if (job.state === "ended") return;
    if (job.state === "parked") this.parked.remove(job);
    job.state = "ended";
    this.#live.delete(job.id);
    this.deadlines.delete(job);
    if (job.attempt?.isOpen) this.inFlight.close(job.attempt);
    this.#parts.totals.ended(job, outcome, nowMs);
    for (const listener of job.listeners) listener.onEnd(outcome);
    if (job.started) this.#parts.onFinish?.(outcome);
    if (this.#live.size === 0) this.#parts.onBusy(false);
    else this.pump();
  }
}
