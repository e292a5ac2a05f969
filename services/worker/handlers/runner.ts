/**
 * What every way of running a handler has in common: calls in, endings out.
 *
 * The four runners (inline, thread, process, exec) differ in where the handler
 * runs; who gets which slot and what is answered is decided elsewhere.
 */
import type { Isolation } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { PoolError } from "../../../mesh/errors.js";
import type { JobLane } from "../../../mesh/job/job.js";
import type { Thrown } from "./thrown.js";

/** A handler that failed, or whose input or result was refused. */
export interface Failure {
  readonly ok: false;
  readonly error: PoolError;
  /** What was thrown, for the log; undefined when nothing was. */
  readonly thrown?: Thrown | undefined;
  /** What the log says in place of the error's message, which may quote a payload. */
  readonly logged?: string | undefined;
}

/** How a handler ended. */
export type HandlerOutcome = { readonly ok: true; readonly payload: Uint8Array } | Failure;

/** Hears of each failed job once, before its call is ended. Must not throw. */
export type Report = (call: Call, failure: Failure) => void;

/** The data about one job that a handler may see. */
export interface CallData {
  readonly id: string;
  readonly pool: string;
  readonly worker: string;
  /** 1 for the first try. */
  readonly attempt: number;
  /** The name of this attempt (mesh/job/job.ts). */
  readonly attemptNumber: number;
  readonly lane: JobLane;
  /** Of the durable lane: failures after which the job is given up. */
  readonly maxAttempts: number | undefined;
  readonly bytes: Uint8Array;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
}

/** One job on its way through a handler. */
export interface Call extends CallData {
  /** Its deadline by performance.now(), in milliseconds. */
  readonly deadlineAtMs: number;
  /** Milliseconds until the deadline, by the clock of who runs the job; default: by performance.now(). */
  readonly timeLeftMs?: number;
  /** The largest progress that the broker takes, in bytes; default: any. */
  readonly progressLimit?: number | undefined;
  /** Fires at the deadline, at a cancel and at the end of a drain's grace; its reason is a PoolError. */
  readonly signal: AbortSignal;
  progress(payload: Uint8Array): void;
  /** To be called once the handler is truly gone. Only the first call counts. */
  end(outcome: HandlerOutcome): void;
}

/** A way of running a handler. */
export interface Runner {
  readonly isolation: Isolation;
  /** Whether a handler can block the worker's own event loop. */
  readonly blocking: boolean;
  /** Whether functions of the worker's own process can run around the handler; default false. */
  readonly takesMiddleware?: boolean;
  /** Whether it reads payloads that are in the object store; default false: they are refused. */
  readonly takesObjects?: boolean;
  /** Loads what there is to load. @throws PoolError `invalid_argument` */
  start(): Promise<void>;
  /** Runs one job, and ends the call when it is done. */
  run(call: Call): void;
  /** The number of slots has changed. */
  resize(slots: number): void;
  /** Ends what still runs and leaves no thread or process behind. */
  stop(): Promise<void>;
}
