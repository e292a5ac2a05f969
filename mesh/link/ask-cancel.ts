/**
 * Cancels a job that another manager or a worker has: asks all, waits for the one
 * that has it. A job that is stored and that nobody has is ended by any manager of the
 * durable lane.
 */
import { DurableNames } from "../durable/names.js";
import { PoolError } from "../errors.js";
import { readErrorHeaders } from "../wire/error-headers.js";
import { decodeReplyHeaders, HEADER } from "../wire/headers.js";
import { checkName, type Subjects } from "../wire/subjects.js";
import { type HeaderReader, headersOf, isNoResponders, type Reply } from "../wire/wire-headers.js";
import type { Bus } from "./bus.js";
import type { Inbox } from "./inbox.js";

/** How long the holder of the job has to say so, and when it is asked again, in milliseconds. */
const ANSWER_LIMIT_MS = 500;
const ASK_AGAIN_MS = 250;
/** How long a manager may take to end a stored job, in milliseconds. */
const DISCARD_LIMIT_MS = 5_000;

/**
 * Publishes the cancel and resolves when the holder of the job confirms.
 *
 * @throws PoolError `not_found` when nobody has the job; `bus_unavailable` without a connection, or when it broke
 * meanwhile and nobody has confirmed: the cancel or the answer may be lost
 */
export async function askCancel(
  bus: Bus,
  { inbox, subjects }: { readonly inbox: Inbox; readonly subjects: Subjects },
  pool: string,
  id: string,
): Promise<void> {
  const subject = subjects.cancel(checkName("pool", pool), checkName("job", id));
  bus.requireConnected();
  let hasBroken = false;
  const offBus = bus.on("disconnect", () => {
    hasBroken = true;
  });
  try {
    if ((await answerTo(bus, inbox, { subject, limitMs: ANSWER_LIMIT_MS, againMs: ASK_AGAIN_MS })) !== undefined)
      return;
    const stored = new DurableNames(subjects.prefix).discard(pool);
    const ended = await answerTo(bus, inbox, {
      subject: stored,
      payload: Buffer.from(id),
      limitMs: DISCARD_LIMIT_MS,
    });
    if (ended?.get(HEADER.error)) throw readErrorHeaders(ended);
    if (ended !== undefined) return;
  } finally {
    offBus();
  }
  if (hasBroken) throw new PoolError("bus_unavailable", "the connection broke before anybody confirmed the cancel");
  throw new PoolError("not_found", "nobody has a live job with this id", { field: "job" });
}

interface CancelQuestion {
  readonly subject: string;
  readonly payload?: Uint8Array;
  readonly limitMs: number;
  /** When it is said again: one message may be lost between two brokers. */
  readonly againMs?: number;
}

/** The headers of the answer of somebody of the mesh; undefined when nobody answers in time, or nobody listens. */
function answerTo(bus: Bus, inbox: Inbox, question: CancelQuestion): Promise<HeaderReader | undefined> {
  const { subject, payload, limitMs, againMs } = question;
  const { runtime } = bus;
  return new Promise((resolve) => {
    const settle = (headers: HeaderReader | undefined): void => {
      inbox.close(token);
      runtime.cancel(again);
      runtime.cancel(limit);
      resolve(headers);
    };
    const onReply = (msg: Reply): void => {
      if (isNoResponders(msg)) return settle(undefined);
      const headers = headersOf(msg);
      const { bare, kind } = decodeReplyHeaders(headers);
      // A stream that captures the subject acknowledges it, and confirms nothing.
      if (!bare && kind !== "unknown") settle(headers);
    };
    const token = inbox.open({ onReply });
    const say = (): void => void bus.publish(subject, payload, { reply: inbox.subject(token) });
    const again = againMs === undefined ? undefined : runtime.after(againMs, say, "background");
    const limit = runtime.after(limitMs, () => settle(undefined), "background");
    say();
  });
}
