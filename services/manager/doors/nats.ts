/**
 * The NATS door: a message on `pool.P.submit` becomes a job, its outcome the
 * reply. A sender that says `Pool-Offer: 1` hears `accepted` and `progress` too;
 * a plain request hears exactly one reply.
 */
import type { Msg, MsgHdrs } from "nats";
import { PoolError, toPoolError } from "../../../mesh/errors.js";
import type { Outcome } from "../../../mesh/job/job.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { type Ages, clockOf, encodeClockQuestion, hasExpired, isOfClock, wayOf } from "../../../mesh/wire/ages.js";
import { errorText, writeErrorHeaders } from "../../../mesh/wire/error-headers.js";
import {
  decodeJobHeaders,
  encodeReplyHeaders,
  HEADER,
  type JobHeaders,
  type ReplyKind,
} from "../../../mesh/wire/headers.js";
import { ownBytes } from "../../../mesh/wire/payloads.js";
import { isName } from "../../../mesh/wire/subjects.js";
import { type HeaderReader, senderOf } from "../../../mesh/wire/wire-headers.js";
import type { JobListener } from "../jobs/job.js";
import type { OutcomeReplies } from "../outcome-replies.js";
import type { Pool } from "../pool/pool.js";
import type { DroppedNames, DroppedSubmissions } from "./dropped-submissions.js";
import { type FirstSubmission, HOLD_LIMIT_MS, type Newcomers } from "./newcomers.js";
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
  /** What was not taken, by where its sender waits. */
  readonly dropped: DroppedSubmissions;
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
 * run again: that is for its client to decide, who is told when it was never taken.
 */
export function answerAgain(parts: NatsDoor, heard: Heard, pool: Pool | undefined): void {
  const { headers, reply } = heard;
  if (hasToldClock(parts, heard) || isOfClock(headers)) return;
  if (reply !== "" && !parts.bus.mayAnswer(reply)) return;
  const answer = new SubmissionReplies(parts, reply ?? "");
  try {
    // It takes nothing: neither its age nor the time that it leaves matters, and it is no measure.
    const said = decodeJobHeaders(headers);
    answer.jobId = said.jobId ?? "";
    if (!pool?.listen(answer.jobId, said.nonce, listenerOf(answer, said, reply)))
      throw notHere(!parts.dropped.tell({ job: said.jobId, reply }));
  } catch (thrown) {
    answer.fail(toPoolError(thrown));
  }
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
  const { newcomers, ages, cameAtMs, pool } = parts;
  const clockMs = clockOf(headers);
  const job = headers?.get(HEADER.jobId) ?? "";
  if (!reply || clockMs === undefined) return false;
  const wayMs = wayOf(headers, cameAtMs);
  // An answer that is so late belongs to a question of before, and measures nothing.
  const isAnswer = wayMs !== undefined && wayMs <= HOLD_LIMIT_MS && newcomers?.has(reply) === true;
  // Clients of before do not mark their answers, which name a job that is held. So does a question after an outage.
  const isQuestion = !isOfClock(headers) && newcomers?.has(reply, { pool, job }) === true;
  if (!isAnswer && !isQuestion) return false;
  ages.of(senderOf(reply), clockMs, cameAtMs);
  newcomers?.measured(reply, wayMs ?? 0);
  return true;
}

/**
 * Lets `take` have the listener through which the sender hears; what it throws is the answer.
 *
 * @param wayMs of a submission that was held: what the way to its sender and back takes, as far as that was measured
 */
function respond(
  parts: NatsDoor,
  heard: Heard,
  take: (said: JobHeaders, listener: JobListener) => string,
  wayMs?: number,
): void {
  const { headers, reply } = heard;
  if (reply !== "" && !parts.bus.mayAnswer(reply)) return;
  const answer = new SubmissionReplies(parts, reply ?? "");
  try {
    const said = decodeJobHeaders(headers);
    const { ages, newcomers } = parts;
    const isMeasured = said.clockMs === undefined || !reply || newcomers === undefined;
    if (!isMeasured && (newcomers.has(reply) || !ages.knows(senderOf(reply)))) {
      const settle = (ms: number): void => respond({ ...parts, newcomers: undefined }, heard, take, ms);
      return newcomers.hold(firstSubmission(parts, heard, said, settle));
    }
    const names: DroppedNames = { job: said.jobId, reply };
    if (parts.dropped.isTold(names)) return refuse(parts, heard, notHere(false));
    const ageMs = ageOf(parts, said, reply);
    // Its client has waited for a manager's word as long as it does, and goes to another manager.
    if (said.startWithinMs !== undefined && ageMs + (wayMs ?? 0) > said.startWithinMs)
      return drop(parts, heard, names, wayMs === undefined ? undefined : notHere(false));
    answer.jobId = said.jobId ?? "";
    answer.jobId = take(withTimeLeft(said, ageMs, parts.bus.runtime.wallNow()), listenerOf(answer, said, reply));
    parts.dropped.delete(names);
  } catch (thrown) {
    answer.fail(toPoolError(thrown));
  }
}

