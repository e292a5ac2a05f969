/**
 * A job message becomes a running job or a refusal, at once.
 *
 * Decided here: the order of the checks. Nothing is ever queued at a worker.
 */
import type { Msg } from "nats";
import { WorkerState } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { PoolError, toPoolError } from "../../mesh/errors.js";
import { DEFAULT_TIMEOUT_MS } from "../../mesh/job/job.js";
import { type BundleEntry, decodeBundle } from "../../mesh/wire/bundle.js";
import { decodeJobHeaders, decodeSentAt, isBundle, type JobHeaders } from "../../mesh/wire/headers.js";
import { splitReply } from "../../mesh/wire/reply.js";
import { isAnswerable } from "../../mesh/wire/subjects.js";
import { headersOf } from "../../mesh/wire/wire-headers.js";
import type { Results } from "./jobs/results.js";
import type { Revoked } from "./jobs/revoked.js";
import type { JobOrder } from "./jobs/running-job.js";
import type { RunningJobs } from "./jobs/running-jobs.js";
import type { Slots } from "./jobs/slots.js";
import type { OwedResults } from "./owed.js";
import type { Replies } from "./replies.js";
import type { StallWatch } from "./stall.js";

/** How far the clocks of a sender and a worker may differ before a job expires early, in milliseconds. */
export const CLOCK_TOLERANCE_MS = 2_000;
/** When a plain job that found no slot may be tried again, in milliseconds. */
const RETRY_AFTER_MS = 100;

/** What it works with. */
export interface IntakeParts {
  readonly slots: Slots;
  readonly jobs: RunningJobs;
  readonly replies: Replies;
  readonly results: Results;
  readonly owed: OwedResults;
  readonly revoked: Revoked;
  readonly stall: StallWatch;
  readonly inboxPrefix: string;
  /** The subject to submit to instead, for the message of a refusal. */
  readonly submitSubject: string;
  readonly state: () => WorkerState;
  readonly now: () => number;
  readonly wallNow: () => number;
  /** Makes the id of a job that names none. */
  readonly newId: () => string;
  readonly onStall: () => void;
}

/** The parts of a NATS message that are read. */
export type JobMessage = Pick<Msg, "reply" | "headers" | "data">;

export class Intake {
  readonly #parts: IntakeParts;
  /** Offers answered busy, and jobs whose reply subject is no inbox. */
  refusedTotal = 0;
  droppedTotal = 0;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  /** Takes a message with a job or a bundle of them, whichever subject it came by. */
  receive(msg: JobMessage): void {
    if (isBundle(msg)) return this.#receiveBundle(msg);
    const nowMs = this.#look();
    const reply = msg.reply || undefined;
    if (!this.#isAnswerable(reply)) return;
    let headers: JobHeaders;
    try {
      headers = decodeJobHeaders(headersOf(msg));
    } catch (thrown) {
      this.#parts.replies.error({ id: "invalid", attempt: 1, reply }, toPoolError(thrown));
      return;
    }
    this.#decide(toOrder(msg.data, headers, reply, nowMs, this.#parts.newId), headers.expiresAt, nowMs);
  }

  /** One to which nobody could hear the answers, or the rest of one that is cut off, is dropped. */
  #receiveBundle(msg: JobMessage): void {
    if (!msg.reply || !this.#isAnswerable(msg.reply)) return;
    const [inbox] = splitReply(msg.reply);
    const sentAt = decodeSentAt(headersOf(msg)) ?? this.#parts.wallNow();
    const whole = decodeBundle(msg.data, (entry) => {
      const nowMs = this.#look();
      this.#decide(fromBundle(entry, inbox, nowMs), sentAt + entry.timeoutMs, nowMs);
    });
    if (!whole) this.droppedTotal += 1;
  }

  /** The time, and whether this process stood still. */
  #look(): number {
    const nowMs = this.#parts.now();
    if (this.#parts.stall.check(nowMs)) this.#parts.onStall();
    return nowMs;
  }

  #isAnswerable(reply: string | undefined): boolean {
    if (reply === undefined || isAnswerable(reply, this.#parts.inboxPrefix)) return true;
    this.droppedTotal += 1;
    return false;
  }

  #decide(order: JobOrder, expiresAt: number | undefined, nowMs: number): void {
    const { revoked, replies, jobs, slots, stall } = this.#parts;
    if (expiresAt !== undefined && this.#parts.wallNow() > expiresAt + CLOCK_TOLERANCE_MS) {
      replies.error(order, new PoolError("deadline_exceeded", "the job had expired before it came"));
      return;
    }
    if (revoked.has(order.id, order.attempt, nowMs)) return;
    if (order.named && this.#isDuplicate(order, nowMs)) return;
    if (this.#parts.state() !== WorkerState.READY) this.#refuse(order, notReady);
    else if (order.offered && stall.suspect) this.#busy(order, slots.free);
    else if (!jobs.start(order, nowMs)) this.#refuse(order, () => this.#full());
  }

  /** @param why is asked only where it is said: an error costs more than a job */
  #refuse(order: JobOrder, why: () => PoolError): void {
    if (order.offered) this.#busy(order, 0);
    else this.#parts.replies.error(order, why());
  }

  #busy(order: JobOrder, free: number): void {
    this.refusedTotal += 1;
    this.#parts.replies.busy(order, free);
  }

  #isDuplicate(order: JobOrder, nowMs: number): boolean {
    const { jobs, results, replies, owed } = this.#parts;
    const running = jobs.find(order.id, order.attempt);
    if (running !== undefined) {
      if (order.offered && running.join(order)) replies.accepted(order);
      else replies.error(order, new PoolError("duplicate_job", "this job is running"));
      return true;
    }
    if (!results.hasFinished(order.id, order.attempt, nowMs)) return false;
    const kept = results.find(order.id, order.attempt, nowMs);
    if (kept !== undefined) owed.send(order, kept.ending, nowMs);
    else replies.error(order, new PoolError("duplicate_job", "this attempt has run; its result is no longer kept"));
    return true;
  }

  #full(): PoolError {
    const message = `no slot is free here; submit to ${this.#parts.submitSubject} to wait for one`;
    return new PoolError("pool_full", message, { utilization: 1, parked: 0, retryAfterMs: RETRY_AFTER_MS });
  }
}

function notReady(): PoolError {
  return new PoolError("draining", "this worker takes nothing new");
}

function toOrder(
  bytes: Uint8Array,
  headers: JobHeaders,
  reply: string | undefined,
  nowMs: number,
  newId: () => string,
): JobOrder {
  return {
    id: headers.jobId ?? newId(),
    attempt: headers.attempt ?? 1,
    named: headers.jobId !== undefined,
    offered: headers.offer === true,
    bundled: false,
    reply,
    bytes,
    deadlineAtMs: nowMs + (headers.timeoutMs ?? DEFAULT_TIMEOUT_MS),
    traceparent: headers.traceparent,
    tracestate: headers.tracestate,
  };
}

function fromBundle(entry: BundleEntry, inbox: string, nowMs: number): JobOrder {
  return {
    id: entry.id,
    attempt: entry.attempt,
    named: true,
    offered: true,
    bundled: true,
    reply: inbox + entry.token,
    bytes: entry.payload,
    deadlineAtMs: nowMs + entry.timeoutMs,
    traceparent: entry.traceparent,
    tracestate: entry.tracestate,
  };
}
