/**
 * The core lane: a job message that came by NATS becomes an order.
 *
 * Decided here: how messages and bundles are read. Not decided here: whether a
 * job starts (jobs/intake.ts).
 */
import { createHash } from "node:crypto";
import type { Msg } from "nats";
import { type PoolError, toPoolError } from "../../../mesh/errors.js";
import { DEFAULT_TIMEOUT_MS } from "../../../mesh/job/job.js";
import type { Runtime } from "../../../mesh/link/runtime.js";
import { type Ages, hasExpired } from "../../../mesh/wire/ages.js";
import { decodeJobHeaders, type JobHeaders } from "../../../mesh/wire/headers.js";
import { type BundleEntry, decodeBundle, isBundle } from "../../../mesh/wire/payloads.js";
import { headersOf, senderOf, splitReply } from "../../../mesh/wire/wire-headers.js";
import type { Intake } from "../jobs/intake.js";
import type { JobOrder } from "../jobs/running-job.js";
import type { KeptReplies } from "../replies.js";

/** What the lane works with. */
export interface CoreLaneParts {
  readonly intake: Intake;
  readonly replies: KeptReplies;
  readonly runtime: Runtime;
  /** How old messages are when they come. */
  readonly ages: Ages;
  /** Whether a reply subject is answered. */
  readonly mayAnswer: (reply: string) => boolean;
  /** Called before each job of a message: it may find that this process stalled. */
  readonly onMessage: (nowMs: number) => void;
}

/** The parts of a NATS message that are read. */
export type JobMessage = Pick<Msg, "reply" | "headers" | "data">;

/** So many connections of managers are remembered. */
const MAX_SENDERS = 64;

export class CoreLane {
  readonly #parts: CoreLaneParts;
  /** Jobs whose reply subject is no inbox, and bundles that were cut off. */
  droppedTotal = 0;
  /** Whose jobs have come, by what all reply subjects of one connection begin with; the oldest are forgotten. */
  readonly #senders = new Set<string>();
  #lastSender = "";
  /** Whether the age of the last message is known: it was not the first of its sender. */
  #isMeasured = true;

  constructor(parts: CoreLaneParts) {
    this.#parts = parts;
  }

  /** Whether a manager has sent jobs from this connection. */
  hasSender(root: string): boolean {
    return this.#senders.has(root);
  }

  /** Takes a message with a job or a bundle of them, whichever subject it came by. */
  receive(msg: JobMessage): void {
    if (isBundle(msg)) return this.#receiveBundle(msg);
    const { intake, replies } = this.#parts;
    const nowMs = this.#now();
    const reply = msg.reply || undefined;
    if (!this.#isAnswerable(reply)) return;
    let headers: JobHeaders;
    try {
      headers = decodeJobHeaders(headersOf(msg));
    } catch (thrown) {
      return replies.error({ id: "invalid", nonce: "", attempt: 1, reply }, toPoolError(thrown));
    }
    intake.decide(this.#toOrder(msg.data, headers, reply, nowMs), nowMs);
  }

  /** A bundle whose replies nobody could hear is dropped, as is the rest of one that is cut off. */
  #receiveBundle(msg: JobMessage): void {
    if (!msg.reply || !this.#isAnswerable(msg.reply)) return;
    const [inbox] = splitReply(msg.reply);
    let about: JobHeaders;
    try {
      about = decodeJobHeaders(headersOf(msg));
    } catch (thrown) {
      return this.#refuseBundle(msg, inbox, toPoolError(thrown));
    }
    const cameAtMs = this.#parts.runtime.now();
    const ageMs = this.#ageOf(about, msg.reply, cameAtMs);
    const whole = decodeBundle(msg.data, (entry) => {
      // The handlers of the entries before it may have taken their time.
      const nowMs = this.#now();
      this.#parts.intake.decide(this.#fromBundle(entry, inbox, about, ageMs + nowMs - cameAtMs, nowMs), nowMs);
    });
    if (!whole) this.droppedTotal += 1;
  }

  /** What is malformed holds for all its jobs. */
  #refuseBundle(msg: JobMessage, inbox: string, error: PoolError): void {
    decodeBundle(msg.data, ({ id, nonce, attempt, token }) =>
      this.#parts.replies.error({ id, nonce, attempt, reply: inbox + token }, error),
    );
  }

  #now(): number {
    const nowMs = this.#parts.runtime.now();
    this.#parts.onMessage(nowMs);
    return nowMs;
  }

