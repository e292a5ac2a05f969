/**
 * Cancels a job that another manager or a worker has: asks all, waits for the one
 * that has it. A job that is stored and that nobody has is ended by any manager of the
 * durable lane.
 */
import { DurableNames } from "../durable/names.js";
import { PoolError } from "../errors.js";
import { readErrorHeaders } from "../wire/error-headers.js";
import { HEADER } from "../wire/headers.js";
import { checkName, type Subjects } from "../wire/subjects.js";
import { headersOf } from "../wire/wire-headers.js";
import type { Bus } from "./bus.js";
import type { Inbox } from "./inbox.js";

/** How long the holder of the job has to say so, in milliseconds. */
const ANSWER_LIMIT_MS = 500;
/** How long a manager may take to end a stored job, in milliseconds. */
const DISCARD_LIMIT_MS = 5_000;

/**
 * Publishes the cancel and resolves when the holder of the job confirms.
 *
 * @throws PoolError `not_found` when nobody has the job, `bus_unavailable`
 */
export async function askCancel(
  bus: Bus,
  { inbox, subjects }: { readonly inbox: Inbox; readonly subjects: Subjects },
  pool: string,
  id: string,
): Promise<void> {
  const subject = subjects.cancel(checkName("pool", pool), checkName("job", id));
  bus.requireConnected();
  const answer = await inbox.ask({ subject, limitMs: ANSWER_LIMIT_MS });
  if (answer.kind === "reply") return;
  const stored = new DurableNames(subjects.prefix).discard(pool);
  const ended = await inbox.ask({ subject: stored, payload: Buffer.from(id), limitMs: DISCARD_LIMIT_MS });
  if (ended.kind !== "reply") throw new PoolError("not_found", "nobody has a live job with this id", { field: "job" });
  const headers = headersOf(ended.msg);
  if (headers?.get(HEADER.error)) throw readErrorHeaders(headers);
}
