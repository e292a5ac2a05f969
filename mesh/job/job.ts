/**
 * What a caller hands in and what it hears: options, the checked job that is made
 * of them, results and outcomes.
 *
 * The same shapes for Manager, Client and the doors, so that they can be
 * swapped for each other.
 */
import { PoolError } from "../errors.js";
import { isA } from "../thrown.js";
import {
  checkClient,
  checkPriority,
  checkTimeoutMs,
  checkTraceHeader,
  type JobHeaders,
  type Priority,
} from "../wire/headers.js";
import { jobRefusal } from "../wire/payloads.js";
import { checkName } from "../wire/subjects.js";
import { type Codec, checkPayload, codingOf, isBytes, json, text } from "./codec.js";

export type { Priority };

/** The default time from submit to deadline, in milliseconds. */
export const DEFAULT_TIMEOUT_MS = 30_000;

/** How one job is submitted. */
export interface SubmitOptions {
  /** Unique among live jobs of the pool; default: made for you. */
  id?: string;
  /** From now to the deadline, in milliseconds, 1 to 2,147,483,647; default 30,000. */
  timeoutMs?: number;
  /** May run a second time when its worker dies; default false. */
  idempotent?: boolean;
  /** Who goes first among parked jobs; default "normal". */
  priority?: Priority;
  /** False: fail with `pool_full` or `no_workers` at once instead of parking; default true. */
  wait?: boolean;
  /** Wait, until the deadline, for a pool that no worker serves yet; default false: `unknown_pool` at once. */
  waitForPool?: boolean;
  /** Who submits: shares of the parked queue are counted by this name; default "". */
  client?: string;
  /** Cancels the job, parked or running; the outcome is `canceled`. */
  signal?: AbortSignal;
  /** Called with every progress message of the handler, in order. */
  onProgress?: (payload: Uint8Array) => void;
  /** W3C trace context, passed through to the handler. */
  traceparent?: string;
  tracestate?: string;
}

/**
 * A payload: bytes as they are, a string as UTF-8 text, and any other value as JSON. So the text `"41"` and the number
 * `41` are the same payload, and a JSON string needs its quotes: `JSON.stringify("text")`.
 */
export type Payload = Uint8Array | string | number | boolean | null | object;

/** A stored job that follows another. */
export interface NextJob {
  readonly pool: string;
  readonly id: string;
}

/** The result of one job. */
export class JobResult {
  constructor(
    readonly id: string,
    readonly payload: Uint8Array,
    /** Who ran it; "" for a bare worker. */
    readonly worker: string,
    /** 1 for the first try. */
    readonly attempt: number,
    /** From submit (of a stored job: from enqueue) to the sending of the attempt that ended it to a worker, in milliseconds. */
    readonly waitMs: number,
    /** From submit to the outcome, in milliseconds. */
    readonly totalMs: number,
    /** The stored job that follows this one; undefined when none does. */
    readonly next: NextJob | undefined = undefined,
  ) {}

  /** The payload as UTF-8 text. @throws PoolError `invalid_argument`, field "result", when it is not */
  text(): string {
    return this.decode(text);
  }

  /** The payload as JSON. @throws PoolError `invalid_argument`, field "result", when it is not */
  json<T = unknown>(): T {
    return this.decode(json) as T;
  }

  /** The payload through a codec. @throws PoolError `invalid_argument`, field "result", and whatever the codec throws */
  decode<T>(codec: Codec<T>): T {
    return codingOf("result", () => codec.decode(this.payload));
  }
}

/** How one job ended. */
export type Outcome =
  | { readonly ok: true; readonly id: string; readonly result: JobResult }
  | {
      readonly ok: false;
      readonly id: string;
      readonly error: PoolError;
      readonly worker: string;
      readonly attempt: number;
      /** As {@link JobResult.waitMs}, when that is known. */
      readonly waitMs?: number;
    };

/** One outcome of a stream of jobs, with the place of its job in that stream, from 0. */
export type IndexedOutcome<T = Payload> = Outcome & { readonly index: number; readonly input: T };

