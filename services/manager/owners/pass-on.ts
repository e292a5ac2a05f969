/**
 * Passes a submission on to the manager that owns its id.
 *
 * The message is sent as it came, so its age and time left go on from where its
 * sender began. `Pool-Reply-To` tells the owner where that sender waits; the owner
 * answers it directly. A submission is passed on once.
 *
 * Silence is no answer: the owner's connection may be on its way to another broker, and what comes meanwhile is lost. So
 * the message is sent again until the owner says that it has it.
 */
import type { Inbox } from "../../../mesh/link/inbox.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { isName } from "../../../mesh/wire/subjects.js";
import { eachHeader, type HeaderReader, isWritable, wireHeaders } from "../../../mesh/wire/wire-headers.js";
import type { Heard } from "../doors/nats.js";
import { LARGE_PAYLOAD_BYTES } from "../jobs/job.js";

/** The sender waits for no answer. */
export const NO_REPLY = "-";
/** How long the owner has to say that it has the message, and how often it is sent meanwhile, in milliseconds. */
const ANSWER_LIMIT_MS = 2_000;
const AGAIN_MS = 500;

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

/**
 * Sends a submission to its owner; false when nobody listens there, so that it has not got it. A large one is sent once:
 * its way may take longer than any answer.
 */
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
  const again = msg.data.length > LARGE_PAYLOAD_BYTES ? {} : { againMs: AGAIN_MS };
  const answer = await inbox.ask({ subject, payload: msg.data, headers, limitMs: ANSWER_LIMIT_MS, ...again });
  return answer.kind !== "absent";
}
