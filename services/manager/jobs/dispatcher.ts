/**
 * The dispatcher of one pool: no job waits while a slot is idle.
 *
 * Decided here: the five rules of dispatch. A job is offered to the queue group
 * when the pool has room; a worker without a free slot refuses at once; a
 * refused job is handed to a worker that is known to be free, else parked; a
 * slot that comes free takes the next parked job. Not decided here: who goes
 * next (parked-queue.ts), who has room (roster.ts), and when waiting has lasted
 * too long (watchdog.ts).
 */

import { PoolError } from "../../../mesh/errors.js";
import { Deadlines } from "../../../mesh/job/deadlines.js";
import { JobResult, type Outcome } from "../../../mesh/job/job.js";
import type { JobSpec } from "../../../mesh/job/job-spec.js";
import { ChurnMap } from "../../../mesh/link/churn-map.js";
import { isNoResponders, type Reply } from "../../../mesh/link/inbox.js";
import type { BundleEntry } from "../../../mesh/wire/bundle.js";
import { readErrorHeaders } from "../../../mesh/wire/error-headers.js";
import { decodeReplyHeaders, type ReplyHeaders } from "../../../mesh/wire/headers.js";
import { jobRefusal, payloadLimit } from "../../../mesh/wire/payload-limit.js";
import { headersOf, wireHeaders } from "../../../mesh/wire/wire-headers.js";
import { Departures } from "../sender.js";
import { Admission } from "./admission.js";
import type { DispatcherParts } from "./dispatcher-parts.js";
import { Bookings } from "./in-flight.js";
import { Attempt, type AttemptOwner, type JobListener, LiveJob } from "./job.js";
import { ParkedQueue } from "./parked-queue.js";
import type { RosterWorker } from "./workers.js";

/** Offers that a bare pool may have out at once. */
const MAX_BARE_OFFERS = 1_024;

export class Dispatcher implements AttemptOwner {
  readonly parts: DispatcherParts;
  readonly parked: ParkedQueue<LiveJob>;
  readonly deadlines = new Deadlines<LiveJob>();
  readonly bookings: Bookings;
  readonly #live = new ChurnMap<LiveJob>();
  readonly #admission: Admission;
  readonly #departures: Departures;
  /** Nobody listened to the last offer of a pool without heartbeats. */
  bareSilence = false;
  /** Hears how long a worker's first answer took, in milliseconds. */
  onRoundTrip: (worker: string, ms: number) => void = () => {};

  constructor(parts: DispatcherParts) {
    this.parts = parts;
    this.parked = new ParkedQueue(parts.limits);
    this.bookings = new Bookings(parts);
    this.#departures = new Departures(parts);
    this.#admission = new Admission({ roster: parts.roster, parked: this.parked, bookings: this.bookings });
  }

  /** Jobs that have no outcome yet. */
  get liveJobs(): number {
    return this.#live.size;
  }

  /** Jobs sent to workers and not ended. */
  get inFlight(): number {
    return this.#live.size - this.parked.size;
  }

  /** Whether heartbeats say nothing about the room in this pool. */
  get isBare(): boolean {
    return this.parts.bare || !this.parts.roster.everBeaten;
  }

  live(id: string): LiveJob | undefined {
    return this.#live.get(id);
  }

  liveJobsNow(): LiveJob[] {
    return this.#live.values();
  }

