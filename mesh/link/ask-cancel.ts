/** Cancels a job that another manager or a worker has: asks all, waits for the one that has it. */
import { PoolError } from "../errors.js";
import { checkName, type Subjects } from "../wire/subjects.js";
import type { Bus } from "./bus.js";
import type { Inbox } from "./inbox.js";

/** How long the holder of the job has to say so, in milliseconds. */
const ANSWER_LIMIT_MS = 500;

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
  if (answer.kind !== "reply") throw new PoolError("not_found", "nobody has a live job with this id", { field: "job" });
}
