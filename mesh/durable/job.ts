/**
 * A durable job's own data: what its headers say, checked, with defaults. Pure.
 *
 * Used by whoever enqueues and by whoever runs it, so both know the same bounds.
 */
import type { MsgHdrs } from "nats";
import { PoolError } from "../errors.js";
import { DEFAULT_TIMEOUT_MS } from "../job/job.js";
import { checkClient, checkTraceHeader, decodeJobHeaders, HEADER, HEADER_RESERVE_BYTES } from "../wire/headers.js";
import { isAnswerable } from "../wire/subjects.js";
import { eachHeader, type HeaderReader, integerOf, wireHeaders } from "../wire/wire-headers.js";
import { decodeThen, encodeThen, type ThenStep, thenBytes } from "./after/then.js";
import { type BatchPlace, decodePlace, encodePlace } from "./batches/batch-place.js";
import { checkConcurrencyKey } from "./limits/concurrency-key.js";

/** How long the next attempt waits after a failure, in milliseconds: doubled each time, up to the cap. */
export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
}

/** What a durable job says of itself. */
export interface DurableJob {
  /** For one attempt, from its start, in milliseconds. */
  readonly timeoutMs: number;
  /** Milliseconds since the epoch after which nobody starts it; undefined for never. */
  readonly expiresAt: number | undefined;
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  /** It may run a second time. */
  readonly idempotent: boolean;
  readonly keepOutcome: boolean;
  /** Look for an outcome before it runs. */
  readonly check: boolean;
  /** It runs again over the outcome with this sequence; 0 for a new job. */
  readonly afterOutcome: number;
  /** The jobs that follow, in their order, when it has a result. */
  readonly then: readonly ThenStep[];
  /** The batch that counts its outcome, and its place there. Its outcome is kept. */
  readonly batch: BatchPlace | undefined;
  /** An inbox that hears the outcome. */
  readonly notify: string | undefined;
  /** Who hears it reads outcomes of several jobs in one message, too. */
  readonly notifyTogether: boolean;
  /** Milliseconds since the epoch; undefined when its sender does not say. */
  readonly enqueuedAt: number | undefined;
  readonly client: string;
  /** Jobs of a pool with the same key share a limit; "" for none. */
  readonly concurrencyKey: string;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
}

export const DEFAULT_MAX_ATTEMPTS = 5;
export const DEFAULT_BACKOFF: Backoff = { baseMs: 1_000, capMs: 600_000 };
/** Whose turn it is among parked jobs, for durable jobs whose client says no name. */
export const DURABLE_CLIENT = "durable";
/** What a durable job's and its outcome's headers may take of the broker's max_payload, in bytes. */
export const DURABLE_RESERVE_BYTES = HEADER_RESERVE_BYTES + 1_024;
/** The longest timeout of one attempt: 24 hours, in milliseconds. */
export const MAX_ATTEMPT_TIMEOUT_MS = 86_400_000;
const MAX_ATTEMPTS_BOUND = 100;
/** The longest wait between two attempts: 30 days, in milliseconds. */
const MAX_BACKOFF_MS = 30 * 86_400_000;

/** The largest payload of a durable job, and the largest result, in bytes. @param then the jobs that follow */
export function durablePayloadLimit(bus: { readonly maxPayloadBytes: number }, then: readonly ThenStep[] = []): number {
  return bus.maxPayloadBytes - DURABLE_RESERVE_BYTES - thenBytes(then);
}

/** A job that says nothing. */
export function durableDefaults(timeoutMs = DEFAULT_TIMEOUT_MS): DurableJob {
  return {
    timeoutMs,
    expiresAt: undefined,
    maxAttempts: DEFAULT_MAX_ATTEMPTS,
    backoff: DEFAULT_BACKOFF,
    idempotent: true,
    keepOutcome: true,
    check: false,
    afterOutcome: 0,
    then: [],
    batch: undefined,
    notify: undefined,
    notifyTogether: false,
    enqueuedAt: undefined,
    client: "",
    concurrencyKey: "",
    traceparent: undefined,
    tracestate: undefined,
  };
}

/** Writes a job's headers; what is as by default is left out. @param check in the place of the job's own */
export function encodeDurableJob(job: DurableJob, check = job.check): MsgHdrs {
  const h = wireHeaders();
  h.append(HEADER.timeoutMs, String(job.timeoutMs));
  if (job.enqueuedAt !== undefined) h.append(HEADER.enqueuedAt, String(Math.floor(job.enqueuedAt)));
  if (job.expiresAt !== undefined) h.append(HEADER.expiresAt, String(Math.ceil(job.expiresAt)));
  if (job.maxAttempts !== DEFAULT_MAX_ATTEMPTS) h.append(HEADER.maxAttempts, String(job.maxAttempts));
  const { baseMs, capMs } = job.backoff;
  const isUsual = baseMs === DEFAULT_BACKOFF.baseMs && capMs === DEFAULT_BACKOFF.capMs;
  if (!isUsual) h.append(HEADER.backoff, `${baseMs}-${capMs}`);
  if (!job.idempotent) h.append(HEADER.idempotent, "0");
  if (!job.keepOutcome) h.append(HEADER.keep, "0");
  if (check) h.append(HEADER.check, "1");
  if (job.afterOutcome > 0) h.append(HEADER.afterOutcome, String(job.afterOutcome));
  if (job.then.length > 0) h.append(HEADER.then, encodeThen(job.then));
  if (job.batch !== undefined) h.append(HEADER.batch, encodePlace(job.batch));
  if (job.notify !== undefined) h.append(HEADER.notify, job.notify);
  if (job.notify !== undefined && job.notifyTogether) h.append(HEADER.notifyTogether, "1");
  if (job.client !== "") h.append(HEADER.client, job.client);
  if (job.concurrencyKey !== "") h.append(HEADER.concurrencyKey, job.concurrencyKey);
  if (job.traceparent !== undefined) h.append(HEADER.traceparent, job.traceparent);
  if (job.tracestate !== undefined) h.append(HEADER.tracestate, job.tracestate);
  return h;
}

