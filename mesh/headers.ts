/**
 * The headers of jobs and replies: what crosses NATS beside the payload.
 *
 * Names live here and nowhere else. All are
 * optional on a job; a reply without `Pool-Reply` is a bare worker's result.
 */
import type { MsgHdrs } from "nats";
import { PoolError } from "./errors.js";
import { checkName } from "./names.js";
import { type HeaderReader, wireHeaders } from "./wire-headers.js";

/** Header names, in their canonical form. */
export const HEADER = {
  jobId: "Pool-Job-Id",
  attempt: "Pool-Attempt",
  timeoutMs: "Pool-Timeout-Ms",
  expiresAt: "Pool-Expires-At",
  offer: "Pool-Offer",
  reply: "Pool-Reply",
  worker: "Pool-Worker",
  /** On a reply to a submission: the manager that answers. */
  manager: "Pool-Manager",
  free: "Pool-Free",
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
  /** On a submitted job: whose share of the parked queue it counts for. */
  client: "Pool-Client",
  /** On an error: when to try again, whether the job may have run, which field was refused, and the overload's figures. */
  retryAfterMs: "Pool-Retry-After-Ms",
  maybeExecuted: "Pool-Maybe-Executed",
  field: "Pool-Field",
  utilization: "Pool-Utilization",
  parked: "Pool-Parked",
} as const;

/** What a reply is. */
export type ReplyKind = "accepted" | "busy" | "progress" | "result" | "error";

/** Who goes first among parked jobs. */
export type Priority = "high" | "normal" | "low";

/** Limits on the headers of a job that comes from outside. */
export const MAX_HEADERS = 64;
export const MAX_HEADER_BYTES = 16 * 1024;
/**
 * What our headers may take of the broker's max_payload, in bytes: a payload is
 * at most max_payload less this, as a job and as a result, so that what could be
 * submitted can also come back. Trace headers count besides.
 */
export const HEADER_RESERVE_BYTES = 512;
/** The longest timeout, in milliseconds: 24 days, what a timer can hold. */
export const MAX_TIMEOUT_MS = 2_147_483_647;
/** The longest client identity, in characters. */
export const MAX_CLIENT_LENGTH = 128;

/** The data about a job, as read from its headers; `undefined` is "not said". */
export interface JobHeaders {
  jobId?: string;
  attempt?: number;
  timeoutMs?: number;
  /** Milliseconds since the epoch. */
  expiresAt?: number;
  offer?: boolean;
  idempotent?: boolean;
  priority?: Priority;
  wait?: boolean;
  client?: string;
  traceparent?: string;
  tracestate?: string;
}

/** The data about a reply. */
export interface ReplyHeaders {
  kind: ReplyKind;
  jobId?: string;
  attempt?: number;
  worker?: string;
  free?: number;
}

/** Writes a job's headers. */
export function encodeJobHeaders(job: JobHeaders): MsgHdrs {
  const h = wireHeaders();
  if (job.jobId !== undefined) h.append(HEADER.jobId, job.jobId);
  if (job.attempt !== undefined) h.append(HEADER.attempt, String(job.attempt));
  if (job.timeoutMs !== undefined) h.append(HEADER.timeoutMs, String(Math.max(1, Math.ceil(job.timeoutMs))));
  if (job.expiresAt !== undefined) h.append(HEADER.expiresAt, String(Math.ceil(job.expiresAt)));
  if (job.offer) h.append(HEADER.offer, "1");
  if (job.idempotent) h.append(HEADER.idempotent, "1");
  if (job.priority !== undefined && job.priority !== "normal") h.append(HEADER.priority, job.priority);
  if (job.wait === false) h.append(HEADER.wait, "0");
  if (job.client !== undefined) h.append(HEADER.client, job.client);
  if (job.traceparent !== undefined) h.append(HEADER.traceparent, job.traceparent);
  if (job.tracestate !== undefined) h.append(HEADER.tracestate, job.tracestate);
  return h;
}

/** Headers of a cancel message that revokes attempts up to `attempt` only. */
export function encodeRevocation(attempt: number): MsgHdrs {
  const h = wireHeaders();
  h.append(HEADER.attempt, String(attempt));
  return h;
}

/**
 * Reads and checks a job's headers. A job without any is valid.
 *
 * @throws PoolError `invalid_argument` with the header as its field
 */
