/**
 * The headers of jobs and replies: what crosses NATS beside the payload.
 *
 * Names live here alone. All are optional on a job; a reply without `Pool-Reply` is a bare worker's result.
 */
import type { MsgHdrs } from "nats";
import { PoolError } from "../errors.js";
import { checkName } from "./subjects.js";
import { eachHeader, type HeaderReader, integerOf, wireHeaders } from "./wire-headers.js";

/** Header names, in their canonical form. */
export const HEADER = {
  jobId: "Pool-Job-Id",
  attempt: "Pool-Attempt",
  /** Names one submission of a job whose id its caller chose: an id that is used again is another job. */
  nonce: "Pool-Nonce",
  /** The sender's monotonic clock when the message left, milliseconds; only differences between messages of one sender mean anything. */
  clock: "Pool-Clock",
  /** A lease: the message may be acted on when it is no older than this, milliseconds. */
  startWithinMs: "Pool-Start-Within-Ms",
  timeoutMs: "Pool-Timeout-Ms",
  expiresAt: "Pool-Expires-At",
  offer: "Pool-Offer",
  /** On a submission: "clock" when its sender answers that question (ages.ts). */
  answers: "Pool-Answers",
  /** On that answer: the manager's clock in the question. */
  askedAt: "Pool-Asked-At",
  /** On a job that a manager sends to a worker: "durable" when it comes from the durable lane. */
  lane: "Pool-Lane",
  /** On such a job: "1" when it is not to be started, but joined where it runs or has run. */
  join: "Pool-Join",
  reply: "Pool-Reply",
  worker: "Pool-Worker",
  /** On a submission that one manager passes on to another: where its sender waits for the answer. */
  replyTo: "Pool-Reply-To",
  known: "Pool-Known",
  /** With `Pool-Reply-To`: "1" when the sender understands that a manager which stops does not take it. */
  mayRefuse: "Pool-May-Refuse",
  /** On a cancel that is said again, to the same reply subject: so long ago it was said first, milliseconds. */
  saidAgoMs: "Pool-Said-Ago-Ms",
  /** Of a manager that asks who is there before it joins: "0"; that joins: "1". On the answer: "1" and the pool of those that it takes submissions of. */
  joins: "Pool-Joins",
  /** On a reply to a submission: the manager that answers. */
  manager: "Pool-Manager",
  /** On an outcome: from submit to the sending of the attempt that ended the job, milliseconds with up to three decimals. */
  waitMs: "Pool-Wait-Ms",
  free: "Pool-Free",
  /** On `busy`: the message was this old when it came, milliseconds, which was too old to act on. */
  ageMs: "Pool-Age-Ms",
  /** The first header of a message that is a bundle: how many jobs or results it holds. */
  bundle: "Pool-Bundle",
  /** On a bundle of jobs: when it was sent, milliseconds since the epoch. */
  sentAt: "Pool-Sent-At",
  error: "Pool-Error",
  serviceError: "Nats-Service-Error",
  serviceErrorCode: "Nats-Service-Error-Code",
  traceparent: "traceparent",
  tracestate: "tracestate",
  contentType: "Content-Type",
  /** On a submitted job: "1" when it may run a second time after its worker died. */
  idempotent: "Pool-Idempotent",
  /** On a submitted job: "high", "normal" or "low". */
  priority: "Pool-Priority",
  /** On a submitted job: "0" to be refused at once instead of parked. */
  wait: "Pool-Wait",
  /** On a submitted job: "1" to wait for a pool that no worker serves yet. */
  waitForPool: "Pool-Wait-For-Pool",
  /** On a submitted job: whose share of the parked queue it counts for. */
  client: "Pool-Client",
  /** On an error: when to try again, whether the job may have run, which field was refused, and the overload's figures. */
  retryAfterMs: "Pool-Retry-After-Ms",
  maybeExecuted: "Pool-Maybe-Executed",
  field: "Pool-Field",
  /** On an error of a handler: the handler's own code for it. */
  errorCode: "Pool-Error-Code",
  utilization: "Pool-Utilization",
  parked: "Pool-Parked",
  /** On a job of the durable lane: by which key it is limited, and failures after which it is given up. */
  concurrencyKey: "Pool-Concurrency-Key",
  maxAttempts: "Pool-Max-Attempts",
  /** The wait before the second attempt and the longest one, milliseconds: "1000-600000". */
  backoff: "Pool-Backoff",
  /** An inbox that hears the outcome once it is stored. */
  notify: "Pool-Notify",
  notifyTogether: "Pool-Notify-Together",
  /** When the job was enqueued, milliseconds since the epoch. */
  enqueuedAt: "Pool-Enqueued-At",
  /** "0": no outcome is kept. */
  keep: "Pool-Keep",
  /** "1": look for an outcome before the job runs. */
  check: "Pool-Check",
  /** Run again over the outcome with this sequence. */
  afterOutcome: "Pool-After-Outcome",
  /** The jobs that follow when it has a result, "POOL" or "POOL:ID", with commas; on an outcome the next one, "POOL:ID". */
  then: "Pool-Then",
  next: "Pool-Next",
  /** The batch that counts the job's outcome, and the job's place in it: "import-7:12". */
  batch: "Pool-Batch",
  /** To a manager that is to store a job: when it may run, milliseconds since the epoch or "2026-12-24T18:00:00Z". */
  runAt: "Pool-Run-At",
  /** The same as a time from now, milliseconds. */
  delayMs: "Pool-Delay-Ms",
  /** To a manager that keeps cron schedules: "set", "remove" or "list"; which; when, and in which time zone. */
  cron: "Pool-Cron",
  cronName: "Pool-Cron-Name",
  schedule: "Pool-Schedule",
  timeZone: "Pool-Time-Zone",
  /** "allow": a firing makes a job although the one before has not ended. */
  overlap: "Pool-Overlap",
  /** On an outcome, a dead letter or a claim: the job's sequence in its stream. */
  sequence: "Pool-Sequence",
  /** On an outcome: when the job was enqueued and when it ended, milliseconds since the epoch: "1700000000000-1700000000100". */
  times: "Pool-Times",
  /** On a dead letter: when it was given up, milliseconds since the epoch. */
  diedAt: "Pool-Died-At",
} as const;

