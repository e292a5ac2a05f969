/**
 * The NATS door: a message on `pool.P.submit` becomes a job, its outcome the
 * reply. A sender that says `Pool-Offer: 1` hears `accepted` and `progress` too;
 * a plain request hears exactly one reply.
 */
import type { Msg, MsgHdrs } from "nats";
import { PoolError, toPoolError } from "../../../mesh/errors.js";
import type { Outcome } from "../../../mesh/job/job.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { type Ages, encodeClockQuestion, hasExpired } from "../../../mesh/wire/ages.js";
import { errorText, writeErrorHeaders } from "../../../mesh/wire/error-headers.js";
import {
  decodeJobHeaders,
  encodeReplyHeaders,
  HEADER,
  type JobHeaders,
  type ReplyKind,
} from "../../../mesh/wire/headers.js";
import { ownBytes } from "../../../mesh/wire/payloads.js";
import { type HeaderReader, senderOf } from "../../../mesh/wire/wire-headers.js";
import type { JobListener } from "../jobs/job.js";
import type { OutcomeReplies } from "../outcome-replies.js";
import type { Pool } from "../pool/pool.js";
import type { Newcomers } from "./newcomers.js";
import { mayWait } from "./unknown-pool.js";

/** What answers go through. */
export interface NatsDoor {
  readonly bus: Bus;
  readonly answers: OutcomeReplies;
  /** This manager's id. */
  readonly manager: string;
  /** How old submissions are when they come. */
  readonly ages: Ages;
  /** The pool's name. */
  readonly pool: string;
  /** Holds the submissions of a sender that was not measured yet; undefined for what was held. */
  readonly newcomers?: Newcomers | undefined;
  /** When the message came, monotonic milliseconds. */
  readonly cameAtMs: number;
}

/** A submission as it came. */
export interface Heard {
  readonly msg: Pick<Msg, "subject" | "data">;
  readonly headers: HeaderReader | undefined;
  /** Where its sender waits for the answer; another manager may have passed the message on. */
  readonly reply: string | undefined;
  /** When it came, monotonic milliseconds, if it was held; default now. */
  readonly cameAtMs?: number;
}

/**
 * Answers for a job that this manager has or had; its client missed the answer.
 * It comes without the job's payload. What is not known here any more is not
 * run again: that is for its client to decide.
 */
export function answerAgain(parts: NatsDoor, heard: Heard, pool: Pool | undefined): void {
  if (hasToldClock(parts, heard)) return;
  respond(parts, heard, ({ jobId = "", nonce }, listener) => {
    if (pool?.listen(jobId, nonce, listener)) return jobId;
    throw new PoolError("not_found", "the manager does not know the job any more", {
      field: "job",
      maybeExecuted: true,
    });
  });
}

/**
 * Runs one submission and answers it. For a pool that there is not it waits only when it says so.
 *
 * @param findPool the pool of the message's subject; may throw a PoolError
 */
export function answerSubmission(parts: NatsDoor, heard: Heard, findPool: () => Pool): void {
  respond(parts, heard, (said, listener) => {
    const pool = findPool();
    return pool.submit(ownBytes(heard.msg.data), pool.isKnown ? said : asFarAsItMayWait(pool, said), listener);
  });
}

function asFarAsItMayWait(pool: Pool, said: JobHeaders): JobHeaders {
  const { wait = true, waitForPool = false } = said;
  return { ...said, wait: mayWait(pool.facts, { noWait: !wait, waitForPool }) };
}

/** Whether a question for a job is its sender's answer to {@link Newcomers}: the job is taken now, and its sender hears so. */
function hasToldClock(parts: NatsDoor, { headers, reply }: Heard): boolean {
  const { newcomers, ages, bus } = parts;
  const clockMs = Number(headers?.get(HEADER.clock) || Number.NaN);
  if (!reply || newcomers?.has(reply) !== true || !Number.isSafeInteger(clockMs)) return false;
  ages.of(senderOf(reply), clockMs, bus.runtime.now());
  return newcomers.measured(reply, headers?.get(HEADER.jobId) ?? "");
}

