/**
 * The NATS door for several jobs in one message: a bundle on `pool.P.submissions`.
 *
 * Its jobs are taken by one word, before any of them goes to a worker, and their
 * results go back in bundles. Decided here: how a bundle is read and answered. Not
 * decided here: when its jobs cannot be taken at once (hearing.ts); then each is a
 * submission as if it had come alone.
 */
import type { Msg } from "nats";
import { type PoolError, toPoolError } from "../../../mesh/errors.js";
import type { Outcome } from "../../../mesh/job/job.js";
import { decodeJobHeaders, encodeJobHeaders, type JobHeaders } from "../../../mesh/wire/headers.js";
import {
  type BundleEntry,
  decodeBundle,
  encodeAnswersHeaders,
  encodeBundle,
  MAX_BUNDLED_BYTES,
  MAX_BUNDLED_WAIT_MS,
  resultEntry,
} from "../../../mesh/wire/payloads.js";
import { bundleSubject, headersOf, splitReply } from "../../../mesh/wire/wire-headers.js";
import type { JobListener } from "../jobs/job.js";
import type { Pool } from "../pool/pool.js";
import { ageOf, expired, type Heard, type NatsDoor, notHere, SubmissionReplies } from "./nats.js";

const EMPTY = new Uint8Array(0);

/** A bundle as it was read. */
export interface SubmissionBundle {
  readonly said: JobHeaders;
  /** Where its answers go, with the last dot. */
  readonly inbox: string;
  readonly entries: readonly BundleEntry[];
}

/** Reads a bundle. When its headers are malformed each of its jobs is refused, and it is undefined. */
export function readSubmissions(parts: NatsDoor, msg: Msg): SubmissionBundle | undefined {
  const [inbox] = splitReply(msg.reply ?? "");
  const entries: BundleEntry[] = [];
  decodeBundle(msg.data, (entry) => entries.push(entry));
  try {
    return { said: decodeJobHeaders(headersOf(msg)), inbox, entries };
  } catch (thrown) {
    const error = toPoolError(thrown);
    for (const { id, token } of entries) new BundledListener(parts, inbox, token).refuse(id, error);
    return undefined;
  }
}

/** Each job of a bundle as a submission of its own. @param subject where it would have come */
export function eachSubmission(
  { said, inbox, entries }: SubmissionBundle,
  subject: string,
  visit: (heard: Heard) => void,
): void {
  for (const entry of entries) {
    const headers = encodeJobHeaders(toHeaders(said, entry, entry.timeoutMs));
    visit({ msg: { subject, data: entry.payload }, headers, reply: inbox + entry.token });
  }
}

/** Takes all jobs of a bundle and answers them together. */
export function answerTogether(parts: NatsDoor, { said, inbox, entries }: SubmissionBundle, pool: Pool): void {
  const ageMs = ageOf(parts, said, inbox);
  // Its client has waited for a manager's word as long as it does, and has gone to another manager.
  if (said.startWithinMs !== undefined && ageMs > said.startWithinMs) {
    for (const { id, token } of entries) parts.dropped.add({ job: id, reply: inbox + token }, false);
    return;
  }
  const taken = parts.dropped.isEmpty ? entries : entries.filter((entry) => !refuseTold(parts, inbox, entry));
  sayTaken(parts, inbox, taken);
  for (const entry of taken) {
    const listener = new BundledListener(parts, inbox, entry.token);
    try {
      const leftMs = entry.timeoutMs - ageMs;
      if (leftMs < 1) throw expired();
      pool.submit(entry.payload.slice(), toHeaders(said, entry, leftMs), listener);
    } catch (thrown) {
      listener.refuse(entry.id, toPoolError(thrown));
    }
  }
}

/** Whether a submission is one of which this manager has said that it did not take it; then it says so again. */
function refuseTold(parts: NatsDoor, inbox: string, { id, token }: BundleEntry): boolean {
  if (!parts.dropped.isTold({ job: id, reply: inbox + token })) return false;
  new BundledListener(parts, inbox, token).refuse(id, notHere(false));
  return true;
}

/** What a submission of its own would say. Written out: to spread two objects costs more than all else here. */
function toHeaders(said: JobHeaders, entry: BundleEntry, timeoutMs: number): JobHeaders {
  const { clockMs, startWithinMs, offer, answersClock, idempotent, priority, wait, waitForPool, client } = said;
  const { id: jobId, traceparent, tracestate } = entry;
  return {
    jobId,
    timeoutMs,
    clockMs,
    startWithinMs,
    offer,
    answersClock,
    idempotent,
    priority,
    wait,
    waitForPool,
    client,
    traceparent,
    tracestate,
  } as JobHeaders;
}

/** Before any job goes out: a client that hears nothing knows that nothing went. */
function sayTaken({ bus, manager }: NatsDoor, inbox: string, entries: readonly BundleEntry[]): void {
  const headers = encodeAnswersHeaders(entries.length, "accepted", manager);
  bus.publish(bundleSubject(inbox), encodeBundle(entries.map((entry) => resultEntry({ ...entry, payload: EMPTY }))), {
    headers,
  });
}

/** Where the sender of one job of a bundle hears of it. A parked job keeps it, so it is small. */
class BundledListener implements JobListener {
  readonly #parts: NatsDoor;
  readonly #inbox: string;
  readonly #token: string;

  constructor(parts: NatsDoor, inbox: string, token: string) {
    this.#parts = parts;
    this.#inbox = inbox;
    this.#token = token;
  }

  get reply(): string {
    return this.#inbox + this.#token;
  }

  onEnd(outcome: Outcome): void {
    if (!outcome.ok || !fits(outcome.result)) return this.#alone(outcome.id).end(outcome);
    const { id, payload, worker, attempt, waitMs } = outcome.result;
    const result = resultEntry({ token: this.#token, id, attempt, payload }, waitMs);
    this.#parts.answers.sendSoon(this.#inbox, worker, result);
  }

  onTakenAgain(): void {
    this.#alone("").send("accepted");
  }

  onProgress(progress: Uint8Array): void {
    this.#alone("").send("progress", progress);
  }

  refuse(id: string, error: PoolError): void {
    this.#alone(id).fail(error);
  }

  #alone(id: string): SubmissionReplies {
    const replies = new SubmissionReplies(this.#parts, this.#inbox + this.#token);
    replies.jobId = id;
    return replies;
  }
}

function fits({ payload, waitMs }: { readonly payload: Uint8Array; readonly waitMs: number }): boolean {
  return payload.length <= MAX_BUNDLED_BYTES && waitMs <= MAX_BUNDLED_WAIT_MS;
}