export function decodeJobHeaders(h: (HeaderReader & Iterable<[string, string[]]>) | undefined): JobHeaders {
  if (h === undefined) return {};
  checkSize(h);
  const job: JobHeaders = {};
  const id = h.get(HEADER.jobId);
  if (id !== "") job.jobId = checkName("job", id);
  const attempt = h.get(HEADER.attempt);
  if (attempt !== "") job.attempt = integer(HEADER.attempt, attempt, 1, 1_000_000);
  const timeoutMs = h.get(HEADER.timeoutMs);
  if (timeoutMs !== "") job.timeoutMs = integer(HEADER.timeoutMs, timeoutMs, 1, MAX_TIMEOUT_MS);
  const expiresAt = h.get(HEADER.expiresAt);
  if (expiresAt !== "") job.expiresAt = integer(HEADER.expiresAt, expiresAt, 0, Number.MAX_SAFE_INTEGER);
  if (h.get(HEADER.offer) === "1") job.offer = true;
  if (h.get(HEADER.idempotent) === "1") job.idempotent = true;
  const priority = h.get(HEADER.priority);
  if (priority !== "") job.priority = checkPriority(priority);
  if (h.get(HEADER.wait) === "0") job.wait = false;
  const client = h.get(HEADER.client);
  if (client !== "") job.client = checkClient(client);
  const traceparent = h.get(HEADER.traceparent);
  if (traceparent !== "") job.traceparent = traceparent;
  const tracestate = h.get(HEADER.tracestate);
  if (tracestate !== "") job.tracestate = tracestate;
  return job;
}

/** Writes a reply's headers. */
export function encodeReplyHeaders(reply: ReplyHeaders): MsgHdrs {
  const h = wireHeaders();
  h.append(HEADER.reply, reply.kind);
  if (reply.jobId !== undefined) h.append(HEADER.jobId, reply.jobId);
  if (reply.attempt !== undefined) h.append(HEADER.attempt, String(reply.attempt));
  if (reply.worker !== undefined) h.append(HEADER.worker, reply.worker);
  if (reply.free !== undefined) h.append(HEADER.free, String(reply.free));
  return h;
}

/** Reads a reply's headers; what is malformed is taken as not said. A reply without any is a bare worker's result. */
export function decodeReplyHeaders(h: HeaderReader | undefined): ReplyHeaders {
  if (h === undefined) return { kind: "result" };
  const said = h.get(HEADER.reply);
  const kind = isReplyKind(said) ? said : h.get(HEADER.serviceErrorCode) !== "" ? "error" : "result";
  const reply: ReplyHeaders = { kind };
  const id = h.get(HEADER.jobId);
  if (id !== "") reply.jobId = id;
  const attempt = Number(h.get(HEADER.attempt));
  if (Number.isSafeInteger(attempt) && attempt > 0) reply.attempt = attempt;
  const worker = h.get(HEADER.worker);
  if (worker !== "") reply.worker = worker;
  const free = h.get(HEADER.free);
  if (/^\d{1,6}$/.test(free)) reply.free = Number(free);
  return reply;
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

/**
 * A timeout in whole milliseconds, 1 to {@link MAX_TIMEOUT_MS}.
 *
 * @throws PoolError `invalid_argument`
 */
export function checkTimeoutMs(timeoutMs: unknown): number {
  if (typeof timeoutMs === "number" && timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS) return Math.ceil(timeoutMs);
  throw new PoolError("invalid_argument", `timeoutMs: use a number from 1 to ${MAX_TIMEOUT_MS}`, {
    field: "timeoutMs",
  });
}

/**
 * A trace header (traceparent, tracestate) as it may go on.
 *
 * @throws PoolError `invalid_argument`
 */
export function checkTraceHeader(field: "traceparent" | "tracestate", value: unknown): string {
  if (typeof value === "string" && /^[\x20-\x7e]{1,512}$/.test(value)) return value;
  throw new PoolError("invalid_argument", `${field}: use up to 512 printable ASCII characters`, { field });
}

function isReplyKind(said: string): said is ReplyKind {
  return said === "result" || said === "accepted" || said === "busy" || said === "progress" || said === "error";
}

function integer(header: string, text: string, min: number, max: number): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new PoolError("invalid_argument", `header ${header}: use a whole number from ${min} to ${max}`, {
    field: header,
  });
}

function checkSize(h: Iterable<[string, string[]]>): void {
  let count = 0;
  let bytes = 0;
  for (const [name, values] of h) {
    for (const value of values) {
      count += 1;
      bytes += name.length + value.length + 4;
    }
  }
  if (count > MAX_HEADERS || bytes > MAX_HEADER_BYTES) {
    throw new PoolError("invalid_argument", `headers: at most ${MAX_HEADERS} and ${MAX_HEADER_BYTES} bytes`, {
      field: "headers",
    });
  }
}
