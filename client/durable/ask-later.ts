/**
 * Has a manager store a job for later.
 *
 * Decided here: a question without an answer is asked again, by the same nonce, so
 * that the job is stored once. Clients do not publish to the stream themselves: whoever could
 * would choose what the broker publishes again, and nobody would count.
 */

import type { NewJob, StoredJob } from "../../mesh/durable/enqueue.js";
import { encodeDurableJob } from "../../mesh/durable/job.js";
import { encodeRunTime, type RunTime } from "../../mesh/durable/later/run-time.js";
import type { DurableNames } from "../../mesh/durable/names.js";
import { PoolError } from "../../mesh/errors.js";
import { parseJson } from "../../mesh/job/codec.js";
import type { Bus } from "../../mesh/link/bus.js";
import type { Inbox } from "../../mesh/link/inbox.js";
import { delay } from "../../mesh/link/runtime.js";
import { readErrorHeaders } from "../../mesh/wire/error-headers.js";
import { HEADER } from "../../mesh/wire/headers.js";
import { headersOf } from "../../mesh/wire/wire-headers.js";

/** What it works with. */
export interface AskLaterParts {
  readonly bus: Bus;
  readonly inbox: Inbox;
  readonly names: DurableNames;
}

/** How long one manager may take, and the wait before another question, in milliseconds. */
const ANSWER_LIMIT_MS = 5_000;
const RETRY_MS = 250;
/** How long no manager may be there, in milliseconds: one may be starting. */
const ABSENT_LIMIT_MS = 3_000;

/** @throws PoolError why it is not stored; with `maybeExecuted` when it may be stored all the same */
export async function askLater(parts: AskLaterParts, job: NewJob, time: RunTime): Promise<StoredJob> {
  const { bus, inbox, names } = parts;
  const { runtime } = bus;
  const begunAtMs = runtime.now();
  const endAtMs = begunAtMs + job.limitMs;
  const headers = encodeDurableJob(job.job);
  headers.append(HEADER.jobId, job.id);
  headers.append(HEADER.nonce, runtime.newId());
  headers.append(HEADER.priority, job.level);
  encodeRunTime(headers, time);
  let maybeStored = false;
  for (;;) {
    bus.requireConnected();
    const limitMs = Math.max(1, Math.min(ANSWER_LIMIT_MS, endAtMs - runtime.now()));
    const answer = await inbox.ask({ subject: names.enqueue(job.pool), payload: job.payload, headers, limitMs });
    if (answer.kind === "reply") return readReceipt(job, answer.msg);
    if (answer.kind === "silent") maybeStored = true;
    const mayPass = answer.kind === "silent" || runtime.now() - begunAtMs < ABSENT_LIMIT_MS;
    if ((!mayPass && !maybeStored) || runtime.now() + RETRY_MS >= endAtMs) throw noAnswer(job.pool, maybeStored);
    await delay(runtime, RETRY_MS);
  }
}

/** @throws PoolError what the manager refuses */
function readReceipt({ id }: NewJob, msg: Parameters<typeof headersOf>[0] & { readonly data: Uint8Array }): StoredJob {
  const headers = headersOf(msg);
  if (headers?.get(HEADER.error)) throw readErrorHeaders(headers);
  try {
    const said = parseJson(Buffer.from(msg.data).toString()) as Readonly<Record<keyof StoredJob, unknown>>;
    const runAt = new Date(String(said.runAt));
    const isLater = typeof said.runAt === "string" && !Number.isNaN(runAt.getTime());
    if (typeof said.sequence === "number") {
      return { id, sequence: said.sequence, duplicate: said.duplicate === true, ...(isLater ? { runAt } : {}) };
    }
  } catch {
    // told below
  }
  throw new PoolError("internal", "the answer is none of a manager with the durable lane");
}

function noAnswer(pool: string, maybeStored: boolean): PoolError {
  if (maybeStored) {
    const message = "no answer from a manager; the job may be stored";
    return new PoolError("bus_unavailable", message, { maybeExecuted: true, retryAfterMs: 1_000 });
  }
  const message = `runAt: no manager with --durable serves pool ${pool}; jobs for later are stored by a manager`;
  return new PoolError("unknown_pool", message, { field: "pool", retryAfterMs: 1_000 });
}
