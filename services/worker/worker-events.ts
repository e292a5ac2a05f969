/** What a worker tells who listens to `worker.events`. */
import type { PoolError } from "../../mesh/errors.js";
import type { PartEvents, TypedEvents } from "../../mesh/process/part-events.js";
import type { HandlerOutcome } from "./handlers/runner.js";
import type { RunningJob } from "./jobs/running-job.js";

/** Which worker. */
export interface WorkerName {
  readonly pool: string;
  readonly worker: string;
}

/** One attempt of a job at a worker. */
export interface JobName extends WorkerName {
  readonly id: string;
  /** 1 for the first try. */
  readonly attempt: number;
  readonly traceparent: string | undefined;
}

/** The events of a worker, and what a listener gets. */
export interface WorkerEventMap {
  /** It takes jobs. */
  "worker:ready": WorkerName & { readonly slots: number };
  /** It was paused. */
  "worker:pause": WorkerName;
  /** It takes jobs again. */
  "worker:resume": WorkerName;
  /** It takes nothing new and finishes what runs. */
  "worker:drain": WorkerName;
  /** It has ended; with an error when nobody asked it to. */
  "worker:stop": WorkerName & { readonly error: Error | undefined };
  /** A job has a slot; its handler is called next. */
  "job:start": { readonly job: JobName };
  /** A result goes to the caller. Durations are in milliseconds from the start. */
  "job:success": { readonly job: JobName; readonly durationMs: number; readonly resultBytes: number };
  /** An error goes to the caller: the handler's, a refusal, a cancel, the deadline or the end of a drain's grace. */
  "job:error": { readonly job: JobName; readonly durationMs: number; readonly error: PoolError };
  /** After each `job:success` and each `job:error`. */
  "job:complete": { readonly job: JobName; readonly durationMs: number; readonly error: PoolError | undefined };
}

/** An EventEmitter of {@link WorkerEventMap}. */
export type WorkerEvents = TypedEvents<WorkerEventMap>;

export function tellStarted(events: PartEvents<WorkerEventMap>, running: RunningJob): void {
  events.tell("job:start", { job: nameOf(running) });
}

export function tellOutcome(
  events: PartEvents<WorkerEventMap>,
  running: RunningJob,
  outcome: HandlerOutcome,
  nowMs: number,
): void {
  const job = nameOf(running);
  const durationMs = nowMs - running.startedAtMs;
  if (outcome.ok) events.tell("job:success", { job, durationMs, resultBytes: outcome.payload.length });
  else events.tell("job:error", { job, durationMs, error: outcome.error });
  events.tell("job:complete", { job, durationMs, error: outcome.ok ? undefined : outcome.error });
}

function nameOf({ id, pool, worker, attempt, traceparent }: RunningJob): JobName {
  return { id, pool, worker, attempt, traceparent };
}