  /**
   * Takes a job. Its listener hears exactly one outcome.
   *
   * @throws PoolError `bus_unavailable`, `pool_full`, `no_workers`, `unknown_pool`, `duplicate_job`
   */
  submit(spec: JobSpec, listener: JobListener): LiveJob {
    const twin = this.#live.get(spec.id);
    if (twin !== undefined) return twin.join(spec, listener);
    this.parts.bus.requireConnected();
    const now = this.parts.now();
    const job = new LiveJob(spec, now, listener);
    const goesNow = this.parked.size === 0 && this.#hasRoom();
    if (!goesNow) this.#admission.checkParkable(job, now);
    this.#live.set(job.id, job);
    if (this.#live.size === 1) this.parts.onBusy(true);
    job.deadlineTick = this.deadlines.add(job, job.deadlineAt);
    this.parts.tally.submitted += 1;
    listener.onTaken?.();
    if (goesNow) this.#letGo(job);
    else this.#park(job);
    return job;
  }

  /** Ends a live job as the caller wished; its worker is told. */
  cancel(job: LiveJob, error: PoolError): void {
    if (job.state === "ended") return;
    const attempt = job.attempt;
    if (attempt !== undefined && !attempt.over) this.#departures.recall(job.id);
    this.fail(job, error);
  }

  /** One caller of a job gives up; the job itself only when nobody else waits for it. */
  leave(job: LiveJob, listener: JobListener, error: PoolError): void {
    if (job.state === "ended") return;
    if (job.listeners.length <= 1) return this.cancel(job, error);
    job.listeners.splice(job.listeners.indexOf(listener), 1);
    listener.onEnd(job.failure(error));
  }

  /** Ends a job with an error. */
  fail(job: LiveJob, error: PoolError): void {
    this.#end(job, job.failure(error));
  }

  /** Revokes an attempt that is in doubt, and sends the job again as the next one. */
  tryAgain(attempt: Attempt): void {
    const job = attempt.job;
    job.attempts = attempt.number;
    this.closeAttempt(attempt);
    this.#departures.recall(job.id, attempt.number);
    this.#handOffOrPark(job);
  }

  /** A worker died: what it had ends honestly, or runs elsewhere where that is safe. */
  onWorkerLost(id: string, why: string): void {
    for (const attempt of this.parts.placements.takeAll(id)) this.onAttemptLost(attempt, why);
    this.pump();
  }

  /** One attempt's worker is gone or has forgotten it. */
  onAttemptLost(attempt: Attempt, why: string): void {
    if (attempt.over) return;
    const job = attempt.job;
    const safe = job.spec.idempotent || !attempt.accepted;
    if (safe && attempt.mayBeFollowed) return this.tryAgain(attempt);
    const error = new PoolError("worker_lost", `worker ${attempt.worker ?? "unknown"} ${why} while it had the job`, {
      maybeExecuted: true,
      retryable: job.spec.idempotent,
    });
    this.fail(job, error);
  }

  /** A heartbeat lists a job as running: its attempt is accepted there. */
  locate(id: string, worker: string): void {
    const attempt = this.#live.get(id)?.attempt;
    if (attempt === undefined || attempt.over || attempt.accepted) return;
    if (attempt.worker !== undefined && attempt.worker !== worker) return;
    this.#accept(attempt, worker, undefined, this.parts.now());
  }

  onReply(attempt: Attempt, msg: Reply): void {
    if (attempt.over) return this.#onTooLate(attempt, decodeReplyHeaders(headersOf(msg)));
    if (isNoResponders(msg)) return this.#onNoResponders(attempt.bundle ?? [attempt]);
    const reply = decodeReplyHeaders(headersOf(msg));
    const now = this.parts.now();
    if (!this.#isMeant(attempt, reply, now)) return;
    this.#heed(attempt, reply, msg, now);
    // a slot that one reply has freed does not wait for the end of the turn
    this.#departures.flush();
  }

  onBundled(attempt: Attempt, entry: BundleEntry, { worker, free }: ReplyHeaders): void {
    const reply: ReplyHeaders = { kind: "result", jobId: entry.id, attempt: entry.attempt, free };
    if (worker !== undefined) reply.worker = worker;
    if (attempt.over) return this.#onTooLate(attempt, reply);
    const now = this.parts.now();
    if (this.#isMeant(attempt, reply, now)) this.#onResult(attempt, reply, entry.payload, now);
  }

  /** The broker may take less than it did: what it will not take any more does not wait. */
  refuseTooLarge(): void {
    for (const job of this.#live.values()) {
      const refusal = job.state === "parked" ? this.#refusal(job) : undefined;
      if (refusal !== undefined) this.fail(job, refusal);
    }
  }

  /** Sends parked jobs for as long as there is room. */
  pump(): void {
    while (this.parked.size > 0 && this.#hasRoom()) {
      const job = this.parked.take();
      if (job === undefined) return;
      if (!this.#handOff(job)) {
        if (!this.isBare) return this.parked.putBack(job);
        this.#offer(job);
      }
    }
  }

  /** Sends one parked job although nobody seems to listen, to a pool without heartbeats. */
  probeBare(): void {
    if (!this.isBare || !this.bareSilence) return;
    const job = this.parked.take();
    if (job !== undefined) this.#offer(job);
  }

  /** Nothing more is heard of an attempt. */
  closeAttempt(attempt: Attempt): void {
    if (attempt.over) return;
    attempt.over = true;
    this.bookings.closed(attempt);
  }

  #heed(attempt: Attempt, reply: ReplyHeaders, msg: Reply, now: number): void {
    switch (reply.kind) {
      case "busy":
        return this.#onBusyReply(attempt, reply, now);
      case "accepted":
        return this.#accept(attempt, reply.worker, reply.free, now);
      case "progress":
        return this.#onProgress(attempt, reply, msg.data, now);
      case "result":
        return this.#onResult(attempt, reply, msg.data, now);
      case "error":
        return this.#onError(attempt, reply, msg, now);
    }
  }

  #hasRoom(): boolean {
    const { offersOut } = this.bookings;
    if (this.parts.roster.free > offersOut) return true;
    return this.isBare && !this.bareSilence && offersOut < MAX_BARE_OFFERS;
  }

  #park(job: LiveJob): void {
    job.state = "parked";
    this.parked.park(job);
  }

