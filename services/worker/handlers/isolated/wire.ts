/** What crosses between a worker and the thread or child process that runs its handler, and how errors become text. */
import { isReason, PoolError } from "../../../../mesh/errors.js";
import type { LifeStage } from "../handler-life.js";
import type { ContextData } from "../loaded-handler.js";
import type { Call, CallData, Failure, HandlerOutcome } from "../runner.js";
import type { Thrown } from "../thrown.js";

/** Which handler a thread or child runs. */
export interface HandlerSource {
  readonly file: string;
  /** The name of a codec that goes before the file's own. */
  readonly codec: string | undefined;
  readonly context: ContextData;
}

/** One job on its way over. */
export interface WireCall extends CallData {
  /** Unique among the calls of one thread or child. */
  readonly call: number;
  readonly timeLeftMs: number;
  /** The largest progress, in bytes. */
  readonly progressLimit: number | undefined;
}

/** An error that can be cloned. */
export interface WireError {
  readonly reason: string;
  readonly message: string;
  readonly field: string | undefined;
  readonly jobCode: string | undefined;
}

/** An outcome on its way back. */
export type WireEnding =
  | { readonly ok: true; readonly payload: Uint8Array }
  | { readonly ok: false; readonly error: WireError; readonly thrown: Thrown | undefined; readonly logged?: string };

/** From the worker. */
export type ToHost =
  | { readonly say: "load"; readonly source: HandlerSource }
  | { readonly say: "run"; readonly wire: WireCall }
  /** So many progress values of a call have come. */
  | { readonly say: "took"; readonly call: number; readonly count: number }
  | { readonly say: "abort"; readonly call: number; readonly error: WireError }
  | { readonly say: "stop" };

/** To the worker. */
export type FromHost =
  | { readonly say: "stage"; readonly stage: LifeStage }
  /** The handler is ready for its first job, unless there is an error. */
  | { readonly say: "loaded"; readonly error: WireError | undefined }
  | { readonly say: "progress"; readonly call: number; readonly payload: Uint8Array }
  | { readonly say: "answer"; readonly call: number; readonly outcome: WireEnding }
  /** An exception that nobody caught; the thread or child is about to end. `idle`: it runs no job, and will begin none. */
  | { readonly say: "uncaught"; readonly thrown: Thrown; readonly idle?: boolean }
  /** Teardown has begun. */
  | { readonly say: "stopping" }
  /** Teardown has ended, with what it threw. */
  | { readonly say: "stopped"; readonly thrown: Thrown | undefined };

export function toWireCall(call: Call, number: number): WireCall {
  return {
    call: number,
    id: call.id,
    pool: call.pool,
    worker: call.worker,
    attempt: call.attempt,
    attemptNumber: call.attemptNumber,
    lane: call.lane,
    maxAttempts: call.maxAttempts,
    bytes: call.bytes,
    traceparent: call.traceparent,
    tracestate: call.tracestate,
    timeLeftMs: call.deadlineAtMs - performance.now(),
    progressLimit: call.progressLimit,
  };
}

export function toWireError({ reason, message, field, jobCode }: PoolError): WireError {
  return { reason, message, field, jobCode };
}

export function fromWireError({ reason, message, field, jobCode }: WireError): PoolError {
  return new PoolError(isReason(reason) ? reason : "job_failed", message, {
    ...(field === undefined ? {} : { field }),
    ...(jobCode === undefined ? {} : { jobCode }),
  });
}

export function toWireEnding(outcome: HandlerOutcome): WireEnding {
  if (outcome.ok) return outcome;
  const { error, thrown, logged } = outcome;
  return { ok: false, error: toWireError(error), thrown, ...(logged === undefined ? {} : { logged }) };
}

export function fromWireEnding(outcome: WireEnding): HandlerOutcome {
  if (outcome.ok) return outcome;
  const { error, thrown, logged } = outcome;
  return { ok: false, error: fromWireError(error), thrown, logged } satisfies Failure;
}
