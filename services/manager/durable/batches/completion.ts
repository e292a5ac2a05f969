/**
 * Enqueues the completion job of a batch of which every job has an outcome.
 *
 * Decided here: the full record is stored, then the completion job, then that it is enqueued, and only then the job
 * whose outcome was the last is acknowledged. A manager that dies in between leaves all of that to whoever gets that job again, or
 * finds the full record (sweep.ts): the completion job has the same id and the same payload, and an id is stored once.
 */
import { completed, summaryOf } from "../../../../mesh/durable/batches/batch-record.js";
import { decodeDurableJob } from "../../../../mesh/durable/job.js";
import { LEVELS } from "../../../../mesh/durable/names.js";
import { DEFAULT_TIMEOUT_MS } from "../../../../mesh/job/job.js";
import { HEADER } from "../../../../mesh/wire/headers.js";
import { NextJobs, type NextJobsParts } from "../after/next-jobs.js";
import { type StoredBatch, writeBatch } from "./batch-store.js";

/** What it works with, besides the pool. */
export interface CompletionParts extends Omit<NextJobsParts, "pool"> {
  /** Whether this manager may enqueue in a pool for others. */
  readonly mayFollow: (pool: string) => boolean;
  /** A completion job of a batch of this pool was enqueued here. */
  readonly onCompleted: (pool: string) => void;
}

/** When to try again what another manager must do, and what could not be stored, in milliseconds. */
const OTHERS_MS = 5_000;
const AGAIN_MS = 1_000;

/** @returns when to try again, milliseconds; undefined when it is done. @throws PoolError `bus_unavailable` */
export async function complete(parts: CompletionParts, pool: string, batch: StoredBatch): Promise<number | undefined> {
  const { bus, log, mayFollow, onCompleted } = parts;
  const { record, headers } = batch;
  const { id, completion: ref, fullAt, completedAt } = record;
  if (fullAt === undefined || completedAt !== undefined) return undefined;
  if (!mayFollow(ref.pool)) {
    log.warn({ pool, batch: id, next: ref.pool }, "this manager does not serve the pool of a completion job");
    return OTHERS_MS;
  }
  const job = decodeDurableJob(headers, DEFAULT_TIMEOUT_MS, bus.inboxPrefix);
  const againMs = await new NextJobs({ ...parts, pool }).store({
    ref,
    level: LEVELS.find((level) => level === headers?.get(HEADER.priority)) ?? "normal",
    payload: summaryOf(pool, record),
    job: { ...job, enqueuedAt: fullAt, check: true, keepOutcome: true, batch: undefined, notify: undefined },
    origin: `${pool}.batch.${id}`,
    endedAt: fullAt,
  });
  if (againMs !== undefined) return againMs;
  const written = await writeBatch(parts, pool, batch, completed(record, bus.runtime.wallNow()));
  if (written.kind === "stored") onCompleted(pool);
  // Another manager has said so first: a full record changes in no other way.
  return written.kind === "failed" ? AGAIN_MS : undefined;
}
