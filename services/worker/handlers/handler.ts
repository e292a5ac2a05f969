/**
 * The handler: the user's function, the job that it gets, and how what it
 * returns or throws becomes an outcome.
 *
 * The same for every isolation: inline it runs here, else in a thread or child.
 * Whatever a handler or codec gives or throws, it ends its own job and nothing else.
 */

import { types } from "node:util";
import { PoolError, safeMessage } from "../../../mesh/errors.js";
import { type Codec, codingOf, isBytes, requireReadable } from "../../../mesh/job/codec.js";
import type { JobLane } from "../../../mesh/job/job.js";
import type { GivenOf, PoolDefinition, ReturnedOf } from "../../../mesh/job/pool-definition.js";
import { isA } from "../../../mesh/thrown.js";
import { tellSyntaxPlace } from "./loading/syntax-place.js";
import type { Call, Failure, HandlerOutcome, Report } from "./runner.js";
import { readThrown, type Thrown } from "./thrown.js";

/** One job, as a handler sees it. */
export interface Job<I = unknown> {
  readonly id: string;
  readonly pool: string;
  readonly worker: string;
  /** 1 for the first try, one more for each later one. */
  readonly attempt: number;
  /** A number that no other attempt of the job has, and that is no count: later attempts mostly have higher ones. */
  readonly attemptNumber: number;
  /** "durable" when the job was enqueued, "core" when its caller waits for it. */
  readonly lane: JobLane;
  /** Failures after which an enqueued job becomes a dead letter; undefined for a job whose caller waits for it. */
  readonly maxAttempts: number | undefined;
  /** The payload through the codec. */
  readonly payload: I;
  /** The payload as it came. */
  readonly bytes: Uint8Array;
  /** Fires when the job is canceled or out of time; a handler that ignores it keeps its slot. */
  readonly signal: AbortSignal;
  /** The deadline, in milliseconds since the epoch. */
  readonly deadlineMs: number;
  /** Milliseconds until the deadline, not below 0. */
  readonly timeLeftMs: number;
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
  /**
   * Sends an intermediate value to the caller, through the output codec. When values come faster than they can leave,
   * only the latest of those that wait is sent; the last one before the outcome always is.
   *
   * @throws PoolError field "progress": `invalid_argument` when the codec cannot encode it, `payload_too_large` when the
   *   broker does not take it
   */
  progress(value: unknown): void;
}

/** The user's function. */
export type Handler<I = unknown, O = unknown> = (job: Job<I>) => O | Promise<O>;

/** The job of a typed pool, as its handler sees it. */
export type JobOf<D extends PoolDefinition> = Job<GivenOf<D>>;

/** The handler of a typed pool. */
export type HandlerOf<D extends PoolDefinition> = Handler<GivenOf<D>, ReturnedOf<D>>;

/** The codecs of what goes in and what comes out. */
export interface CodecPair {
  readonly input: Codec;
  readonly output: Codec;
}

/** A handler and what is needed to call it. */
export interface Runnable {
  readonly run: Handler;
  readonly codecs: CodecPair;
  /** Absolute path of the file that it was loaded from; undefined: it is a function of this program. */
  readonly file?: string | undefined;
}

/**
 * Runs a handler on one call and ends it, at once when the handler is synchronous. Never throws.
 *
 * @param report hears of a failure before the call ends
 */
export function invoke({ run, codecs, file }: Runnable, call: Call, report?: Report): void {
  const end = (outcome: HandlerOutcome): void => {
    if (!outcome.ok) report?.(call, outcome);
    call.end(outcome);
  };
  const fail = (thrown: unknown): void => {
    const told = tellSyntaxPlace(file, thrown);
    if (told === undefined) end(failure(thrown));
    else void told.then(() => end(failure(thrown)));
  };
  let payload: unknown;
  try {
    payload = decodeWith(codecs.input, call.bytes);
  } catch (thrown) {
    return end(payloadRefusal(thrown));
  }
  let value: unknown;
  try {
    value = run(new HandlerJob(call, payload, codecs.output));
    if (isThenable(value)) {
      // also a promise whose own then() throws rejects here
      Promise.resolve(value).then((settled) => end(success(settled, codecs.output)), fail);
      return;
    }
  } catch (thrown) {
    return fail(thrown);
  }
  end(success(value, codecs.output));
}

