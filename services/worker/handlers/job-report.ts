/** The worker's log of handlers: one line for each failed job, and one for each trouble of a handler's life. */
import { PoolError, safeMessage } from "../../../mesh/errors.js";
import type { Logger } from "../../../mesh/process/log.js";
import type { Call, Failure, Report } from "./runner.js";
import type { Thrown } from "./thrown.js";

/** Reasons that are the caller's, not the handler's: logged at "info". */
const OF_THE_CALLER = new Set<string>(["job_rejected", "invalid_argument", "canceled", "draining"]);

/**
 * Logs each failed job at "warn", or at "info" when the caller is the reason: one
 * line a job. A job that was aborted is logged at its abort, so what its handler
 * throws after that is not. The payload is never logged.
 */
export function reportTo(log: Logger): Report {
  return (call, failure) => {
    if (call.signal.aborted && call.signal.reason !== failure.error) return;
    const line = failedJob(call, failure);
    if (OF_THE_CALLER.has(line.reason)) log.info(line, "job failed");
    else log.warn(line, "job failed");
  };
}

/** What is logged of a job that failed. All of it is text or a number. */
export interface FailedJob {
  readonly pool: string;
  readonly worker: string;
  readonly job: string;
  readonly attempt: number;
  /** From `traceparent`; undefined when there is none. */
  readonly traceId: string | undefined;
  readonly reason: string;
  /** The handler's own code. */
  readonly code: string | undefined;
  readonly error: string;
  readonly stack: string | undefined;
  readonly cause: string | undefined;
}

/** The fields of a failed job's line. */
export function failedJob(call: Call, failure: Failure): FailedJob {
  const abort: unknown = call.signal.aborted ? call.signal.reason : undefined;
  const error = abort instanceof PoolError ? abort : failure.error;
  const thrown = error === failure.error ? failure.thrown : undefined;
  return {
    pool: call.pool,
    worker: call.worker,
    job: call.id,
    attempt: call.attempt,
    traceId: traceIdOf(call.traceparent),
    reason: error.reason,
    code: error.jobCode,
    error: (error === failure.error ? failure.logged : undefined) ?? error.message,
    stack: thrown?.stack,
    cause: thrown?.cause,
  };
}

/** The trace id of a W3C `traceparent`; undefined when it is none. */
export function traceIdOf(traceparent: string | undefined): string | undefined {
  const id = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/.exec(traceparent ?? "")?.[1];
  return id === undefined || /^0+$/.test(id) ? undefined : id;
}

/** Logs, once for each job, that progress was dropped: the connection has moved to a broker that takes less. */
export function droppedProgressReportTo(log: Logger) {
  const told = new WeakSet<Call>();
  return (call: Call, bytes: number): void => {
    if (told.has(call)) return;
    told.add(call);
    const { pool, worker, id, progressLimit } = call;
    log.warn({ pool, worker, job: id, bytes, limit: progressLimit }, "progress dropped: the broker does not take it");
  };
}

/** Logs what a teardown threw. */
export function teardownReportTo(log: Logger, pool: string, worker: string): (thrown: Thrown) => void {
  return ({ message, stack, cause }) => {
    log.warn({ pool, worker, error: message, stack, cause }, "teardown failed");
  };
}

/** Logs that a thread or process ended by itself while it ran no job: no job's line would say why. */
export function deathReportTo(log: Logger, pool: string, worker: string) {
  return (what: string, thrown: Thrown | undefined): void => {
    const line = { pool, worker, error: safeMessage(what), stack: thrown?.stack, cause: thrown?.cause };
    log.error(line, "a handler's thread or process ended between jobs; another takes its place");
  };
}