/** The value of {@link HEADER.lane}. */
export const DURABLE = "durable";

/** The most of {@link HEADER.maxAttempts}. */
const MAX_MAX_ATTEMPTS = 1_000_000;

/** What a reply says it is. */
export type ReplyKind = "accepted" | "busy" | "progress" | "result" | "error";

/** Who goes first among parked jobs. */
export type Priority = "high" | "normal" | "low";

/** Limits on the headers of a job that comes from outside. */
const MAX_HEADERS = 64;
export const MAX_HEADER_BYTES = 16 * 1024;
/**
 * What our headers may take of the broker's max_payload, in bytes: a payload is at most max_payload less this, as a job
 * and as a result, so that what could be submitted can also come back. Trace headers count besides.
 */
export const HEADER_RESERVE_BYTES = 512;
/** The longest timeout, in milliseconds: 24 days, what a timer can hold. */
export const MAX_TIMEOUT_MS = 2_147_483_647;

/** The data about a job, as read from its headers; `undefined` is "not said". */
export interface JobHeaders {
  jobId?: string;
  attempt?: number;
  nonce?: string;
  timeoutMs?: number;
  /** The sender's monotonic clock, milliseconds. */
  clockMs?: number;
  /** How old the message may be when it is acted on, milliseconds. */
  startWithinMs?: number;
  /** Milliseconds since the epoch. */
  expiresAt?: number;
  offer?: boolean;
  /** On a submission: its sender answers the question for its clock, so that the way from it is measured. */
  answersClock?: boolean;
  /** It comes from the durable lane: its outcome is kept for whoever hands it in after this manager. */
  durable?: boolean;
  /** Of such a job: failures after which it is given up. */
  maxAttempts?: number | undefined;
  /** Not to be started: whoever has it answers this sender too. */
  join?: boolean;
  idempotent?: boolean;
  priority?: Priority;
  wait?: boolean;
  waitForPool?: boolean;
  client?: string;
  traceparent?: string | undefined;
  tracestate?: string | undefined;
}

/** The data about a reply. */
export interface ReplyHeaders {
  /** "unknown" when it says a kind that this version does not know: it is no answer. */
  kind: ReplyKind | "unknown";
  /** It does not say what it is: the answer of a bare worker, or of a stranger. */
  bare?: boolean;
  jobId?: string;
  attempt?: number | undefined;
  worker?: string;
  /** Of a reply to a submission: the manager that answers. */
  manager?: string;
  free?: number | undefined;
  /** On `busy`: how old the message was, in milliseconds; it was too old to act on. */
  ageMs?: number | undefined;
  /** On an outcome: from submit to the sending of the attempt that ended the job, milliseconds. */
  waitMs?: number | undefined;
}

/** Writes a job's headers. */
export function encodeJobHeaders(job: JobHeaders): MsgHdrs {
  return writeJobHeaders(wireHeaders(), job);
}

