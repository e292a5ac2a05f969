/** The place of a job in a batch: how it is checked, and written as a header. Pure. */
import { PoolError } from "../../errors.js";
import type { NextJob } from "../../job/job.js";
import { HEADER } from "../../wire/headers.js";
import { checkName, isName } from "../../wire/subjects.js";

/** Which job of which batch. */
export interface BatchPlace {
  /** The batch's id. */
  readonly batch: string;
  /** The job's place in it, from 0. */
  readonly index: number;
}

/** The most jobs that a batch may have. */
export const MAX_BATCH_JOBS = 100_000;
/** The longest id of a batch: the ids of its jobs and of its completion job are made of it. */
export const MAX_BATCH_ID = 50;

/** @throws PoolError `invalid_argument` */
export function checkBatchId(id: unknown, field = "batch"): string {
  if (isName(id) && id.length <= MAX_BATCH_ID) return id;
  throw new PoolError("invalid_argument", `${field}: use 1 to ${MAX_BATCH_ID} letters, digits, "_" or "-"`, { field });
}

/** The id of a job that its caller gives none. */
export function memberId(batch: string, index: number): string {
  return `${batch}-${index}`;
}

/** The id of a completion job that its caller gives none. */
export function completionId(batch: string): string {
  return `${batch}-completed`;
}

/** The completion job of a batch, with its id. @throws PoolError `invalid_argument` */
export function checkCompletion(pool: string, batch: string, said: unknown): NextJob {
  if (typeof said !== "object" || said === null) throw refusedCompletion("use { pool, id }");
  const { pool: into, id } = said as { pool?: unknown; id?: unknown };
  const completion = {
    pool: checkName("onComplete", into as string),
    id: id === undefined ? completionId(batch) : checkName("onComplete", id as string),
  };
  const isLikeJob = completion.id.startsWith(`${batch}-`) && /^\d+$/.test(completion.id.slice(batch.length + 1));
  if (completion.pool === pool && isLikeJob) throw refusedCompletion("its id is that of a job of the batch");
  return completion;
}

function refusedCompletion(why: string): PoolError {
  return new PoolError("invalid_argument", `onComplete: ${why}`, { field: "onComplete" });
}

/** As a header: "import-7:12". */
export function encodePlace({ batch, index }: BatchPlace): string {
  return `${batch}:${index}`;
}

/** @throws PoolError `invalid_argument` with the header as its field */
export function decodePlace(text: string | undefined): BatchPlace | undefined {
  if (text === undefined || text === "") return undefined;
  const [, batch = "", index = ""] = /^([^:]+):(\d{1,6})$/.exec(text) ?? [];
  if (!isName(batch) || batch.length > MAX_BATCH_ID || Number(index) >= MAX_BATCH_JOBS) {
    const message = `${HEADER.batch}: use ID:INDEX, with an index below ${MAX_BATCH_JOBS}`;
    throw new PoolError("invalid_argument", message, { field: HEADER.batch });
  }
  return { batch, index: Number(index) };
}
