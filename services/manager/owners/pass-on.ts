/**
 * Passes a submission on to the manager that owns its id.
 *
 * The message is sent as it came, so its age and time left go on from where its
 * sender began. `Pool-Reply-To` tells the owner where that sender waits; the owner
 * answers it directly. A submission is passed on once.
 */
import type { Inbox } from "../../../mesh/link/inbox.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { isName } from "../../../mesh/wire/subjects.js";
import { eachHeader, type HeaderReader, isWritable, wireHeaders } from "../../../mesh/wire/wire-headers.js";
import type { Heard } from "../doors/nats.js";

/** The sender waits for no answer. */
export const NO_REPLY = "-";
/** How long the owner has to say that it has the message, in milliseconds. */
const ANSWER_LIMIT_MS = 2_000;

/**
 * The id of a submission whose caller chose it; undefined when the id was made for it.
 *
 * A client of ours says a nonce when its caller chose the id, and its clock always.
 */
export function chosenIdOf(headers: HeaderReader | undefined): string | undefined {
  const id = headers?.get(HEADER.jobId) ?? "";
  if (headers === undefined || !isName(id)) return undefined;
  const isChosen = headers.get(HEADER.clock) === "" || headers.get(HEADER.nonce) !== "";
  return isChosen ? id : undefined;
}

/** Sends a submission to its owner; false when nobody listens there, so that it has not got it. */
export async function passOn(
  inbox: Inbox,
  subject: string,
  { msg, headers: received, reply }: Heard,
): Promise<boolean> {
  const headers = wireHeaders();
  if (received !== undefined) {
    eachHeader(received, (name, value) => {
      if (name !== HEADER.replyTo && isWritable(value)) headers.append(name, value);
    });
  }
  headers.append(HEADER.replyTo, reply || NO_REPLY);
  const answer = await inbox.ask({ subject, payload: msg.data, headers, limitMs: ANSWER_LIMIT_MS });
  return answer.kind !== "absent";
}