/** Writes a job's headers after those that are there. */
export function writeJobHeaders(h: MsgHdrs, job: JobHeaders): MsgHdrs {
  if (job.jobId !== undefined) h.append(HEADER.jobId, job.jobId);
  if (job.attempt !== undefined) h.append(HEADER.attempt, String(job.attempt));
  if (job.nonce) h.append(HEADER.nonce, job.nonce);
  if (job.clockMs !== undefined) h.append(HEADER.clock, String(Math.floor(job.clockMs)));
  if (job.startWithinMs !== undefined) h.append(HEADER.startWithinMs, String(Math.floor(job.startWithinMs)));
  if (job.timeoutMs !== undefined) h.append(HEADER.timeoutMs, String(Math.max(1, Math.ceil(job.timeoutMs))));
  if (job.expiresAt !== undefined) h.append(HEADER.expiresAt, String(Math.ceil(job.expiresAt)));
  if (job.offer) h.append(HEADER.offer, "1");
  if (job.answersClock) h.append(HEADER.answers, "clock");
  if (job.durable) h.append(HEADER.lane, DURABLE);
  if (job.maxAttempts !== undefined) h.append(HEADER.maxAttempts, String(job.maxAttempts));
  if (job.join) h.append(HEADER.join, "1");
  if (job.idempotent) h.append(HEADER.idempotent, "1");
  if (job.priority !== undefined && job.priority !== "normal") h.append(HEADER.priority, job.priority);
  if (job.wait === false) h.append(HEADER.wait, "0");
  if (job.waitForPool) h.append(HEADER.waitForPool, "1");
  if (job.client !== undefined) h.append(HEADER.client, job.client);
  if (job.traceparent !== undefined) h.append(HEADER.traceparent, job.traceparent);
  if (job.tracestate !== undefined) h.append(HEADER.tracestate, job.tracestate);
  return h;
}

/**
 * Reads and checks a job's headers. A job without any is valid.
 *
 * @throws PoolError `invalid_argument` with the header as its field
 */
export function decodeJobHeaders(h: HeaderReader | undefined): JobHeaders {
  const job: JobHeaders = {};
  if (h === undefined) return job;
  let count = 0;
  let bytes = 0;
  eachHeader(h, (name, value) => {
    count += 1;
    bytes += name.length + value.length + 4;
    if (value !== "") readJobHeader(job, name, value);
  });
  if (count > MAX_HEADERS || bytes > MAX_HEADER_BYTES) {
    throw new PoolError("invalid_argument", `headers: at most ${MAX_HEADERS} and ${MAX_HEADER_BYTES} bytes`, {
      field: "headers",
    });
  }
  return job;
}

function readJobHeader(job: JobHeaders, name: string, value: string): void {
  switch (name) {
    case HEADER.jobId:
      job.jobId = checkName("job", value);
      break;
    case HEADER.attempt:
      job.attempt = integerOf(name, value, 1, 1_000_000);
      break;
    case HEADER.nonce:
      job.nonce = checkName("nonce", value);
      break;
    case HEADER.clock:
      job.clockMs = integerOf(name, value, 0, Number.MAX_SAFE_INTEGER);
      break;
    case HEADER.startWithinMs:
      job.startWithinMs = integerOf(name, value, 0, MAX_TIMEOUT_MS);
      break;
    case HEADER.timeoutMs:
      job.timeoutMs = integerOf(name, value, 1, MAX_TIMEOUT_MS);
      break;
    case HEADER.expiresAt:
      job.expiresAt = integerOf(name, value, 0, Number.MAX_SAFE_INTEGER);
      break;
    case HEADER.offer:
      job.offer = flagOf(name, value);
      break;
    case HEADER.answers:
      if (value === "clock") job.answersClock = true;
      break;
    case HEADER.lane:
      if (value !== DURABLE) throw refused(name, `is "${DURABLE}", or is left out`);
      job.durable = true;
      break;
    case HEADER.maxAttempts:
      job.maxAttempts = integerOf(name, value, 1, MAX_MAX_ATTEMPTS);
      break;
    case HEADER.join:
      job.join = flagOf(name, value);
      break;
    case HEADER.idempotent:
      job.idempotent = flagOf(name, value);
      break;
    case HEADER.priority:
      job.priority = checkPriority(value);
      break;
    case HEADER.wait:
      job.wait = flagOf(name, value);
      break;
    case HEADER.waitForPool:
      job.waitForPool = flagOf(name, value);
      break;
    case HEADER.client:
      job.client = checkClient(value);
      break;
    case HEADER.traceparent:
      job.traceparent = value;
      break;
    case HEADER.tracestate:
      job.tracestate = value;
      break;
    default:
      break;
  }
}

