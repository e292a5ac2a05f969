/**
 * What is kept of a batch: one message of the stream of batches, and how it changes. Pure.
 *
 * Decided here: a batch is open for jobs until it is sealed with their number. It is full when each of them has an
 * outcome, and then changes no more, so that whoever enqueues the completion job enqueues the same one. The headers of the message
 * are those of the completion job.
 */
import { PoolError } from "../../errors.js";
import { parseJson } from "../../job/codec.js";
import type { NextJob, Outcome } from "../../job/job.js";
import { MAX_BATCH_JOBS } from "./batch-place.js";
import { type EndCounts, endAt, endOfMarks, grown, isNews, type Marks, type MemberEnd, setEnd } from "./marks.js";

/** A job of a batch that did not succeed. */
export interface BatchFailure {
  /** The job's place in the batch, from 0. */
  readonly index: number;
  readonly id: string;
  /** Why, as in the catalogue of errors: "job_failed", "canceled", … */
  readonly reason: string;
}

/** That a job of a batch has an outcome. */
export interface Mark extends BatchFailure {
  readonly end: MemberEnd;
}

/** That a job has ended so. */
export function markOf(index: number, outcome: Outcome): Mark {
  if (outcome.ok) return { index, id: outcome.id, reason: "", end: "succeeded" };
  const { reason } = outcome.error;
  return { index, id: outcome.id, reason, end: reason === "canceled" ? "canceled" : "failed" };
}

/** A batch as it is stored. Times are milliseconds since the epoch. */
export interface BatchRecord {
  readonly id: string;
  /** Whose batch it is; "" when it does not say. */
  readonly client: string;
  /** The job that is enqueued at its end. */
  readonly completion: NextJob;
  /** What the completion job hears besides, as JSON; "" for nothing. */
  readonly context: string;
  readonly openedAt: number;
  /** How many jobs it has; undefined until it is sealed. */
  readonly total: number | undefined;
  readonly counts: EndCounts;
  /** The first jobs that did not succeed, at most {@link MAX_FAILURES}. */
  readonly failures: readonly BatchFailure[];
  /** Empty once the completion job is enqueued. */
  readonly marks: Marks;
  /** When the last outcome was counted, or the batch was sealed after it. */
  readonly fullAt: number | undefined;
  /** When the completion job was enqueued. */
  readonly completedAt: number | undefined;
}

/** Failures that a batch names; the rest is only counted. */
export const MAX_FAILURES = 100;
/** The longest context, in bytes of JSON. */
export const MAX_CONTEXT_BYTES = 8_192;
/** What all but the marks take of a message at most, in bytes. */
const RESERVE_BYTES = 32_768;
/** Jobs of which one byte of the message tells: two bits each, and six bits a character. */
const JOBS_PER_CHARACTER = 3;

/** How many jobs a batch may have at a broker with this bound of messages, in bytes. */
export function batchLimit(maxPayloadBytes: number): number {
  return Math.max(0, Math.min(MAX_BATCH_JOBS, (maxPayloadBytes - RESERVE_BYTES) * JOBS_PER_CHARACTER));
}

export function newBatch(
  given: Pick<BatchRecord, "id" | "client" | "completion" | "context" | "openedAt">,
): BatchRecord {
  return {
    ...given,
    total: undefined,
    counts: { succeeded: 0, failed: 0, canceled: 0 },
    failures: [],
    marks: new Uint8Array(),
    fullAt: undefined,
    completedAt: undefined,
  };
}

/** Jobs that have an outcome. */
export function countedJobs({ counts }: Pick<BatchRecord, "counts">): number {
  return counts.succeeded + counts.failed + counts.canceled;
}

