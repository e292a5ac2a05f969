/**
 * Sends attempts to workers and hears their replies, for one pool.
 *
 * Decided here: what leaves in one turn of the event loop leaves at its end; an
 * attempt that has no company as a message of its own, those for one worker in a
 * bundle, if that worker takes bundles. A reply finds its attempt by correlation
 * id and goes to the dispatcher. Not decided here: which worker gets what.
 */

import type { PoolError } from "../../../mesh/errors.js";
import { isDurable } from "../../../mesh/job/job.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { Batcher } from "../../../mesh/link/delivery.js";
import { ReplyRouter } from "../../../mesh/link/reply-router.js";
import { encodeRevocation } from "../../../mesh/wire/cancel-messages.js";
import { readErrorHeaders } from "../../../mesh/wire/error-headers.js";
import { decodeReplyHeaders, encodeJobHeaders, type ReplyHeaders } from "../../../mesh/wire/headers.js";
import {
  type BundledResult,
  type BundleEntry,
  encodeBundle,
  encodeJobsHeaders,
  MAX_BUNDLED_BYTES,
  mostBytes,
  payloadLimit,
} from "../../../mesh/wire/payloads.js";
import type { Subjects } from "../../../mesh/wire/subjects.js";
import { headersOf, isNoResponders, type Reply, streamOf } from "../../../mesh/wire/wire-headers.js";
import type { Dispatcher } from "../jobs/dispatcher.js";
import type { Attempt, Job } from "../jobs/job.js";
import type { SenderPort } from "../jobs/sender-port.js";
import type { Totals } from "../jobs/totals.js";
import type { WorkerEntry, Workers } from "../jobs/workers.js";
import type { UnknownWorkers } from "./unknown-workers.js";

/** What a sender works with. */
export interface SenderParts {
  readonly pool: string;
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly totals: Totals;
  /** Who hears the replies. */
  readonly dispatcher: () => Dispatcher;
  /** Where replies wait for the first heartbeat of their worker. */
  readonly unknown: Pick<UnknownWorkers, "keep">;
  readonly workers: Workers;
  /** Beyond so many workers this manager does not know all of them. */
  readonly maxWorkers: number;
  /** How old an attempt may be when its worker starts it, milliseconds; undefined when it may be any. @param nowMs when it leaves */
  readonly leaseMs: (attempt: Attempt, nowMs: number) => number | undefined;
  /** A reply that came alone was handled. @param nowMs monotonic milliseconds */
  readonly onWake: (nowMs: number) => void;
}

export class Sender implements SenderPort {
  readonly #parts: SenderParts;
  readonly #jobSubject: string;
  readonly #batcher: Batcher<Attempt>;
  readonly #replies: ReplyRouter<Attempt>;

