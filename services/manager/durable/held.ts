/**
 * The deliveries that one manager holds of one pool, for how long it may, and those that it has given back. Pure.
 *
 * Decided here: when a delivery's lease is over. The broker delivers a message
 * again when it has heard nothing of it for the consumer's ack wait. So a manager
 * says regularly that it works on it, and gives nothing back when it last said so too long
 * ago. Nothing is sent here.
 */
import type { DeliveryFacts } from "../../../mesh/durable/ack-subject.js";
import { DURABLE_CLIENT, type DurableJob } from "../../../mesh/durable/job.js";
import type { Encoded } from "../../../mesh/durable/outcome.js";
import { PoolError } from "../../../mesh/errors.js";
import { ATTEMPTS_PER_MANAGER } from "../../../mesh/job/job.js";
import { MAX_TIMEOUT_MS, type Priority } from "../../../mesh/wire/headers.js";
import type { HeaderReader } from "../../../mesh/wire/wire-headers.js";
import type { StoredHeaders } from "../pool/pool.js";
import type { DeliveredJob } from "./decide.js";

/** Told to the broker so many times within an ack wait. */
const SIGNS_PER_WAIT = 3;
/** The part of the ack wait that is left for messages on their way, and its bound, in milliseconds. */
const MARGIN = 1 / 6;
const MAX_MARGIN_MS = 5_000;

/** Jobs of one pool, and their payload bytes, that wait at one manager for leave by a limit. */
const MAX_LIMITED = 8_192;
const MAX_LIMITED_BYTES = 64 * 2 ** 20;

/** One delivered message. */
export class Delivery implements DeliveredJob {
  /** It has ended, and is being stored: it waits for no slot any more. */
  isEnding = false;
  /** The pool had no room for it: it begins again in a moment. */
  isWaiting = false;
  /** It waits for leave by a limit. */
  isLimited = false;
  /** Its last delivery ended at this manager: no worker has it. */
  wasEndedHere = false;
  /** It is said to come for the first time, and may have come before, or elsewhere since. */
  mayBeRepeat = false;
  /** The claim that was stored for it; 0 for none. */
  claim = 0;
  /** What was stored of its end, and is told to who enqueued it. */
  end: Encoded | undefined;
  /** A later delivery of the same message takes the place of an earlier one. */
  facts: DeliveryFacts;
  ackSubject: string;
  /** When the broker heard of it last, monotonic milliseconds. */
  #signedAtMs: number;

  constructor(
    readonly id: string,
    readonly level: Priority,
    facts: DeliveryFacts,
    ackSubject: string,
    readonly headers: HeaderReader | undefined,
    readonly payload: Uint8Array,
    readonly job: DurableJob | PoolError,
    nowMs: number,
  ) {
    this.facts = facts;
    this.ackSubject = ackSubject;
    this.#signedAtMs = nowMs;
  }

  /**
   * Names the message, whichever manager has it: workers know a job that they have had before by it. A stream
   * that was made anew counts from 1 again, so the sequence alone does not name it.
   */
  get nonce(): string {
    return `durable-${this.facts.sequence}-${this.facts.storedAt}`;
  }

  get sequence(): number {
    return this.facts.sequence;
  }

  get deliveries(): number {
    return this.facts.deliveries;
  }

  get signedAtMs(): number {
    return this.#signedAtMs;
  }

  /** The broker hears of it now. */
  sign(nowMs: number): void {
    this.#signedAtMs = nowMs;
  }

  /**
   * The job as the dispatcher takes it.
   *
   * @param joinAt the worker that has it already
   * @throws PoolError when its headers are wrong
   */
  toHeaders(wallNowMs: number, joinAt?: string): StoredHeaders {
    const { id, job, deliveries, level, nonce } = this;
    if (job instanceof PoolError) throw job;
    return {
      jobId: id,
      nonce,
      attempt: (deliveries - 1) * ATTEMPTS_PER_MANAGER + (this.mayBeRepeat ? repeatOffset(wallNowMs) : 0) + 1,
      timeoutMs: Math.max(1, Math.min(MAX_TIMEOUT_MS, (job.expiresAt ?? Number.POSITIVE_INFINITY) - wallNowMs)),
      runTimeoutMs: job.timeoutMs,
      joinAt,
      idempotent: job.idempotent,
      priority: level,
      client: job.client === "" ? DURABLE_CLIENT : job.client,
      traceparent: job.traceparent,
      tracestate: job.tracestate,
    };
  }

  /** It came again, to the same manager. */
  again(facts: DeliveryFacts, ackSubject: string, nowMs: number): void {
    this.facts = facts;
    this.ackSubject = ackSubject;
    this.end = undefined;
    this.#signedAtMs = nowMs;
  }
}

/** So many attempts a forgotten delivery may have had. */
const FORGOTTEN_ATTEMPTS = 10;

/**
 * Attempts of a delivery that the broker has forgotten are not made again: those of its repeat have numbers from the
 * second half, which differ from one second to the next, since a broker may be killed twice.
 */