/** Counts outcomes; the same record when none of them is news. @param nowMs milliseconds since the epoch */
export function withMarks(record: BatchRecord, added: Iterable<Mark>, nowMs: number): BatchRecord {
  if (record.fullAt !== undefined) return record;
  let { marks } = record;
  const counts = { ...record.counts };
  let failures = record.failures;
  for (const { index, id, reason, end } of added) {
    const before = endAt(marks, index);
    if (index >= (record.total ?? MAX_BATCH_JOBS) || !isNews(before, end)) continue;
    if (marks === record.marks || index >= marks.length * 4) marks = grown(marks, index);
    setEnd(marks, index, end);
    counts[end] += 1;
    if (before !== undefined) counts[before] -= 1;
    failures = failures.filter((each) => each.index !== index);
    if (end !== "succeeded" && failures.length < MAX_FAILURES) failures = [...failures, { index, id, reason }];
  }
  return marks === record.marks ? record : whenFull({ ...record, marks, counts, failures }, nowMs);
}

/**
 * Says how many jobs it has; the same record when that was said before.
 *
 * @throws PoolError `invalid_argument` when an outcome beyond that number is counted, `duplicate_job` when another
 * number was said before
 */
export function sealed(record: BatchRecord, total: number, nowMs: number): BatchRecord {
  if (record.total === total) return record;
  if (record.total !== undefined) {
    throw new PoolError("duplicate_job", `total: the batch was sealed with ${record.total} jobs`, { field: "total" });
  }
  const least = endOfMarks(record.marks);
  if (least > total) throw refused("total", `the batch has ${least} jobs at least`);
  return whenFull({ ...record, total }, nowMs);
}

function whenFull(record: BatchRecord, nowMs: number): BatchRecord {
  return countedJobs(record) === record.total ? { ...record, fullAt: nowMs } : record;
}

/** Its completion job is enqueued: what only counting needs is dropped. */
export function completed(record: BatchRecord, nowMs: number): BatchRecord {
  return { ...record, marks: new Uint8Array(), completedAt: nowMs };
}

/** The payload of the completion job, as JSON. The same for everybody who makes it. */
export function summaryOf(pool: string, { id, total, counts, failures, context }: BatchRecord): Uint8Array {
  const { succeeded, failed, canceled } = counts;
  const ordered = [...failures].sort((a, b) => a.index - b.index);
  const summary = { batch: id, pool, total, succeeded, failed, canceled, failures: ordered };
  return Buffer.from(JSON.stringify(context === "" ? summary : { ...summary, context: parseJson(context) }));
}

/** @returns the context as JSON, "" for none. @throws PoolError `invalid_argument` */
export function checkContext(context: unknown): string {
  if (context === undefined) return "";
  let text: string | undefined;
  try {
    text = JSON.stringify(context);
  } catch {
    // told below
  }
  if (text === undefined) throw refused("context", "use what can be JSON");
  if (Buffer.byteLength(text) > MAX_CONTEXT_BYTES)
    throw refused("context", `use at most ${MAX_CONTEXT_BYTES} bytes of JSON`);
  return text;
}

/** @throws PoolError `invalid_argument` */
export function checkTotal(total: unknown, most: number): number {
  if (typeof total === "number" && Number.isInteger(total) && total >= 0 && total <= most) return total;
  throw refused("total", `a batch has 0 to ${most} jobs`);
}

export function encodeBatch(record: BatchRecord): Uint8Array {
  return Buffer.from(JSON.stringify({ ...record, marks: Buffer.from(record.marks).toString("base64") }));
}

/** Undefined for a message that is none. */
export function decodeBatch(payload: Uint8Array): BatchRecord | undefined {
  try {
    const said = parseJson(Buffer.from(payload).toString()) as BatchRecord & { readonly marks: unknown };
    if (typeof said.id !== "string" || typeof said.marks !== "string" || typeof said.completion?.pool !== "string") {
      return undefined;
    }
    const { total, fullAt, completedAt } = said;
    return { ...said, total, fullAt, completedAt, marks: Uint8Array.from(Buffer.from(said.marks, "base64")) };
  } catch {
    return undefined;
  }
}

function refused(field: string, why: string): PoolError {
  return new PoolError("invalid_argument", `${field}: ${why}`, { field });
}
