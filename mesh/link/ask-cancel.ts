/** Cancels a job that another manager or a worker has: asks all, waits for the one that has it. */

import { PoolError } from "../errors.js";
import { checkName } from "../names.js";
import type { Subjects } from "../wire/subjects.js";
import type { Bus } from "./bus.js";
import type { Inbox } from "./inbox.js";

/** How long everybody has to say that the job was there, in milliseconds. */
const ANSWER_LIMIT_MS = 500;

/**
 * Publishes the cancel and resolves when its holder confirms.
 *
 * @throws PoolError `not_found` when nobody has the job, `bus_unavailable`
 */
export function askCancel(
  bus: Bus,
  { inbox, subjects }: { readonly inbox: Inbox; readonly subjects: Subjects },
  pool: string,
  id: string,
): Promise<void> {
  const subject = subjects.cancel(checkName("pool", pool), checkName("job", id));
  bus.requireConnected();
  return new Promise((resolve, reject) => {
    const notFound = (): void => {
      inbox.close(token);
      reject(new PoolError("not_found", "nobody has a live job with this id", { field: "job" }));
    };
    const timer = bus.runtime.after(ANSWER_LIMIT_MS, notFound);
    const token = inbox.open({
      onReply: (msg) => {
        bus.runtime.cancel(timer);
        if (msg.headers?.code === 503) return notFound();
        inbox.close(token);
        resolve();
      },
    });
    bus.publish(subject, undefined, { reply: inbox.subject(token) });
  });
}
