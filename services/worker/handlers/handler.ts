/**
 * The handler: the user's function, the job that it gets, and how what it
 * returns or throws becomes an ending.
 *
 * The same for every isolation: inline it runs here, else in a thread or child.
 */

import { PoolError, safeMessage } from "../../../mesh/errors.js";
import type { Codec } from "../../../mesh/wire/codec.js";
import type { Call, Ending } from "./runner.js";

/** One job, as a handler sees it. */
export interface Job<I = unknown> {
  readonly id: string;
  readonly pool: string;
  readonly worker: string;
  /** 1 for the first try. */
  readonly attempt: number;
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
  /** Sends an intermediate value to the caller, through the output codec. */
  progress(value: unknown): void;
}

/** The user's function. */
export type Handler<I = unknown, O = unknown> = (job: Job<I>) => O | Promise<O>;

/** The codecs of what goes in and what comes out. */
export interface CodecPair {
  readonly input: Codec;
  readonly output: Codec;
}

/** Runs `run` on one call and ends it, at once when the handler is synchronous. */
export function invoke(run: Handler, codecs: CodecPair, call: Call): void {
  let payload: unknown;
  try {
    payload = codecs.input.decode(call.bytes);
  } catch (thrown) {
    call.end({ ok: false, error: asPayloadError(thrown) });
    return;
  }
  let value: unknown;
  try {
    value = run(new HandlerJob(call, payload, codecs.output));
  } catch (thrown) {
    call.end(failure(thrown));
    return;
  }
  if (!isThenable(value)) {
    call.end(success(value, codecs.output));
    return;
  }
  Promise.resolve(value).then(
    (settled) => call.end(success(settled, codecs.output)),
    (thrown) => call.end(failure(thrown)),
  );
}

/** What a handler threw, as an ending: `job_rejected` for a PermanentError, else `job_failed`. */
export function failure(thrown: unknown): Ending {
  const isError = thrown instanceof Error;
  const reason = isError && thrown.name === "PermanentError" ? "job_rejected" : "job_failed";
  const message = isError ? thrown.message || thrown.name : `the handler threw ${describe(thrown)}`;
  return { ok: false, error: new PoolError(reason, safeMessage(message) || "the handler failed") };
}

function success(value: unknown, output: Codec): Ending {
  try {
    return { ok: true, payload: output.encode(value) };
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message.replace(/^payload: /, "") : "not encodable";
    return { ok: false, error: new PoolError("job_failed", `result: ${safeMessage(why)}`) };
  }
}

function asPayloadError(thrown: unknown): PoolError {
  if (thrown instanceof PoolError) return thrown;
  return new PoolError("invalid_argument", "payload: the codec refuses it", { field: "payload", cause: thrown });
}

function describe(thrown: unknown): string {
  return typeof thrown === "string" ? JSON.stringify(thrown.slice(0, 200)) : thrown === null ? "null" : typeof thrown;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

class HandlerJob implements Job {
  readonly id: string;
  readonly pool: string;
  readonly worker: string;
  readonly attempt: number;
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
    this.bytes = call.bytes;
    this.#call = call;
    this.#output = output;
  }

  get signal(): AbortSignal {
    return this.#call.signal;
  }

  get deadlineMs(): number {
    return Date.now() + this.#call.deadlineAtMs - performance.now();
  }

  get timeLeftMs(): number {
    return Math.max(0, this.#call.deadlineAtMs - performance.now());
  }

  get traceparent(): string | undefined {
    return this.#call.traceparent;
  }

  get tracestate(): string | undefined {
    return this.#call.tracestate;
  }

  progress(value: unknown): void {
    this.#call.progress(this.#output.encode(value));
  }
}
