/**
 * Passes a submission on to the manager that owns its id.
 *
 * The message is sent as it came, so its age and time left go on from where its
 * sender began. `Pool-Reply-To` tells the owner where that sender waits; the owner
 * answers it directly. A submission is passed on once.
 *
 * Silence is no answer: the owner's connection may be on its way to another broker, and what comes meanwhile is lost. So
 * the message is sent again until the owner says that it has it. Absence is none at once either: an owner whose connection
 * broke is back within a moment, and has the jobs and outcomes of its ids.
 */
import type { MsgHdrs } from "nats";
import type { Inbox } from "../../../mesh/link/inbox.js";
import { GONE_AFTER_MS } from "../../../mesh/link/presence.js";
import { delay, type Runtime } from "../../../mesh/link/runtime.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { isName } from "../../../mesh/wire/subjects.js";
import { eachHeader, type HeaderReader, isWritable, type Reply, wireHeaders } from "../../../mesh/wire/wire-headers.js";
import type { Heard } from "../doors/nats.js";
import { LARGE_PAYLOAD_BYTES } from "../jobs/job.js";

/** The sender waits for no answer. */
export const NO_REPLY = "-";
/** How long the owner has to say that it has the message, and how often it is sent meanwhile, in milliseconds. */
const ANSWER_LIMIT_MS = 2_000;
const AGAIN_MS = 500;
/** How often it is tried again while nobody listens, in milliseconds. */
const ABSENT_AGAIN_MS = 100;

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

/** How a submission is passed on. */
export interface PassOnParts {
  readonly inbox: Pick<Inbox, "ask">;
  readonly runtime: Runtime;
  /** The owner's own subject. */
  readonly subject: string;
  /** Whether the id is still that manager's: it has said no farewell. */
  readonly stillOwns: () => boolean;
}

/**
 * Sends a submission to its owner; false when the owner is gone, so that it has not got it: it has said so, or nobody has
 * listened for {@link GONE_AFTER_MS}. A large one is not repeated while the owner is silent: its way may take longer than
 * any answer.
 */
export async function passOn({ inbox, runtime, subject, stillOwns }: PassOnParts, heard: Heard): Promise<boolean> {
  const { data: payload } = heard.msg;
  const again = payload.length > LARGE_PAYLOAD_BYTES ? {} : { againMs: AGAIN_MS };
  const question = { subject, payload, headers: headersFor(heard), limitMs: ANSWER_LIMIT_MS, ...again };
  const isGoneAtMs = runtime.now() + GONE_AFTER_MS;
  while ((await inbox.ask({ ...question, isAnswer: isWord })).kind === "absent") {
    if (runtime.now() >= isGoneAtMs) return false;
    await delay(runtime, ABSENT_AGAIN_MS);
    if (!stillOwns()) return false;
  }
  return true;
}

/** The owner's word has no text. */
function isWord({ data }: Reply): boolean {
  return data.length === 0;
}

function headersFor({ headers: received, reply }: Heard): MsgHdrs {
  const headers = wireHeaders();
  if (received !== undefined) {
    eachHeader(received, (name, value) => {
      if (name !== HEADER.replyTo && isWritable(value)) headers.append(name, value);
    });
  }
  headers.append(HEADER.replyTo, reply || NO_REPLY);
  return headers;
}