/** How a stream of jobs is submitted. */
export interface SubmitManyOptions extends Omit<SubmitOptions, "id" | "onProgress"> {
  /** Outcomes in the order of the inputs instead of as they come; default false. */
  ordered?: boolean;
  /** At most this many jobs under way at once, 1 to 65,536; default 256. Inputs are read no faster. */
  window?: number;
}

/** What everything that takes jobs can do: Manager and Client. */
export interface Submitter {
  /** Runs one job. Rejects with a PoolError. */
  submit(payload: Payload, options?: SubmitOptions): Promise<JobResult>;
  /** Runs a stream of jobs with back-pressure. Failures are outcomes; it throws only when the inputs do. */
  submitMany(
    payloads: Iterable<Payload> | AsyncIterable<Payload>,
    options?: SubmitManyOptions,
  ): AsyncIterable<IndexedOutcome>;
  /** Submits without waiting: returns the job's id at once; `onOutcome` hears how it ended, exactly once. */
  detachSubmit(payload: Payload, options?: SubmitOptions & { onOutcome?: (outcome: Outcome) => void }): string;
  /** Cancels a job of this pool wherever it is. @throws PoolError `not_found` when nobody has it */
  cancel(id: string): Promise<void>;
}

const encoder = new TextEncoder();

/**
 * A payload as bytes. Bytes are given back as they are: {@link checkPayload} looks whether they can be read.
 *
 * @throws PoolError `invalid_argument`, field "payload", for what JSON cannot hold
 */
export function toBytes(payload: Payload): Uint8Array {
  if (typeof payload === "string") return encoder.encode(payload);
  if (isBytes(payload) || isA(payload, Uint8Array)) return payload;
  if (payload !== undefined) return json.encode(payload);
  throw new PoolError("invalid_argument", "payload: there is none: use bytes, a text or a JSON value", {
    field: "payload",
  });
}

/** A job that is checked and has its defaults filled in: what every way in makes of its options, by {@link toJobSpec}. */
export interface JobSpec {
  readonly id: string;
  /** Names this submission when its caller chose the id; "" when the id was made for it and is its own. */
  readonly nonce: string;
  readonly payload: Uint8Array;
  readonly timeoutMs: number;
  /** From the sending of each attempt to its end, milliseconds, of a job of the durable lane; undefined of any other. */
  runTimeoutMs: number | undefined;
  /** Failures after which a job of the durable lane is given up; undefined of any other. */
  maxAttempts: number | undefined;
  readonly idempotent: boolean;
  /** The worker that has it already, of a manager that is gone or as an earlier attempt: it is asked first. One that may run once is sent nowhere else. */
  joinAt: string | undefined;
  readonly priority: Priority;
  readonly wait: boolean;
  /** Waits also for a pool that no worker serves yet. */
  readonly waitForPool: boolean;
  /** Whose share of the parked queue it counts for; "" for nobody's. */
  readonly client: string;
  /** Replaced by the manager's own context where the manager traces. */
  traceparent: string | undefined;
  tracestate: string | undefined;
  /** Attempts that belong to managers which had this job before; 0 for a new job. */
  readonly attemptsBefore: number;
}

/**
 * Who keeps a job: its caller, who waits for it and submits it again when it must not be lost ("core"), or the broker, which
 * stores it until its outcome is there ("durable").
 */
export type JobLane = "core" | "durable";

/** Whether a job comes from the durable lane. */
export function isDurable({ runTimeoutMs }: Pick<JobSpec, "runTimeoutMs">): boolean {
  return runTimeoutMs !== undefined;
}

/** Whether a job is sent again only when it is certain that it has not begun: one of the durable lane that is not idempotent. */
export function runsOnce(spec: Pick<JobSpec, "runTimeoutMs" | "idempotent">): boolean {
  return isDurable(spec) && !spec.idempotent;
}

