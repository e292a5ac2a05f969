/**
 * Outcomes and dead letters as they are stored: headers and a payload. Pure.
 *
 * An outcome has the headers of a reply, and the result as its payload. A dead
 * letter has the job's own headers and payload, and why it was given up.
 */
import type { MsgHdrs } from "nats";
import type { PoolError } from "../errors.js";
import { JobResult, type NextJob, type Outcome } from "../job/job.js";
import { errorText, readErrorHeaders, writeErrorHeaders } from "../wire/error-headers.js";
import { decodeReplyHeaders, encodeReplyHeaders, HEADER } from "../wire/headers.js";
import { eachHeader, type HeaderReader, isWritable, wireHeaders } from "../wire/wire-headers.js";
import { decodeNext, encodeNext } from "./after/then.js";

/** What is stored beside how the job ended. */
export interface OutcomeFacts {
  /** The job's sequence in its stream: tells one job of an id from the next. */
  readonly sequence: number;
  /** The manager that stored it. */
  readonly manager: string;
  /** The delivery that ended it; 1 for the first. */
  readonly attempt: number;
  /** Milliseconds since the epoch. */
  readonly enqueuedAt: number;
  readonly endedAt: number;
  /** Whose job it is; "" when it does not say. */
  readonly client: string;
  /** The job that follows it; only beside a result. */
  readonly next?: NextJob;
}

/** A message to publish. */
export interface Encoded {
  readonly headers: MsgHdrs;
  readonly payload: Uint8Array;
}

/** An outcome as a message. */
export function encodeOutcome(outcome: Outcome, facts: OutcomeFacts): Encoded {
  const worker = outcome.ok ? outcome.result.worker : outcome.worker;
  const headers = encodeReplyHeaders({
    kind: outcome.ok ? "result" : "error",
    jobId: outcome.id,
    attempt: facts.attempt,
    ...(worker === "" ? {} : { worker }),
    waitMs: outcome.ok ? waitedMs(outcome.result, facts.enqueuedAt, facts.endedAt) : undefined,
  });
  headers.append(HEADER.manager, facts.manager);
  headers.append(HEADER.sequence, String(facts.sequence));
  headers.append(HEADER.times, `${Math.floor(facts.enqueuedAt)}-${Math.floor(facts.endedAt)}`);
  if (facts.client !== "") headers.append(HEADER.client, facts.client);
  if (outcome.ok && facts.next !== undefined) headers.append(HEADER.next, encodeNext(facts.next));
  if (outcome.ok) return { headers, payload: outcome.result.payload };
  writeErrorHeaders(headers, outcome.error);
  return { headers, payload: errorText(outcome.error) };
}

/** From enqueue to the sending of the attempt that ended the job, milliseconds. Enqueued and ended: since the epoch. */
export function waitedMs({ totalMs, waitMs }: JobResult, enqueuedAt: number, endedAt: number): number {
  return Math.max(0, endedAt - enqueuedAt - (totalMs - waitMs));
}

/** A stored outcome; undefined for a message that is none. */
export function decodeOutcome(
  id: string,
  headers: HeaderReader | undefined,
  payload: Uint8Array,
): { readonly outcome: Outcome; readonly facts: OutcomeFacts } | undefined {
  if (headers === undefined) return undefined;
  const reply = decodeReplyHeaders(headers);
  if (reply.bare || (reply.kind !== "result" && reply.kind !== "error")) return undefined;
  const facts = factsOf(headers, reply.attempt ?? 1);
  const { worker = "" } = reply;
  const totalMs = Math.max(0, facts.endedAt - facts.enqueuedAt);
  if (reply.kind === "result") {
    const waitMs = Math.min(reply.waitMs ?? totalMs, totalMs);
    const result = new JobResult(id, payload, worker, facts.attempt, waitMs, totalMs, facts.next);
    return { outcome: { ok: true, id, result }, facts };
  }
  const error = readErrorHeaders(headers);
  return { outcome: { ok: false, id, error, worker, attempt: facts.attempt }, facts };
}

/** The job's sequence that a stored outcome, dead letter or claim names; 0 when it names none. */
export function sequenceOf(headers: HeaderReader | undefined): number {
  return wholeNumber(headers?.get(HEADER.sequence) ?? "");
}

function factsOf(headers: HeaderReader, attempt: number): OutcomeFacts {
  const next = decodeNext(headers.get(HEADER.next));
  const [, enqueuedAt = "", endedAt = ""] = /^(\d{1,15})-(\d{1,15})$/.exec(headers.get(HEADER.times)) ?? [];
  return {
    sequence: sequenceOf(headers),
    manager: headers.get(HEADER.manager),
    attempt,
    enqueuedAt: wholeNumber(enqueuedAt),
    endedAt: wholeNumber(endedAt),
    client: headers.get(HEADER.client),
    ...(next === undefined ? {} : { next }),
  };
}

/** Headers of a dead letter that are not the job's own. */
const OF_DEATH: ReadonlySet<string> = new Set([
  HEADER.error,
  HEADER.serviceError,
  HEADER.serviceErrorCode,
  HEADER.errorCode,
  HEADER.field,
  HEADER.retryAfterMs,
  HEADER.maybeExecuted,
  HEADER.attempt,
  HEADER.sequence,
  HEADER.diedAt,
  HEADER.manager,
  HEADER.priority,
]);
/** Headers that are of one publish only. */
const OF_PUBLISH = /^nats-/i;

/** A job's headers without those that belong to one publish or one death, and without what cannot be written again. */
export function jobHeadersOf(headers: HeaderReader | undefined): MsgHdrs {
  const kept = wireHeaders();
  if (headers === undefined) return kept;
  eachHeader(headers, (name, value) => {
    if (!OF_DEATH.has(name) && !OF_PUBLISH.test(name) && isWritable(value)) kept.append(name, value);
  });
  return kept;
}

/** Why a job was given up, and where it stood. */
export interface DeathFacts {
  readonly sequence: number;
  readonly attempt: number;
  readonly manager: string;
  /** The level that it was enqueued at. */
  readonly priority: string;
  /** Milliseconds since the epoch. */
  readonly diedAt: number;
}

/** The headers of a dead letter. @param job the job's own */
export function encodeDeath(job: HeaderReader | undefined, error: PoolError, facts: DeathFacts): MsgHdrs {
  const headers = jobHeadersOf(job);
  headers.append(HEADER.attempt, String(facts.attempt));
  headers.append(HEADER.sequence, String(facts.sequence));
  headers.append(HEADER.manager, facts.manager);
  headers.append(HEADER.priority, facts.priority);
  headers.append(HEADER.diedAt, String(Math.floor(facts.diedAt)));
  writeErrorHeaders(headers, error);
  return headers;
}

/** Reads the headers of a dead letter. */
export function decodeDeath(headers: HeaderReader): DeathFacts & { readonly error: PoolError } {
  return {
    error: readErrorHeaders(headers),
    sequence: sequenceOf(headers),
    attempt: wholeNumber(headers.get(HEADER.attempt)),
    manager: headers.get(HEADER.manager),
    priority: headers.get(HEADER.priority),
    diedAt: wholeNumber(headers.get(HEADER.diedAt)),
  };
}

function wholeNumber(text: string): number {
  return /^\d{1,16}$/.test(text) ? Number(text) : 0;
}