function repeatOffset(wallNowMs: number): number {
  const half = ATTEMPTS_PER_MANAGER / 2;
  return half + ((Math.floor(wallNowMs / 1_000) * FORGOTTEN_ATTEMPTS) % half);
}

export class Held {
  readonly #bySequence = new Map<number, Delivery>();
  readonly #signEveryMs: number;
  readonly #leaseMs: number;
  #bytes = 0;
  #ending = 0;
  #limited = 0;
  #limitedBytes = 0;

  /** @param ackWaitMs of the consumers, in milliseconds */
  constructor(ackWaitMs: number) {
    this.#signEveryMs = ackWaitMs / SIGNS_PER_WAIT;
    this.#leaseMs = ackWaitMs - Math.min(MAX_MARGIN_MS, ackWaitMs * MARGIN);
  }

  get size(): number {
    return this.#bySequence.size;
  }

  /** Those among them that have ended and are being stored. */
  get ending(): number {
    return this.#ending;
  }

  /** Those among them that wait for leave by a limit. */
  get limited(): number {
    return this.#limited;
  }

  /** Payload bytes of those that do not wait for leave by a limit. */
  get bytes(): number {
    return this.#bytes - this.#limitedBytes;
  }

  /** Whether more jobs can wait here for leave by a limit. */
  get hasRoomForLimited(): boolean {
    return this.#limited < MAX_LIMITED && this.#limitedBytes < MAX_LIMITED_BYTES;
  }

  all(): Iterable<Delivery> {
    return this.#bySequence.values();
  }

  of(sequence: number): Delivery | undefined {
    return this.#bySequence.get(sequence);
  }

  add(delivery: Delivery): void {
    this.#bySequence.set(delivery.sequence, delivery);
    this.#bytes += delivery.payload.length;
  }

  /** It has ended; its outcome is being stored. */
  beginEnd(delivery: Delivery): void {
    if (delivery.isEnding || this.#bySequence.get(delivery.sequence) !== delivery) return;
    delivery.isEnding = true;
    this.#ending += 1;
  }

  /** It waits for leave by a limit, or does no more. */
  setLimited(delivery: Delivery, isLimited: boolean): void {
    if (delivery.isLimited === isLimited || this.#bySequence.get(delivery.sequence) !== delivery) return;
    delivery.isLimited = isLimited;
    delivery.isWaiting = isLimited;
    const sign = isLimited ? 1 : -1;
    this.#limited += sign;
    this.#limitedBytes += sign * delivery.payload.length;
  }

  /** False when it was not held any more. */
  remove(delivery: Delivery): boolean {
    if (this.#bySequence.get(delivery.sequence) !== delivery) return false;
    this.setLimited(delivery, false);
    this.#bytes -= delivery.payload.length;
    if (delivery.isEnding) this.#ending -= 1;
    return this.#bySequence.delete(delivery.sequence);
  }

  /** Whether nobody else can have got it. */
  hasLease(delivery: Delivery, nowMs: number): boolean {
    return nowMs - delivery.signedAtMs < this.#leaseMs;
  }

  /** Those that the broker must hear of now. */
  toSign(nowMs: number): Delivery[] {
    return [...this.#bySequence.values()].filter(({ signedAtMs }) => nowMs - signedAtMs >= this.#signEveryMs);
  }
}

/** Jobs that are remembered until they are due again. */
const MAX_GIVEN_BACK = 10_000;

interface Note {
  readonly sequence: number;
  readonly dueAtMs: number;
  readonly attempt: number;
}

/** The jobs that one manager has given back after a failure, and that wait; the oldest are forgotten. */
export class GivenBack {
  readonly #notes = new Map<string, Note>();

  /** @param dueAtMs when it is delivered again, monotonic milliseconds */
  add({ id, sequence, deliveries }: Delivery, dueAtMs: number): void {
    this.#notes.delete(id);
    this.#notes.set(id, { sequence, dueAtMs, attempt: deliveries });
    for (const oldest of this.#notes.keys()) {
      if (this.#notes.size <= MAX_GIVEN_BACK) return;
      this.#notes.delete(oldest);
    }
  }

  /** The attempt after which a job waits; undefined when it is due, or nothing is known of it. */
  waiting(id: string, nowMs: number): number | undefined {
    const note = this.#notes.get(id);
    return note === undefined || note.dueAtMs < nowMs ? undefined : note.attempt;
  }

  countWaiting(nowMs: number): number {
    let count = 0;
    for (const { dueAtMs } of this.#notes.values()) if (dueAtMs >= nowMs) count += 1;
    return count;
  }

  /** A job is delivered: whether its last delivery was given back here. */
  take({ id, sequence, deliveries }: Delivery): boolean {
    const note = this.#notes.get(id);
    this.#notes.delete(id);
    return note?.sequence === sequence && note.attempt === deliveries - 1;
  }
}
