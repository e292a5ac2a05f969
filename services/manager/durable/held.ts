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
import { firstOfDelivery } from "../../../mesh/job/job.js";
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
  /** It waits until another manager, which holds it too, has ended it. */
  awaitsOther = false;
  /** Its last delivery ended at this manager: no worker has it. */
  wasEndedHere = false;
  /** It is said to come for the first time, and may have come before, or elsewhere since. */
  mayBeRepeat = false;
  /** The claim that was stored for it; 0 for none. */
  claim = 0;
  /** Its stream has lost it: another job may have its sequence. */
  isLost = false;
  /** What was stored of its end, and is told to who enqueued it. */
  end: Encoded | undefined;
  /** The last attempt at a worker, as it is counted; 0 before any. */
  #attempt = 0;
  /** A later delivery of the same message takes the place of an earlier one. */
  facts: DeliveryFacts;
  ackSubject: string;
  /** When the broker heard of it last, monotonic milliseconds. */
  #signedAtMs: number;
  /** Names the message, whichever manager has it: workers know a job that they have had before by it. */
  readonly nonce: string;

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
    this.nonce = nonceOf(facts);
  }

  get sequence(): number {
    return this.facts.sequence;
  }

  get deliveries(): number {
    return this.facts.deliveries;
  }

  /** Which attempt of the job it is, as it is shown: a lost worker in one delivery makes it more than the deliveries. */
  get attempt(): number {
    return Math.max(this.deliveries, this.#attempt);
  }

  /** It has ended at the pool. @param attempt the count of its last attempt; 0 when there was none */
  endedAt(attempt: number): void {
    this.#attempt = Math.max(this.#attempt, attempt);
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
   * @param shiftMs by so much its number is from another time than now, milliseconds
   * @param joinAt the worker that has it already
   * @throws PoolError when its headers are wrong
   */
  toHeaders(wallNowMs: number, shiftMs: number, joinAt?: string): StoredHeaders {
    const { id, job, deliveries, level, nonce } = this;
    if (job instanceof PoolError) throw job;
    return {
      jobId: id,
      nonce,
      attempt: firstOfDelivery(deliveries, this.mayBeRepeat, wallNowMs + shiftMs),
      timeoutMs: Math.max(1, Math.min(MAX_TIMEOUT_MS, (job.expiresAt ?? Number.POSITIVE_INFINITY) - wallNowMs)),
      runTimeoutMs: job.timeoutMs,
      maxAttempts: job.maxAttempts,
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
    this.isLost = false;
    this.end = undefined;
    this.#signedAtMs = nowMs;
  }
}

/** A stream that has lost its end, or was made anew, gives a sequence again: it alone does not name a message. */
function nonceOf({ sequence, storedAt }: DeliveryFacts): string {
  return `durable-${sequence}-${storedAt}`;
}

export class Held {
  readonly #byNonce = new Map<string, Delivery>();
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
    return this.#byNonce.size;
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
    return this.#byNonce.values();
  }

  /** The delivery of the same message. */
  of(facts: DeliveryFacts): Delivery | undefined {
    return this.#byNonce.get(nonceOf(facts));
  }

  has(delivery: Delivery): boolean {
    return this.#byNonce.get(delivery.nonce) === delivery;
  }

  add(delivery: Delivery): void {
    this.#byNonce.set(delivery.nonce, delivery);
    this.#bytes += delivery.payload.length;
  }

  /** It has ended; its outcome is being stored. */
  beginEnd(delivery: Delivery): void {
    if (delivery.isEnding || !this.has(delivery)) return;
    delivery.isEnding = true;
    this.#ending += 1;
  }

  /** It waits for leave by a limit, or does no more. */
  setLimited(delivery: Delivery, isLimited: boolean): void {
    if (delivery.isLimited === isLimited || !this.has(delivery)) return;
    delivery.isLimited = isLimited;
    delivery.isWaiting = isLimited;
    const sign = isLimited ? 1 : -1;
    this.#limited += sign;
    this.#limitedBytes += sign * delivery.payload.length;
  }

  /** False when it was not held any more. */
  remove(delivery: Delivery): boolean {
    if (!this.has(delivery)) return false;
    this.setLimited(delivery, false);
    this.#bytes -= delivery.payload.length;
    if (delivery.isEnding) this.#ending -= 1;
    return this.#byNonce.delete(delivery.nonce);
  }

  /** Whether nobody else can have got it. */
  hasLease(delivery: Delivery, nowMs: number): boolean {
    return nowMs - delivery.signedAtMs < this.#leaseMs;
  }

  /** Those that the broker must hear of now. */
  toSign(nowMs: number): Delivery[] {
    return [...this.#byNonce.values()].filter(({ signedAtMs }) => nowMs - signedAtMs >= this.#signEveryMs);
  }
}

/** Jobs that are remembered by their ids until they are due again. */
const MAX_GIVEN_BACK = 10_000;

interface Note {
  readonly sequence: number;
  readonly dueAtMs: number;
  readonly deliveries: number;
  readonly attempt: number;
}

/** The jobs that one manager has given back after a failure, and that wait. All are counted; the ids of the oldest are forgotten. */
export class GivenBack {
  readonly #notes = new Map<string, Note>();
  /** How many are due within each second: at most as many entries as a wait may have seconds. */
  readonly #dueInSecond = new Map<number, number>();

  /** @param dueAtMs when it is delivered again, monotonic milliseconds */
  add({ id, sequence, deliveries, attempt }: Delivery, dueAtMs: number): void {
    const before = this.#notes.get(id);
    if (before !== undefined) this.#forget(id, before);
    this.#count(dueAtMs, 1);
    this.#notes.set(id, { sequence, dueAtMs, deliveries, attempt });
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

  /** How many are not due, to a second. */
  countWaiting(nowMs: number): number {
    let count = 0;
    for (const [second, due] of this.#dueInSecond) {
      if (second < secondOf(nowMs)) this.#dueInSecond.delete(second);
      else count += due;
    }
    return count;
  }

  /** A job is delivered: whether its last delivery was given back here. */
  take({ id, sequence, deliveries }: Delivery): boolean {
    const note = this.#notes.get(id);
    if (note !== undefined) this.#forget(id, note);
    return note?.sequence === sequence && note.deliveries === deliveries - 1;
  }

  #forget(id: string, { dueAtMs }: Note): void {
    this.#notes.delete(id);
    this.#count(dueAtMs, -1);
  }

  #count(dueAtMs: number, change: 1 | -1): void {
    const second = secondOf(dueAtMs);
    const due = (this.#dueInSecond.get(second) ?? 0) + change;
    if (due > 0) this.#dueInSecond.set(second, due);
    else this.#dueInSecond.delete(second);
  }
}

function secondOf(atMs: number): number {
  return Math.floor(atMs / 1_000);
}