/** Writes a reply's headers. */
export function encodeReplyHeaders(reply: ReplyHeaders): MsgHdrs {
  const h = wireHeaders();
  h.append(HEADER.reply, reply.kind);
  if (reply.jobId !== undefined) h.append(HEADER.jobId, reply.jobId);
  if (reply.attempt !== undefined) h.append(HEADER.attempt, String(reply.attempt));
  if (reply.worker !== undefined) h.append(HEADER.worker, reply.worker);
  if (reply.manager !== undefined) h.append(HEADER.manager, reply.manager);
  if (reply.free !== undefined) h.append(HEADER.free, String(reply.free));
  if (reply.ageMs !== undefined) h.append(HEADER.ageMs, String(Math.ceil(reply.ageMs)));
  if (reply.waitMs !== undefined) h.append(HEADER.waitMs, String(Math.round(reply.waitMs * 1_000) / 1_000));
  return h;
}

/** Reads a reply's headers; what is malformed is taken as not said. A reply without any is a bare worker's result. */
export function decodeReplyHeaders(h: HeaderReader | undefined): ReplyHeaders {
  const reply: ReplyHeaders = { kind: "result" };
  if (h === undefined) {
    reply.bare = true;
    return reply;
  }
  let said: ReplyKind | "unknown" | undefined;
  let isError = false;
  eachHeader(h, (name, value) => {
    if (name === HEADER.reply) said = isReplyKind(value) ? value : "unknown";
    else if (name === HEADER.jobId && value !== "") reply.jobId = value;
    else if (name === HEADER.attempt) reply.attempt = count(value);
    else if (name === HEADER.worker && value !== "") reply.worker = value;
    else if (name === HEADER.manager && value !== "") reply.manager = value;
    else if (name === HEADER.free) reply.free = count(value);
    else if (name === HEADER.ageMs) reply.ageMs = count(value);
    else if (name === HEADER.waitMs) reply.waitMs = milliseconds(value);
    else if (name === HEADER.serviceErrorCode && value !== "") isError = true;
  });
  if (said === undefined) reply.bare = true;
  reply.kind = said ?? (isError ? "error" : "result");
  return reply;
}

/** A small whole number; undefined for anything else. */
function count(text: string): number | undefined {
  return /^\d{1,6}$/.test(text) ? Number(text) : undefined;
}

/** A time with up to three decimals; undefined for anything else. */
function milliseconds(text: string): number | undefined {
  return /^\d{1,12}(\.\d{1,3})?$/.test(text) ? Number(text) : undefined;
}

/** @throws PoolError `invalid_argument` */
export function checkPriority(priority: unknown): Priority {
  if (priority === "high" || priority === "normal" || priority === "low") return priority;
  throw new PoolError("invalid_argument", 'priority: use "high", "normal" or "low"', { field: "priority" });
}

/** @throws PoolError `invalid_argument` */
export function checkClient(client: unknown): string {
  if (typeof client === "string" && /^[\x21-\x7e]{1,128}$/.test(client)) return client;
  throw new PoolError("invalid_argument", "client: use 1 to 128 printable ASCII characters without a space", {
    field: "client",
  });
}

/** A timeout in whole milliseconds, 1 to {@link MAX_TIMEOUT_MS}. @throws PoolError `invalid_argument` */
export function checkTimeoutMs(timeoutMs: unknown): number {
  if (typeof timeoutMs === "number" && timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS) return Math.ceil(timeoutMs);
  throw new PoolError("invalid_argument", `timeoutMs: use a number from 1 to ${MAX_TIMEOUT_MS}`, {
    field: "timeoutMs",
  });
}

/** A trace header (traceparent, tracestate) as it may go on. @throws PoolError `invalid_argument` */
export function checkTraceHeader(field: "traceparent" | "tracestate", value: unknown): string {
  if (typeof value === "string" && /^[\x20-\x7e]{1,512}$/.test(value)) return value;
  throw new PoolError("invalid_argument", `${field}: use up to 512 printable ASCII characters`, { field });
}

function isReplyKind(said: string): said is ReplyKind {
  return said === "result" || said === "accepted" || said === "busy" || said === "progress" || said === "error";
}

/** @throws PoolError `invalid_argument` with the header as its field */
function flagOf(header: string, value: string): boolean {
  if (value === "1" || value === "0") return value === "1";
  throw refused(header, "is 1 or 0");
}

function refused(header: string, why: string): PoolError {
  return new PoolError("invalid_argument", `${header} ${why}`, { field: header });
}