  #isAnswerable(reply: string | undefined): boolean {
    if (reply === undefined || this.#parts.mayAnswer(reply)) return true;
    this.droppedTotal += 1;
    return false;
  }

  #ageOf({ clockMs }: Pick<JobHeaders, "clockMs">, reply: string | undefined, nowMs: number): number {
    this.#isMeasured = true;
    if (clockMs === undefined || reply === undefined) return 0;
    const sender = senderOf(reply);
    if (sender !== this.#lastSender) this.#remember(sender);
    const ageMs = this.#parts.ages.of(sender, clockMs, nowMs);
    this.#isMeasured = ageMs !== undefined;
    return ageMs ?? 0;
  }

  #remember(sender: string): void {
    this.#lastSender = sender;
    this.#senders.delete(sender);
    this.#senders.add(sender);
    for (const oldest of this.#senders) {
      if (this.#senders.size <= MAX_SENDERS) break;
      this.#senders.delete(oldest);
    }
  }

  #toOrder(bytes: Uint8Array, headers: JobHeaders, reply: string | undefined, nowMs: number): JobOrder {
    const ageMs = this.#ageOf(headers, reply, nowMs);
    return {
      id: headers.jobId ?? this.#parts.runtime.newId(),
      nonce: headers.nonce ?? "",
      attempt: headers.attempt ?? 1,
      named: headers.jobId !== undefined,
      offered: headers.offer === true,
      print: printOf(headers, bytes),
      inbox: undefined,
      token: undefined,
      durable: headers.durable === true,
      maxAttempts: headers.maxAttempts,
      idempotent: headers.idempotent === true,
      joins: headers.join === true,
      reply,
      bytes,
      ageMs,
      measured: this.#isMeasured,
      startWithinMs: headers.startWithinMs,
      deadlineAtMs: nowMs + this.#leftMs(headers, ageMs),
      traceparent: headers.traceparent,
      tracestate: headers.tracestate,
      answerer: this.#parts.replies,
    };
  }

  /** The time that a job has from now on. Wall clocks are compared only for a sender that gives nothing better. */
  #leftMs(headers: JobHeaders, ageMs: number): number {
    if (hasExpired(headers, this.#parts.runtime.wallNow())) return 0;
    return (headers.timeoutMs ?? DEFAULT_TIMEOUT_MS) - ageMs;
  }

  #fromBundle(entry: BundleEntry, inbox: string, about: JobHeaders, ageMs: number, nowMs: number): JobOrder {
    return {
      id: entry.id,
      nonce: entry.nonce,
      attempt: entry.attempt,
      named: true,
      offered: true,
      inbox,
      token: entry.token,
      durable: about.durable === true,
      maxAttempts: about.maxAttempts,
      // A later attempt of a job that may run once only comes alone.
      idempotent: true,
      joins: about.join === true,
      reply: inbox + entry.token,
      bytes: entry.payload,
      ageMs,
      measured: this.#isMeasured,
      startWithinMs: about.startWithinMs,
      deadlineAtMs: nowMs + entry.timeoutMs - ageMs,
      traceparent: entry.traceparent,
      tracestate: entry.tracestate,
      answerer: this.#parts.replies,
    };
  }
}

/** A plain sender may use an id again, and has no nonce that tells: the payload does. 0 for any other job. */
function printOf({ jobId, nonce, offer }: JobHeaders, bytes: Uint8Array): number {
  if (jobId === undefined || nonce !== undefined || offer === true) return 0;
  return createHash("sha256").update(bytes).digest().readUIntBE(0, 6);
}