  constructor(parts: SenderParts) {
    this.#parts = parts;
    this.#jobSubject = parts.subjects.job(parts.pool);
    this.#batcher = new Batcher(parts.bus, {
      alone: (subject, attempt) => this.#sendOne(subject, attempt),
      together: (subject, attempts) => this.#sendAll(subject, attempts),
      bytesOf: ({ job }) => mostBytes(job.spec),
    });
    this.#replies = new ReplyRouter<Attempt>(parts.bus, {
      onReply: (attempt, msg) => this.#onReply(attempt, msg),
      onBundled: (attempt, result, about, nowMs) => this.#onBundled(attempt, result, about, nowMs),
      onStray: () => {
        parts.totals.late += 1;
      },
    });
  }

  get holds(): boolean {
    return this.#batcher.waiting;
  }

  takeOffers(): readonly Attempt[] {
    return this.#batcher.take(this.#jobSubject);
  }

  send(attempt: Attempt, worker: WorkerEntry | undefined): void {
    if (attempt.token === "") {
      attempt.token = this.#replies.open(attempt);
      this.#parts.totals.observer?.sent(attempt, worker?.id ?? "");
    }
    if (worker === undefined) return this.#batcher.add(this.#jobSubject, attempt);
    const subject = `${this.#jobSubject}.${worker.id}`;
    const { spec, payloadBytes } = attempt.job;
    const knowsNonces = spec.nonce === "" || worker.protocolVersion >= 2;
    // A bundle does not say which of its jobs may run once only, and of a later attempt its worker has to know it.
    const isPlain = attempt.number === 1 || spec.idempotent || isDurable(spec);
    const mayWait = worker.takesBundles && knowsNonces && isPlain && payloadBytes <= MAX_BUNDLED_BYTES;
    if (mayWait) this.#batcher.add(subject, attempt);
    else this.#sendOne(subject, attempt);
  }

  flush(): void {
    this.#batcher.flush();
  }

  /** What submissions that were read together bring leaves with the word that they are taken, said after this, in one write. */
  flushSoon(): void {
    this.#batcher.flushSoon();
  }

  /** What has not left yet leaves first, so that no worker hears of a revocation before its job. */
  revoke({ id, spec }: Job, upToAttempt: number): void {
    const { bus, subjects, pool } = this.#parts;
    this.#batcher.flush();
    const headers = encodeRevocation({ upToAttempt, nonce: spec.nonce });
    bus.publish(subjects.cancel(pool, id), undefined, { headers });
  }

  /** Tells all workers that an id which was canceled as a whole is used anew. */
  useAnew(id: string): void {
    const { bus, subjects, pool } = this.#parts;
    const headers = encodeRevocation({ upToAttempt: 0, nonce: undefined });
    bus.publish(subjects.cancel(pool, id), undefined, { headers });
  }

  forget(attempt: Attempt): void {
    this.#replies.close(attempt.token);
  }

  payloadLimit(): number {
    return payloadLimit(this.#parts.bus);
  }

  /** Hears no reply any more. */
  stop(): void {
    this.#replies.stop();
  }

  #onReply(attempt: Attempt, msg: Reply): void {
    const { bus, onWake } = this.#parts;
    const dispatcher = this.#parts.dispatcher();
    if (isNoResponders(msg)) return dispatcher.notDelivered(attempt.bundle ?? [attempt]);
    const headers = headersOf(msg);
    const reply = decodeReplyHeaders(headers);
    const stream = reply.bare ? streamOf(msg) : undefined;
    if (stream !== undefined) return dispatcher.streamAnswered(stream);
    const error = reply.kind === "error" && headers !== undefined ? readErrorHeaders(headers) : undefined;
    this.#hear(attempt, reply, msg.data, bus.runtime.now(), error);
    // The slot that this reply has freed gets its next job now, not at the end of the turn.
    this.#batcher.flush();
    onWake(bus.runtime.now());
  }

  #onBundled(attempt: Attempt, result: BundledResult, { worker, free }: ReplyHeaders, nowMs: number): void {
    const reply: ReplyHeaders = { kind: "result", attempt: result.attempt, free };
    if (worker !== undefined) reply.worker = worker;
    this.#hear(attempt, reply, result.payload, nowMs);
  }

  /** A reply of a worker that nobody knows is heard when that one has said that it is there. */
  #hear(attempt: Attempt, reply: ReplyHeaders, data: Uint8Array, nowMs: number, error?: PoolError): void {
    const { unknown, dispatcher } = this.#parts;
    if (mayBeHeard(this.#parts, attempt, reply)) return dispatcher().replied(attempt, reply, data, error, nowMs);
    const payload = data.slice();
    unknown.keep(reply.worker, payload.length, () => dispatcher().replied(attempt, reply, payload, error, nowMs));
  }

  #sendAll(subject: string, attempts: readonly Attempt[]): void {
    if (subject === this.#jobSubject) {
      for (const attempt of attempts) this.#sendOne(subject, attempt);
      return;
    }
    const open = attempts.filter(({ isOpen }) => isOpen);
    for (const alike of byHeaders(open)) this.#sendBundle(subject, alike);
  }

  /** Sends attempts of which the same is to be said. */
  #sendBundle(subject: string, open: readonly Attempt[]): void {
    const { bus, leaseMs } = this.#parts;
    const [first] = open;
    if (first === undefined) return;
    const { now, wallNow } = bus.runtime;
    const clockMs = now();
    const { spec } = first.job;
    const about = {
      sentAt: wallNow(),
      clockMs,
      startWithinMs: leaseMs(first, clockMs),
      durable: isDurable(spec),
      maxAttempts: spec.maxAttempts,
      join: first.joins,
    };
    const headers = encodeJobsHeaders(open.length, about);
    // If nobody listens at this subject, the broker says so under the first attempt's correlation id.
    first.bundle = open;
    bus.publish(subject, encodeBundle(open.map(toEntry)), { headers, reply: this.#replies.subject(first.token) });
  }

  /** An attempt that was closed while it waited for the end of the turn does not leave. */
  #sendOne(subject: string, attempt: Attempt): void {
    if (!attempt.isOpen) return;
    const { bus, leaseMs } = this.#parts;
    const { payload, nonce, maxAttempts, traceparent, tracestate, idempotent } = attempt.job.spec;
    const clockMs = bus.runtime.now();
    const timeoutMs = leftMs(attempt);
    const headers = encodeJobHeaders({
      jobId: attempt.job.id,
      attempt: attempt.number,
      nonce,
      clockMs,
      startWithinMs: leaseMs(attempt, clockMs),
      timeoutMs,
      expiresAt: bus.runtime.wallNow() + timeoutMs,
      offer: true,
      durable: isDurable(attempt.job.spec),
      maxAttempts,
      join: attempt.joins,
      idempotent,
      traceparent,
      tracestate,
    });
    bus.publish(subject, payload, { headers, reply: this.#replies.subject(attempt.token) });
  }
}

/**
 * Whether a reply can be heard at once: where workers send heartbeats, from who has sent one. What does not say what it is
 * the dispatcher passes over, and so it does with what comes too late.
 */
export function mayBeHeard(
  { dispatcher, workers, maxWorkers }: Pick<SenderParts, "dispatcher" | "workers" | "maxWorkers">,
  { isOpen }: Attempt,
  { bare, worker }: ReplyHeaders,
): boolean {
  if (worker !== undefined && workers.get(worker) !== undefined) return true;
  if (!isOpen || bare === true || dispatcher().isBare) return true;
  return worker !== undefined && workers.size >= maxWorkers;
}

/** Attempts in as few groups as differ in what a bundle says of all its jobs: one, as a rule. */
function byHeaders(attempts: readonly Attempt[]): (readonly Attempt[])[] {
  const [first] = attempts;
  if (first === undefined) return [];
  const isAlike = ({ joins, job }: Attempt): boolean =>
    joins === first.joins &&
    isDurable(job.spec) === isDurable(first.job.spec) &&
    job.spec.maxAttempts === first.job.spec.maxAttempts;
  if (attempts.every(isAlike)) return [attempts];
  return [attempts.filter(isAlike), ...byHeaders(attempts.filter((attempt) => !isAlike(attempt)))];
}

function toEntry(attempt: Attempt): BundleEntry {
  const { token, number, job } = attempt;
  const { payload, nonce, traceparent, tracestate } = job.spec;
  return { token, id: job.id, nonce, attempt: number, payload, timeoutMs: leftMs(attempt), traceparent, tracestate };
}

function leftMs({ job, sentAtMs }: Attempt): number {
  return Math.max(1, job.deadlineAtMs - sentAtMs);
}
