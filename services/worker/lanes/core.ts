/**
 * The core lane: a job message that came by NATS becomes an order.
 *
 * Decided here: how messages and bundles are read. Not decided here: whether a
 * job starts (jobs/intake.ts).
 */
import type { Msg } from "nats";
import { toPoolError } from "../../../mesh/errors.js";
import { DEFAULT_TIMEOUT_MS } from "../../../mesh/job/job.js";
import type { Runtime } from "../../../mesh/link/runtime.js";
import { type BundleEntry, decodeBundle } from "../../../mesh/wire/bundle.js";
import { decodeJobHeaders, decodeSentAt, isBundle, type JobHeaders } from "../../../mesh/wire/headers.js";
import { splitReply } from "../../../mesh/wire/reply.js";
import { isAnswerable } from "../../../mesh/wire/subjects.js";
import { headersOf } from "../../../mesh/wire/wire-headers.js";
import type { Answers } from "../answers.js";
import { CLOCK_TOLERANCE_MS, type Intake } from "../jobs/intake.js";
import type { JobOrder } from "../jobs/order.js";

/** What the lane works with. */
export interface CoreLaneParts {
  readonly intake: Intake;
  readonly answers: Answers;
  readonly runtime: Runtime;
  readonly inboxPrefix: string;
  /** Called before each job of a message: it may find that this process stalled. */
  readonly onMessage: (nowMs: number) => void;
}

/** The parts of a NATS message that are read. */
export type JobMessage = Pick<Msg, "reply" | "headers" | "data">;

export class CoreLane {
  readonly #parts: CoreLaneParts;
  /** Jobs whose reply subject is no inbox, and bundles that were cut off. */
  droppedTotal = 0;

  constructor(parts: CoreLaneParts) {
    this.#parts = parts;
  }

  /** Takes a message with a job or a bundle of them, whichever subject it came by. */
  receive(msg: JobMessage): void {
    if (isBundle(msg)) return this.#receiveBundle(msg);
    const { intake, answers } = this.#parts;
    const nowMs = this.#now();
    const reply = msg.reply || undefined;
    if (!this.#isAnswerable(reply)) return;
    let headers: JobHeaders;
    try {
      headers = decodeJobHeaders(headersOf(msg));
    } catch (thrown) {
      return answers.error({ id: "invalid", attempt: 1, reply }, toPoolError(thrown));
    }
    intake.decide(this.#toOrder(msg.data, headers, reply, nowMs), this.#isExpired(headers.expiresAt), nowMs);
  }

  /** A bundle whose answers nobody could hear is dropped, as is the rest of one that is cut off. */
  #receiveBundle(msg: JobMessage): void {
    if (!msg.reply || !this.#isAnswerable(msg.reply)) return;
    const [inbox] = splitReply(msg.reply);
    const sentAtMs = decodeSentAt(headersOf(msg)) ?? this.#parts.runtime.wallNow();
    const whole = decodeBundle(msg.data, (entry) => {
      const nowMs = this.#now();
      const isExpired = this.#isExpired(sentAtMs + entry.timeoutMs);
      this.#parts.intake.decide(this.#fromBundle(entry, inbox, nowMs), isExpired, nowMs);
    });
    if (!whole) this.droppedTotal += 1;
  }

  #now(): number {
    const nowMs = this.#parts.runtime.now();
    this.#parts.onMessage(nowMs);
    return nowMs;
  }

  #isExpired(expiresAt: number | undefined): boolean {
    return expiresAt !== undefined && this.#parts.runtime.wallNow() > expiresAt + CLOCK_TOLERANCE_MS;
  }

  #isAnswerable(reply: string | undefined): boolean {
    if (reply === undefined || isAnswerable(reply, this.#parts.inboxPrefix)) return true;
    this.droppedTotal += 1;
    return false;
  }

  #toOrder(bytes: Uint8Array, headers: JobHeaders, reply: string | undefined, nowMs: number): JobOrder {
    return {
      id: headers.jobId ?? this.#parts.runtime.newId(),
      attempt: headers.attempt ?? 1,
      named: headers.jobId !== undefined,
      offered: headers.offer === true,
      bundled: false,
      reply,
      bytes,
      deadlineAtMs: nowMs + (headers.timeoutMs ?? DEFAULT_TIMEOUT_MS),
      traceparent: headers.traceparent,
      tracestate: headers.tracestate,
      answerer: this.#parts.answers,
    };
  }

  #fromBundle(entry: BundleEntry, inbox: string, nowMs: number): JobOrder {
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
      answerer: this.#parts.answers,
    };
  }
}