/** Lets `take` have the listener through which the sender hears; what it throws is the answer. */
function respond(parts: NatsDoor, heard: Heard, take: (said: JobHeaders, listener: JobListener) => string): void {
  const { headers, reply } = heard;
  if (reply !== "" && !parts.bus.mayAnswer(reply)) return;
  const answer = new SubmissionReplies(parts, reply ?? "");
  try {
    const said = decodeJobHeaders(headers);
    const { ages, newcomers } = parts;
    const isMeasured = said.clockMs === undefined || !reply || newcomers === undefined;
    const isFirst = !isMeasured && !ages.knows(senderOf(reply));
    const ageMs = ageOf(parts, said, reply);
    // Its client has waited for a manager's word as long as it does, and has gone to another manager.
    if (said.startWithinMs !== undefined && ageMs > said.startWithinMs) return;
    if (!isMeasured && (isFirst || newcomers.has(reply))) {
      const settled = { ...parts, newcomers: undefined };
      const { jobId: job = "", nonce = "", attempt = 1 } = said;
      const again = (refusal?: PoolError): void =>
        respond(settled, heard, refusal === undefined ? take : () => raise(refusal));
      const question = { headers: encodeClockQuestion(parts.manager) };
      const askClock = said.answersClock ? () => void parts.bus.publish(reply, undefined, question) : undefined;
      return newcomers.hold(reply, { pool: parts.pool, job, nonce, attempt, take: again, askClock });
    }
    const listener = {
      nonce: said.nonce,
      reply,
      onEnd: (outcome: Outcome) => answer.end(outcome),
      ...(said.offer
        ? {
            // Before the job goes out: a client that hears nothing knows that nothing went.
            onTaken: () => answer.send("accepted"),
            onAccepted: (worker: string) => answer.send("accepted", undefined, worker),
            onProgress: (progress: Uint8Array) => answer.send("progress", progress),
          }
        : {}),
    };
    answer.jobId = said.jobId ?? "";
    answer.jobId = take(withTimeLeft(said, ageMs, parts.bus.runtime.wallNow()), listener);
  } catch (thrown) {
    answer.fail(toPoolError(thrown));
  }
}

function raise(error: PoolError): never {
  throw error;
}

/** The time on the way, when the sender says its clock, and the time that it was held here. */
export function ageOf({ ages, bus, cameAtMs }: NatsDoor, { clockMs }: JobHeaders, reply: string | undefined): number {
  const nowMs = bus.runtime.now();
  const heldMs = Math.floor(nowMs - cameAtMs);
  return clockMs === undefined || !reply ? heldMs : Math.max(heldMs, ages.of(senderOf(reply), clockMs, nowMs) ?? 0);
}

/**
 * The time on the way counts: a submission says how long from its sending. Wall clocks are compared only for a sender
 * that gives nothing better.
 *
 * @throws PoolError `deadline_exceeded`
 */
function withTimeLeft(said: JobHeaders, ageMs: number, wallMs: number): JobHeaders {
  if (hasExpired(said, wallMs)) throw expired();
  if (said.timeoutMs === undefined || ageMs === 0) return said;
  const timeoutMs = said.timeoutMs - ageMs;
  if (timeoutMs >= 1) return { ...said, timeoutMs };
  throw expired();
}

export function expired(): PoolError {
  return new PoolError("deadline_exceeded", "the submission had expired before it came");
}

/** Where one sender hears of its submission. */
export class SubmissionReplies {
  jobId = "";
  readonly #parts: NatsDoor;
  readonly #reply: string;

  constructor(parts: NatsDoor, reply: string) {
    this.#parts = parts;
    this.#reply = reply;
  }

  /** Something on the way: it may be lost. */
  send(kind: "accepted" | "progress", payload?: Uint8Array, worker?: string): void {
    if (this.#reply !== "") this.#parts.bus.publish(this.#reply, payload, { headers: this.#headers(kind, worker) });
  }

  end(outcome: Outcome): void {
    this.jobId = outcome.id;
    if (!outcome.ok) return this.fail(outcome.error, outcome.worker, outcome.attempt, outcome.waitMs);
    const { payload, worker, attempt, waitMs } = outcome.result;
    this.#send(this.#headers("result", worker, attempt, waitMs), payload);
  }

  fail(error: PoolError, worker = "", attempt = 0, waitMs?: number): void {
    const headers = this.#headers("error", worker, attempt, waitMs);
    writeErrorHeaders(headers, error);
    this.#send(headers, errorText(error));
  }

  #headers(kind: ReplyKind, worker = "", attempt = 0, waitMs?: number): MsgHdrs {
    const headers = encodeReplyHeaders({
      kind,
      ...(this.jobId === "" ? {} : { jobId: this.jobId }),
      ...(worker === "" ? {} : { worker }),
      ...(attempt === 0 ? {} : { attempt }),
      waitMs,
    });
    headers.append(HEADER.manager, this.#parts.manager);
    return headers;
  }

  #send(headers: MsgHdrs, payload: Uint8Array): void {
    if (this.#reply !== "") this.#parts.answers.send(this.#reply, payload, headers);
  }
}
