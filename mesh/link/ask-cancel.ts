/**
 * Cancels a job that another manager or a worker has: asks all, waits for the one
 * that has it. A job that is stored and that nobody has is ended by any manager of the
 * durable lane.
 */
import type { MsgHdrs } from "nats";
import { DurableNames } from "../durable/names.js";
import { PoolError } from "../errors.js";
import { encodeRevocation } from "../wire/cancel-messages.js";
import { readErrorHeaders } from "../wire/error-headers.js";
import { decodeReplyHeaders, HEADER } from "../wire/headers.js";
import { checkName, type Subjects } from "../wire/subjects.js";
import { headersOf, type Reply } from "../wire/wire-headers.js";
import type { Bus } from "./bus.js";
import type { Inbox } from "./inbox.js";

/** How long the holder of the job has to say so, and when it is asked again, in milliseconds. */
const ANSWER_LIMIT_MS = 500;
const ASK_AGAIN_MS = 250;
/** How long a manager may take to end a stored job, in milliseconds. */
const DISCARD_LIMIT_MS = 5_000;

/**
 * Publishes the cancel and resolves when the holder of the job confirms. When it is said again it means what the first
 * saying meant: the id may be used anew in between.
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
    const again = { againMs: ASK_AGAIN_MS, headersAgain };
    const holder = await inbox.ask({ subject, limitMs: ANSWER_LIMIT_MS, ...again, isAnswer: isOfMesh });
    if (holder.kind === "reply") return;
    const stored = new DurableNames(subjects.prefix).discard(pool);
    const payload = Buffer.from(id);
    const ended = await inbox.ask({ subject: stored, payload, limitMs: DISCARD_LIMIT_MS, isAnswer: isOfMesh });
    if (ended.kind === "reply") {
      const headers = headersOf(ended.msg);
      if (headers?.get(HEADER.error)) throw readErrorHeaders(headers);
      return;
    }
  } finally {
    offBus();
  }
  if (hasBroken) throw new PoolError("bus_unavailable", "the connection broke before anybody confirmed the cancel");
  throw new PoolError("not_found", "nobody has a live job with this id", { field: "job" });
}

function headersAgain(saidAgoMs: number): MsgHdrs {
  return encodeRevocation({ upToAttempt: undefined, nonce: undefined, saidAgoMs });
}

/** What says nothing of itself is a stranger's, and confirms nothing. */
function isOfMesh(msg: Reply): boolean {
  const { bare, kind } = decodeReplyHeaders(headersOf(msg));
  return !bare && kind !== "unknown";
}