/** Through which the sender of a submission, or of a question for a job, hears of it. */
function listenerOf(answer: SubmissionReplies, said: JobHeaders, reply: string | undefined): JobListener {
  const sayTaken = (): void => answer.send("accepted");
  return {
    nonce: said.nonce,
    reply,
    onEnd: (outcome: Outcome) => answer.end(outcome),
    ...(said.offer
      ? {
          // Before the job goes out: a client that hears nothing knows that nothing went.
          onTaken: sayTaken,
          onTakenAgain: sayTaken,
          onAccepted: (worker: string) => answer.send("accepted", undefined, worker),
          onProgress: (progress: Uint8Array) => answer.send("progress", progress),
        }
      : {}),
  };
}

/**
 * A submission is not taken.
 *
 * @param word what its sender hears; undefined where another copy of it may have been taken: who asks for it is told
 */
function drop(parts: NatsDoor, heard: Heard, names: DroppedNames, word: PoolError | undefined): void {
  parts.dropped.add(names, word?.reason === "not_found");
  if (word !== undefined) refuse(parts, heard, word);
}

/** To who waits for a job: a client of ours submits one again that was never taken. */
export function notHere(maybeExecuted: boolean): PoolError {
  const message = maybeExecuted ? "the manager does not know the job any more" : "the manager did not take the job";
  return new PoolError("not_found", message, { field: "job", maybeExecuted });
}

function withoutClock(): PoolError {
  const message = "the manager did not take the job, since its sender did not say its clock";
  return new PoolError("bus_unavailable", message, { retryAfterMs: 1_000 });
}

/** A submission as {@link Newcomers} holds it. It is no measure yet: it may have lain on the way. */
function firstSubmission(
  parts: NatsDoor,
  heard: Heard,
  { jobId: job = "", nonce = "", attempt = 1, clockMs = 0, startWithinMs, answersClock }: JobHeaders,
  take: (wayMs: number) => void,
): FirstSubmission {
  const { bus, ages, manager, pool, cameAtMs } = parts;
  const { msg, reply = "" } = heard;
  const ask = (): void =>
    void bus.publish(reply, undefined, { headers: encodeClockQuestion(manager, bus.runtime.now()) });
  // A client that waits so long for a word submits its job again.
  const submitsAgain = startWithinMs !== undefined && startWithinMs <= HOLD_LIMIT_MS;
  return {
    ...{ pool, job, nonce, attempt, reply, cameAtMs, bytes: msg.data.length },
    measure: () => void ages.of(senderOf(reply), clockMs, cameAtMs),
    take,
    refuse: (error) => refuse(parts, heard, error),
    giveUp: () => drop(parts, heard, { job, reply }, submitsAgain ? notHere(false) : withoutClock()),
    askClock: answersClock ? ask : undefined,
  };
}

/** Answers a submission with the error that ends it. Whether it was long on its way does not matter, and it measures nothing. */
export function refuse(parts: NatsDoor, { headers, reply }: Heard, error: PoolError): void {
  if (reply !== "" && !parts.bus.mayAnswer(reply)) return;
  const answer = new SubmissionReplies(parts, reply ?? "");
  const id = headers?.get(HEADER.jobId) ?? "";
  if (isName(id)) answer.jobId = id;
  answer.fail(error);
}

/** The time on the way, when the sender says its clock, and the time that it was held here. */
export function ageOf({ ages, bus, cameAtMs }: NatsDoor, { clockMs }: JobHeaders, reply: string | undefined): number {
  const nowMs = bus.runtime.now();
  const heldMs = Math.floor(nowMs - cameAtMs);
  if (clockMs === undefined || !reply || !ages.knows(senderOf(reply))) return heldMs;
  return Math.max(heldMs, ages.of(senderOf(reply), clockMs, nowMs) ?? 0);
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