/** May throw what a getter `then` throws. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

class HandlerJob implements Job {
  readonly id: string;
  readonly pool: string;
  readonly worker: string;
  readonly attempt: number;
  readonly attemptNumber: number;
  readonly lane: JobLane;
  readonly maxAttempts: number | undefined;
  readonly bytes: Uint8Array;
  readonly #call: Call;
  readonly #output: Codec;

  constructor(
    call: Call,
    readonly payload: unknown,
    output: Codec,
  ) {
    this.id = call.id;
    this.pool = call.pool;
    this.worker = call.worker;
    this.attempt = call.attempt;
    this.attemptNumber = call.attemptNumber;
    this.lane = call.lane;
    this.maxAttempts = call.maxAttempts;
    this.bytes = call.bytes;
    this.#call = call;
    this.#output = output;
  }

  get signal(): AbortSignal {
    return this.#call.signal;
  }

  get deadlineMs(): number {
    return Date.now() + timeLeftMs(this.#call);
  }

  get timeLeftMs(): number {
    return Math.max(0, timeLeftMs(this.#call));
  }

  get traceparent(): string | undefined {
    return this.#call.traceparent;
  }

  get tracestate(): string | undefined {
    return this.#call.tracestate;
  }

  /** Works on its own, too: `const { payload, progress } = job`. */
  get progress(): (value: unknown) => void {
    return (value) => this.#report(value);
  }

  #report(value: unknown): void {
    const payload = codingOf("progress", () => encodeWith(this.#output, value));
    const { progressLimit = Number.POSITIVE_INFINITY } = this.#call;
    if (payload.length > progressLimit) throw tooLarge(payload.length, progressLimit);
    this.#call.progress(payload);
  }
}

function tooLarge(bytes: number, limit: number): PoolError {
  const message = `progress: ${bytes} bytes, the broker takes at most ${limit}: send less, or where the value can be found`;
  return new PoolError("payload_too_large", message, { field: "progress" });
}

function timeLeftMs(call: Call): number {
  return call.timeLeftMs ?? call.deadlineAtMs - performance.now();
}

/** What a handler returned, as an outcome. */
function success(value: unknown, output: Codec): HandlerOutcome {
  try {
    return { ok: true, payload: encodeWith(output, value) };
  } catch (thrown) {
    const read = readThrown(thrown);
    const why = safeMessage(read.message.replace(/^payload: /, "")) || "not encodable";
    return failed("job_failed", `result: ${why}`, { ...read, code: undefined });
  }
}

/** Thrown around a handler, by code of ours that knows which error the caller is to hear. */
export class Refusal extends Error {
  /** @param logged what the log says in place of the error's message, which may quote a payload */
  constructor(
    readonly error: PoolError,
    readonly logged: string,
  ) {
    super(error.message);
  }
}

/** What a handler threw, as an outcome: `job_rejected` for a PermanentError, else `job_failed`. */
export function failure(thrown: unknown): Failure {
  if (isA(thrown, Refusal)) return { ok: false, error: thrown.error, logged: thrown.logged };
  const read = readThrown(thrown);
  const reason = read.permanent ? "job_rejected" : "job_failed";
  return failed(reason, safeMessage(read.message) || "the handler failed", read);
}

/** What the input codec threw, as an outcome: the payload is refused. */
function payloadRefusal(thrown: unknown): Failure {
  const read = readThrown(thrown);
  const why = safeMessage(read.message.replace(/^payload: /, "")) || "the codec refuses it";
  const error = new PoolError("invalid_argument", `payload: ${why}`, { field: "payload" });
  return { ok: false, error, thrown: read };
}

/**
 * A value through a codec.
 *
 * @throws PoolError `invalid_argument`, field "payload", and whatever the codec throws
 */
function encodeWith(codec: Codec, value: unknown): Uint8Array {
  const encoded: unknown = codec.encode(value);
  if (isBytes(encoded)) return asPlainBytes(requireReadable(encoded));
  leaveAlone(encoded);
  const what = types.isPromise(encoded) ? "a promise: it must be synchronous" : "no Uint8Array";
  throw new PoolError("invalid_argument", `payload: the codec's encode gave ${what}`, { field: "payload" });
}

/**
 * A payload through a codec.
 *
 * @throws whatever the codec throws
 */
function decodeWith(codec: Codec, payload: Uint8Array): unknown {
  const decoded = codec.decode(payload);
  // one that a handler does not await must not end the process
  leaveAlone(decoded);
  return decoded;
}

function failed(reason: "job_failed" | "job_rejected", message: string, thrown: Thrown): Failure {
  const options = thrown.code === undefined ? {} : { jobCode: thrown.code };
  return { ok: false, error: new PoolError(reason, message, options), thrown };
}

/** A subclass, or bytes of another realm, may have a `length` of its own: they are copied. */
function asPlainBytes(bytes: Uint8Array): Uint8Array {
  const prototype: unknown = Object.getPrototypeOf(bytes);
  return prototype === Buffer.prototype || prototype === Uint8Array.prototype ? bytes : new Uint8Array(bytes);
}

/** A promise that nobody awaits and that rejects would end the process. */
function leaveAlone(value: unknown): void {
  if (types.isPromise(value)) Promise.prototype.then.call(value, undefined, () => undefined);
}