/**
 * Reads and checks a job's headers. A job without any is valid. An address to
 * notify that is no inbox is dropped, so that nobody can make a manager publish elsewhere.
 *
 * @param defaultTimeoutMs of an attempt of a job that names none, milliseconds
 * @param inboxPrefix one more prefix of inboxes, without its dot
 * @throws PoolError `invalid_argument` with the header as its field
 */
export function decodeDurableJob(
  headers: HeaderReader | undefined,
  defaultTimeoutMs: number,
  inboxPrefix: string,
): DurableJob {
  const said = decodeJobHeaders(headers);
  const job: Writable<DurableJob> = durableDefaults(checkAttemptTimeoutMs(said.timeoutMs ?? defaultTimeoutMs));
  job.expiresAt = said.expiresAt;
  if (said.client !== undefined) job.client = checkClient(said.client);
  if (said.traceparent !== undefined) job.traceparent = checkTraceHeader("traceparent", said.traceparent);
  if (said.tracestate !== undefined) job.tracestate = checkTraceHeader("tracestate", said.tracestate);
  if (headers !== undefined) eachHeader(headers, (name, value) => readOwn(job, name, value));
  if (job.batch !== undefined) job.keepOutcome = true;
  const { notify } = job;
  if (notify !== undefined && !(isAnswerable(notify, inboxPrefix) && isPlainSubject(notify))) job.notify = undefined;
  return job;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Reads a header that only durable jobs have; of one that is there twice the last counts. @throws PoolError `invalid_argument` */
function readOwn(job: Writable<DurableJob>, name: string, value: string): void {
  if (value === "") return;
  switch (name) {
    case HEADER.maxAttempts:
      job.maxAttempts = integerOf(name, value, 1, MAX_ATTEMPTS_BOUND);
      break;
    case HEADER.backoff:
      job.backoff = readBackoff(value);
      break;
    case HEADER.idempotent:
      job.idempotent = value !== "0";
      break;
    case HEADER.keep:
      job.keepOutcome = value !== "0";
      break;
    case HEADER.check:
      job.check = value === "1";
      break;
    case HEADER.afterOutcome:
      job.afterOutcome = integerOf(name, value, 0, Number.MAX_SAFE_INTEGER);
      break;
    case HEADER.then:
      job.then = decodeThen(value);
      break;
    case HEADER.batch:
      job.batch = decodePlace(value);
      break;
    case HEADER.notify:
      job.notify = value;
      break;
    case HEADER.notifyTogether:
      job.notifyTogether = value === "1";
      break;
    case HEADER.enqueuedAt:
      job.enqueuedAt = integerOf(name, value, 0, Number.MAX_SAFE_INTEGER);
      break;
    case HEADER.concurrencyKey:
      job.concurrencyKey = checkConcurrencyKey(value, HEADER.concurrencyKey);
      break;
    default:
      break;
  }
}

/** @throws PoolError `invalid_argument` */
export function checkAttemptTimeoutMs(timeoutMs: unknown): number {
  if (typeof timeoutMs === "number" && timeoutMs >= 1 && timeoutMs <= MAX_ATTEMPT_TIMEOUT_MS)
    return Math.ceil(timeoutMs);
  throw refused("timeoutMs", `use a number from 1 to ${MAX_ATTEMPT_TIMEOUT_MS}`);
}

/** @throws PoolError `invalid_argument` */
export function checkMaxAttempts(maxAttempts: unknown): number {
  const isNumber = typeof maxAttempts === "number" && Number.isInteger(maxAttempts);
  if (isNumber && maxAttempts >= 1 && maxAttempts <= MAX_ATTEMPTS_BOUND) return maxAttempts;
  throw refused("maxAttempts", `use a whole number from 1 to ${MAX_ATTEMPTS_BOUND}`);
}

/** @throws PoolError `invalid_argument` */
export function checkBackoff(backoff: unknown): Backoff {
  const { baseMs, capMs } = (backoff ?? {}) as Partial<Record<keyof Backoff, unknown>>;
  if (isDelay(baseMs) && isDelay(capMs) && baseMs <= capMs) {
    return { baseMs: Math.round(baseMs), capMs: Math.round(capMs) };
  }
  throw refused("backoff", `use baseMs and capMs from 0 to ${MAX_BACKOFF_MS}, baseMs not over capMs`);
}

function isDelay(ms: unknown): ms is number {
  return typeof ms === "number" && ms >= 0 && ms <= MAX_BACKOFF_MS;
}

function readBackoff(text: string): Backoff {
  const [, baseMs, capMs] = /^(\d{1,10})-(\d{1,10})$/.exec(text) ?? [];
  try {
    return checkBackoff({ baseMs: Number(baseMs), capMs: Number(capMs) });
  } catch {
    throw refused(HEADER.backoff, 'use two numbers of milliseconds, such as "1000-600000"');
  }
}

/** No wildcard, no space: it can be published to. */
function isPlainSubject(subject: string): boolean {
  return /^[^\s*>]{1,512}$/.test(subject) && !subject.includes("..") && !subject.endsWith(".");
}

function refused(field: string, why: string): PoolError {
  return new PoolError("invalid_argument", `${field}: ${why}`, { field });
}