/**
 * Checks options and fills in defaults.
 *
 * @param defaultTimeoutMs for a job that names none, milliseconds
 * @param limitBytes what the broker takes beside our headers, as payloadLimit() says
 * @param newId makes the id of a job that names none
 * @throws PoolError `invalid_argument` naming the field, `payload_too_large`
 */
export function toJobSpec(
  payload: Uint8Array,
  options: SubmitOptions | JobHeaders,
  defaultTimeoutMs: number,
  limitBytes: number,
  newId: () => string,
): JobSpec {
  const id = "id" in options ? options.id : (options as JobHeaders).jobId;
  const traceparent = options.traceparent;
  const tracestate = options.tracestate;
  checkPayload(payload);
  const refusal = jobRefusal(payload, options, limitBytes);
  if (refusal !== undefined) throw refusal;
  const { nonce: said, clockMs } = options as JobHeaders;
  // A client of ours says a nonce when its caller chose the id; without one the id is its own.
  const nonce = said ?? (id === undefined || clockMs !== undefined ? "" : newId());
  return {
    nonce,
    id: id === undefined ? newId() : checkName("job", id),
    payload,
    timeoutMs: options.timeoutMs === undefined ? defaultTimeoutMs : checkTimeoutMs(options.timeoutMs),
    runTimeoutMs: undefined,
    maxAttempts: undefined,
    idempotent: options.idempotent ?? false,
    joinAt: undefined,
    priority: options.priority === undefined ? "normal" : checkPriority(options.priority),
    wait: options.wait ?? true,
    waitForPool: options.waitForPool ?? false,
    client: options.client === undefined || options.client === "" ? "" : checkClient(options.client),
    traceparent: traceparent === undefined ? undefined : checkTraceHeader("traceparent", traceparent),
    tracestate: tracestate === undefined ? undefined : checkTraceHeader("tracestate", tracestate),
    attemptsBefore: ((options as JobHeaders).attempt ?? 1) - 1,
  };
}

/**
 * How many attempts belong to one manager, or to one delivery of a stored job. A client that gives a job to another
 * manager begins at the next block, so that no attempt is ever made twice: the number of an attempt is its name. What people
 * and handlers see is a count ({@link attemptCount}).
 */
export const ATTEMPTS_PER_MANAGER = 1_000;

/** Where the numbers of a delivery that the broker may have forgotten begin. */
const HALF = ATTEMPTS_PER_MANAGER / 2;
/** How many attempts one manager makes of a job that may run again, and so of one delivery. */
export const MAX_ATTEMPTS = 5;
/** How long the next forgotten delivery begins with the same number, in milliseconds. */
const SAME_NUMBER_MS = 200;
/** After so long the numbers of forgotten deliveries begin anew, in milliseconds. */
export const NUMBERS_RISE_FOR_MS = (HALF / MAX_ATTEMPTS) * SAME_NUMBER_MS;

/**
 * The number of the first attempt of a delivery of a stored job.
 *
 * Attempts of a delivery that the broker has forgotten are not made again: those of its repeat have numbers from the
 * second half, which rise every 200 ms and begin anew after 20 s: a broker may be killed twice within a second. Two
 * managers that have waited for the same broker are about to send what it delivered to both, so each has a time of its own.
 *
 * @param delivery 1 for the first
 * @param atMs milliseconds since the epoch, more by as much as is this manager's own
 */
export function firstOfDelivery(delivery: number, mayBeRepeat: boolean, atMs: number): number {
  const offset = mayBeRepeat ? HALF + ((Math.floor(atMs / SAME_NUMBER_MS) * MAX_ATTEMPTS) % HALF) : 0;
  return (delivery - 1) * ATTEMPTS_PER_MANAGER + offset + 1;
}

/** Which attempt of its job it is, as it is shown: 1 for the first. 0 stays 0: there was none. */
export function attemptCount(number: number): number {
  if (number === 0) return 0;
  const before = Math.floor((number - 1) / ATTEMPTS_PER_MANAGER);
  const own = (number - 1) % ATTEMPTS_PER_MANAGER;
  return before + (own < HALF ? own : own % MAX_ATTEMPTS) + 1;
}
