/** The settings of every pool of a manager, and what a manager tells the program that embeds it. */
import type { Outcome } from "../../../mesh/job/job.js";
import type { HistoryLimits } from "../jobs/history.js";
import type { ParkedLimits } from "../jobs/parked-queue.js";

/** What a manager tells the program that embeds it. All are called synchronously; they must not throw. */
export interface ManagerHooks {
  /** A worker has accepted a job, or finished it before it had to say so. */
  jobStart?(job: {
    readonly id: string;
    readonly pool: string;
    readonly worker: string;
    /** As a handler sees both. */
    readonly attempt: number;
    readonly attemptNumber: number;
  }): void;
  /** A job has its outcome. */
  jobFinish?(outcome: Outcome & { readonly pool: string }): void;
  /** A worker was seen first. */
  workerAdd?(worker: { readonly id: string; readonly pool: string; readonly slots: number }): void;
  /** A worker left or was lost. */
  workerRemove?(worker: { readonly id: string; readonly pool: string; readonly why: string }): void;
}

/** The settings of every pool of a manager. */
export interface PoolSettings {
  readonly limits: ParkedLimits;
  /** For jobs that name none, in milliseconds. */
  readonly timeoutMs: number;
  readonly acceptTimeoutMs: number;
  /** The pool has workers that send no heartbeats besides those that do. */
  readonly bare: boolean;
  readonly maxWorkers: number;
  /** What is remembered of jobs that have ended. */
  readonly history: HistoryLimits;
  /** Tells what happens to jobs on `pool.P.event.*` although nobody asks for it. */
  readonly jobEvents: boolean;
  readonly hooks: ManagerHooks;
}