  /** A job that leaves alone goes to whom the broker picks; those of one turn are spread by what is known of the workers. */
  #letGo(job: LiveJob): void {
    const at = this.parts.now();
    if (!this.#departures.waiting) return this.#offer(job, at);
    if (this.parts.roster.free > 0) for (const offer of this.#departures.takeOffers()) this.#direct(offer, at);
    if (!this.#handOff(job, at)) this.#offer(job, at);
  }

  /** An offer that has not left after all goes to a worker that is known to be free, if there is one. */
  #direct(offer: Attempt, at: number): void {
    const worker = this.parts.roster.handOff(at);
    if (worker !== undefined) this.bookings.directed(offer, worker);
    this.#departures.send(offer, worker);
  }

  #offer(job: LiveJob, at = this.parts.now()): void {
    this.#send(job, undefined, at);
  }

  #handOff(job: LiveJob, at = this.parts.now()): boolean {
    const worker = this.parts.roster.handOff(at);
    if (worker === undefined) return false;
    this.#send(job, worker, at);
    return true;
  }

  #refusal({ spec, attempts }: LiveJob): PoolError | undefined {
    return jobRefusal(spec.payload, spec, payloadLimit(this.parts.bus), attempts > 0);
  }

  #handOffOrPark(job: LiveJob): void {
    if (job.state === "ended") return;
    const refusal = this.#refusal(job);
    if (refusal !== undefined) return this.fail(job, refusal);
    if (this.#handOff(job)) return;
    if (!job.spec.wait) return this.fail(job, this.#admission.noSlot(this.parts.now()));
    job.state = "parked";
    this.parked.putBack(job);
  }

  #send(job: LiveJob, worker: RosterWorker | undefined, at: number): void {
    const { inbox, mark } = this.parts;
    // A refused try was none: only an attempt that was closed in doubt counts.
    const attempt = new Attempt(this, job, job.attempts + 1, at, worker?.id, worker !== undefined);
    attempt.token = inbox.open(attempt, mark);
    job.attempt = attempt;
    job.state = "sent";
    this.bookings.opened(attempt, worker);
    if (!this.isBare) this.bookings.awaitAnswer(attempt);
    this.#departures.send(attempt, worker);
  }

  #isMeant(attempt: Attempt, reply: ReplyHeaders, now: number): boolean {
    if (attempt.waiting !== undefined && reply.worker !== undefined) this.#measure(attempt, reply.worker, now);
    if (attempt.isMeant(reply)) return true;
    this.parts.tally.late += 1;
    return false;
  }

  /** Dropped. One that only was too slow to accept tells how long answers take here. */
  #onTooLate(attempt: Attempt, { kind, worker }: ReplyHeaders): void {
    this.parts.tally.late += 1;
    // A refusal by a worker that stood still says how long it stood, not how far away it is.
    if (attempt.lingers && kind !== "busy" && worker !== undefined) this.#measure(attempt, worker, this.parts.now());
    attempt.lingers = false;
    this.parts.inbox.close(attempt.token);
  }

  #measure(attempt: Attempt, worker: string, now: number): void {
    this.onRoundTrip(worker, now - attempt.sentAt);
  }

  /** Nobody was there for what left in one message. */
  #onNoResponders(attempts: readonly Attempt[]): void {
    for (const attempt of attempts) {
      if (attempt.over) continue;
      const worker = attempt.worker;
      this.closeAttempt(attempt);
      if (worker !== undefined) this.parts.roster.unreachable(worker, this.parts.now());
      else if (this.isBare) this.bareSilence = true;
      this.#handOffOrPark(attempt.job);
    }
  }

  #onBusyReply(attempt: Attempt, reply: ReplyHeaders, now: number): void {
    const handOff = attempt.handOff;
    attempt.handOff = false;
    this.closeAttempt(attempt);
    this.parts.tally.refused += 1;
    if (reply.worker !== undefined) {
      const free = reply.free ?? 0;
      this.parts.roster.answered(reply.worker, { event: "busy", free, handOff, counted: false }, now);
    }
    this.#handOffOrPark(attempt.job);
    this.pump();
  }

  #accept(attempt: Attempt, worker: string | undefined, free: number | undefined, now: number): void {
    if (attempt.accepted) return;
    attempt.accepted = true;
    this.bookings.isAnswered(attempt);
    this.bookings.answered(attempt, worker, "accepted", free, now);
    for (const listener of attempt.job.listeners) listener.onAccepted?.(worker ?? "");
    this.parts.onStart?.(attempt.job, worker ?? "");
    this.pump();
  }

  #onProgress(attempt: Attempt, reply: ReplyHeaders, payload: Uint8Array, now: number): void {
    this.#accept(attempt, reply.worker, reply.free, now);
    for (const listener of attempt.job.listeners) listener.onProgress?.(payload);
  }

  #onResult(attempt: Attempt, reply: ReplyHeaders, payload: Uint8Array, now: number): void {
    const { job } = attempt;
    if (!attempt.accepted) this.parts.onStart?.(job, reply.worker ?? "");
    this.bookings.answered(attempt, reply.worker, "ended", reply.free, now);
    this.bareSilence = false;
    const totalMs = now - job.submittedAt;
    const waitMs = attempt.sentAt - job.submittedAt;
    const result = new JobResult(job.id, payload, reply.worker ?? "", attempt.number, waitMs, totalMs);
    this.#end(job, { ok: true, id: job.id, result }, now);
  }

  #onError(attempt: Attempt, reply: ReplyHeaders, msg: Reply, now: number): void {
    this.bookings.answered(attempt, reply.worker, "ended", reply.free, now);
    const error = readErrorHeaders(headersOf(msg) ?? wireHeaders());
    const leaves = error.reason === "draining";
    if (leaves && (attempt.job.spec.idempotent || !error.maybeExecuted) && attempt.mayBeFollowed) {
      return this.tryAgain(attempt);
    }
    this.fail(attempt.job, error);
  }

  #end(job: LiveJob, outcome: Outcome, now = this.parts.now()): void {
    if (job.state === "ended") return;
    if (job.state === "parked") this.parked.remove(job);
    job.state = "ended";
    this.#live.delete(job.id);
    this.deadlines.delete(job, job.deadlineTick);
    if (job.attempt !== undefined) this.closeAttempt(job.attempt);
    this.#admission.ended(now);
    this.parts.tally.ended(outcome.ok ? "ok" : outcome.error.reason);
    for (const listener of job.listeners) listener.onEnd(outcome);
    this.parts.onFinish?.(outcome);
    if (this.#live.size === 0) this.parts.onBusy(false);
    else this.pump();
  }
}
