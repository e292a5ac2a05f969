/** How a durable job is enqueued, and what its options become. Pure. */
import { checkThen, type Then } from "../../mesh/durable/after/then.js";
import {
  type Backoff,
  checkAttemptTimeoutMs,
  checkBackoff,
  checkMaxAttempts,
  DEFAULT_BACKOFF,
  DEFAULT_MAX_ATTEMPTS,
  type DurableJob,
} from "../../mesh/durable/job.js";
import { checkRunTime, instantOf, type RunTime } from "../../mesh/durable/later/run-time.js";
import { checkConcurrencyKey } from "../../mesh/durable/limits/concurrency-key.js";
import { PoolError } from "../../mesh/errors.js";
import { checkClient, checkPriority, checkTraceHeader, type Priority } from "../../mesh/wire/headers.js";
import { checkName } from "../../mesh/wire/subjects.js";

/** How one durable job is enqueued. */
export interface EnqueueOptions {
  /** Unique among live jobs of the pool, and among kept outcomes; default: made for you. */
  id?: string;
  /** Who goes first; default "normal". */
  priority?: Priority;
  /** Time of one attempt from its start, in milliseconds, 1 to 86,400,000; default 30,000. */
  timeoutMs?: number;
  /** Nobody starts the job after this time from now, in milliseconds; default never. */
  expiresInMs?: number;
  /** Failures after which the job becomes a dead letter, 1 to 100; default 5. */
  maxAttempts?: number;
  /** The wait after the first failure, doubled after each, up to a cap, in milliseconds; default 1,000 and 600,000. */
  backoff?: Backoff;
  /** It may run a second time when whoever has it dies; default true. False: it runs at most once after it may have begun. */
  idempotent?: boolean;
  /** Keep the outcome for 24 hours; default true. False costs less, and who misses the outcome never hears it. */
  keepOutcome?: boolean;
  /**
   * When the job may run: a Date, milliseconds since the epoch, or a time with its zone such as "2026-12-24T18:00:00Z";
   * at most ten years ahead. Default at once. Needs a manager to be there, and nats-server 2.12.
   */
  runAt?: Date | number | string;
  /** The same as a time from now, in milliseconds. Not together with `runAt`. */
  delayMs?: number;
  /**
   * The jobs that follow, when this one has a result: one, or a list in their order, at most 16. The result is the payload
   * of the next one, which has the settings of this one. A job that is given up or canceled has no next one.
   */
  then?: Then | readonly Then[];
  /** Run again although an outcome is kept under this id; default false. */
  rerun?: boolean;
  /**
   * Jobs of the pool with the same key share a limit, where an operator has set one: 1 to 128 characters without
   * control characters; default none.
   */
  concurrencyKey?: string;
  /** Whose turn it is among parked jobs; default "durable". */
  client?: string;
  /** How long the stream may take to acknowledge, in milliseconds; default 15,000. */
  enqueueTimeoutMs?: number;
  /** W3C trace context, passed through to the handler. */
  traceparent?: string;
  tracestate?: string;
}

/** Options that are checked. */
export interface CheckedOptions {
  readonly id: string | undefined;
  readonly level: Priority;
  readonly job: DurableJob;
  readonly rerun: boolean;
  readonly limitMs: number;
  /** When it may run; undefined for at once. */
  readonly time: RunTime | undefined;
}

/** The longest time to expiry: ten years, in milliseconds. */
const MAX_EXPIRY_MS = 10 * 365 * 86_400_000;
const DEFAULT_LIMIT_MS = 15_000;
const MAX_LIMIT_MS = 600_000;

/**
 * Checks options and fills in defaults.
 *
 * @param wallNowMs milliseconds since the epoch
 * @throws PoolError `invalid_argument` naming the field
 */
export function checkEnqueueOptions(
  options: EnqueueOptions,
  defaultTimeoutMs: number,
  wallNowMs: number,
): CheckedOptions {
  const { client = "", concurrencyKey, maxAttempts, backoff, traceparent, tracestate } = options;
  const { expiresInMs, rerun = false } = options;
  const time = checkRunTime(options.runAt, options.delayMs, wallNowMs);
  const expiresAt =
    expiresInMs === undefined ? undefined : wallNowMs + between("expiresInMs", expiresInMs, MAX_EXPIRY_MS);
  if (time !== undefined && expiresAt !== undefined && instantOf(time, wallNowMs) >= expiresAt) {
    throw new PoolError("invalid_argument", "expiresInMs: the job would expire before it may run", {
      field: "expiresInMs",
    });
  }
  return {
    time,
    id: options.id === undefined ? undefined : checkName("job", options.id),
    level: options.priority === undefined ? "normal" : checkPriority(options.priority),
    rerun: boolean("rerun", rerun),
    limitMs: between("enqueueTimeoutMs", options.enqueueTimeoutMs ?? DEFAULT_LIMIT_MS, MAX_LIMIT_MS),
    job: {
      timeoutMs: checkAttemptTimeoutMs(options.timeoutMs ?? defaultTimeoutMs),
      expiresAt,
      maxAttempts: maxAttempts === undefined ? DEFAULT_MAX_ATTEMPTS : checkMaxAttempts(maxAttempts),
      backoff: backoff === undefined ? DEFAULT_BACKOFF : checkBackoff(backoff),
      idempotent: boolean("idempotent", options.idempotent ?? true),
      keepOutcome: boolean("keepOutcome", options.keepOutcome ?? true),
      check: false,
      afterOutcome: 0,
      then: checkThen(options.then),
      batch: undefined,
      notify: undefined,
      notifyTogether: true,
      enqueuedAt: wallNowMs,
      client: client === "" ? "" : checkClient(client),
      concurrencyKey: concurrencyKey === undefined ? "" : checkConcurrencyKey(concurrencyKey),
      traceparent: traceparent === undefined ? undefined : checkTraceHeader("traceparent", traceparent),
      tracestate: tracestate === undefined ? undefined : checkTraceHeader("tracestate", tracestate),
    },
  };
}

function between(field: string, ms: unknown, max: number): number {
  if (typeof ms === "number" && ms >= 1 && ms <= max) return ms;
  throw new PoolError("invalid_argument", `${field}: use a number from 1 to ${max}`, { field });
}

function boolean(field: string, value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw new PoolError("invalid_argument", `${field}: use true or false`, { field });
}
