/**
 * What is asked at `pool.P.batch`, as JSON:
 *
 *   {"open": {"id": "import-7", "onComplete": {"pool": "mail"}, "context": …}}   opens a batch, or finds it
 *   {"seal": {"id": "import-7", "total": 3}}                                     says how many jobs it has
 *   {"get": "import-7"}                                                          how it stands
 *   {"list": {"limit": 100, "after": 0}}                                         a page of batches
 *
 * The headers of an opening are those of the completion job. The answer to an opening has the marks of jobs that have
 * ended, so that who says the same batch again knows which are over.
 */
import { checkBatchId, checkCompletion } from "../../../../mesh/durable/batches/batch-place.js";
import { checkContext } from "../../../../mesh/durable/batches/batch-record.js";
import { toStatus } from "../../../../mesh/durable/batches/batch-status.js";
import type { BatchPageOptions } from "../../../../mesh/durable/batches/read-batches.js";
import { decodeDurableJob, encodeDurableJob } from "../../../../mesh/durable/job.js";
import { PoolError } from "../../../../mesh/errors.js";
import { json, parseJson } from "../../../../mesh/job/codec.js";
import { DEFAULT_TIMEOUT_MS } from "../../../../mesh/job/job.js";
import { checkPriority, HEADER } from "../../../../mesh/wire/headers.js";
import type { HeaderReader } from "../../../../mesh/wire/wire-headers.js";
import type { LaneBatches, NewBatch } from "./lane-batches.js";

/** The batches of pools. Each rejects with a PoolError. */
export type BatchesDoorParts = Pick<LaneBatches, "open" | "seal" | "get" | "list">;

/** A question. */
export interface BatchQuestion {
  readonly pool: string;
  readonly headers: HeaderReader | undefined;
  readonly text: string;
  /** One more prefix of inboxes, without its dot. */
  readonly inboxPrefix: string;
}

/** @throws PoolError */
export async function answerBatches(batches: BatchesDoorParts, question: BatchQuestion): Promise<Uint8Array> {
  const { pool } = question;
  const { open, seal, get, list } = read(question.text);
  if (open !== undefined) {
    const record = await batches.open(pool, readOpening(open, question));
    return json.encode({ batch: toStatus(record), marks: Buffer.from(record.marks).toString("base64") });
  }
  if (seal !== undefined) {
    const { id, total } = seal as { id?: unknown; total?: unknown };
    return json.encode({ batch: await batches.seal(pool, checkBatchId(id), total as number) });
  }
  if (get !== undefined) return json.encode({ batch: await batches.get(pool, checkBatchId(get)) });
  return json.encode(await batches.list(pool, (list ?? {}) as BatchPageOptions));
}

/** What a completion job does not have of the headers that it comes with. */
const NOT_OF_THE_END = {
  then: [],
  batch: undefined,
  notify: undefined,
  enqueuedAt: undefined,
  expiresAt: undefined,
  afterOutcome: 0,
};

function readOpening(said: unknown, { pool, headers, inboxPrefix }: BatchQuestion): NewBatch {
  const { id: saidId, onComplete, context } = said as { id?: unknown; onComplete?: unknown; context?: unknown };
  const id = checkBatchId(saidId);
  const job = decodeDurableJob(headers, DEFAULT_TIMEOUT_MS, inboxPrefix);
  const completion = checkCompletion(pool, id, onComplete);
  const own = encodeDurableJob({ ...job, ...NOT_OF_THE_END });
  const level = headers?.get(HEADER.priority) ?? "";
  if (level !== "") own.append(HEADER.priority, checkPriority(level));
  return { id, client: job.client, completion, context: checkContext(context), headers: own };
}

function read(text: string): { open?: object; seal?: object; get?: string; list?: object } {
  try {
    const said = parseJson(text.trim() === "" || text.trim() === "list" ? '{"list":{}}' : text);
    const [[verb, what] = [], ...more] = Object.entries(said as object);
    const isObject = typeof what === "object" && what !== null;
    const isMeant = verb === "get" ? typeof what === "string" : isObject && /^(open|seal|list)$/.test(verb ?? "");
    if (isMeant && more.length === 0) return said as object;
  } catch {
    // told below
  }
  throw refused('batch: use {"open": …}, {"seal": …}, {"get": ID} or {"list": {}}');
}

function refused(message: string): PoolError {
  return new PoolError("invalid_argument", message, { field: message.slice(0, message.indexOf(":")) });
}
