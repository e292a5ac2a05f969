/** How a batch stands, for those who ask. Pure. */
import { PoolError } from "../../errors.js";
import type { NextJob } from "../../job/job.js";
import type { BatchFailure, BatchRecord } from "./batch-record.js";

/** How a batch stands. */
export interface BatchStatus {
  readonly id: string;
  /**
   * "adding": not all of its jobs are said to be enqueued. "running": some have no outcome yet. "completed": each has
   * one, and the completion job is enqueued.
   */
  readonly state: "adding" | "running" | "completed";
  /** How many jobs it has; undefined while it is "adding". */
  readonly total?: number;
  /** Jobs with a result. */
  readonly succeeded: number;
  /** Jobs that were given up. */
  readonly failed: number;
  readonly canceled: number;
  /** The first jobs that did not succeed, by place, at most 100. */
  readonly failures: readonly BatchFailure[];
  /** The job that is enqueued at the end. */
  readonly completion: NextJob;
  /** Whose batch it is; "" when it does not say. */
  readonly client: string;
  readonly openedAt: Date;
  /** When the last outcome was counted. */
  readonly endedAt?: Date;
}

export function toStatus(record: BatchRecord): BatchStatus {
  const { id, total, counts, failures, completion, client, openedAt, fullAt, completedAt } = record;
  return {
    id,
    state: completedAt !== undefined ? "completed" : total === undefined ? "adding" : "running",
    ...(total === undefined ? {} : { total }),
    ...counts,
    failures: [...failures].sort((a, b) => a.index - b.index),
    completion,
    client,
    openedAt: new Date(openedAt),
    ...(fullAt === undefined ? {} : { endedAt: new Date(fullAt) }),
  };
}

/** A status that came as JSON. @throws PoolError `internal` for what is none */
export function readStatus(said: unknown): BatchStatus {
  const { openedAt, endedAt, ...status } = (said ?? {}) as BatchStatus;
  if (typeof status.id !== "string" || typeof status.completion?.pool !== "string") {
    throw new PoolError("internal", "the answer is none of a manager that keeps batches");
  }
  const times = { openedAt: new Date(openedAt), ...(endedAt === undefined ? {} : { endedAt: new Date(endedAt) }) };
  return { ...status, ...times };
}
