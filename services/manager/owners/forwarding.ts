/**
 * Passes a submission on to the manager that owns its id, and knows what becomes of it when that one does not take it.
 *
 * The message is sent as it came, so its age and time left go on from where its
 * sender began. `Pool-Reply-To` tells the owner where that sender waits; the owner
 * answers it directly. An owner that stops takes nothing new, and refuses it.
 *
 * Silence is no answer: the owner's connection may be on its way to another broker, and what comes meanwhile is lost. So
 * the message is sent again until the owner says that it has it. Absence is none at once either: an owner whose connection
 * broke is back within a moment, and has the jobs and outcomes of its ids.
 *
 * Not decided here: who owns an id (peers.ts).
 */
import type { MsgHdrs } from "nats";
import type { Bus } from "../../../mesh/link/bus.js";
import type { Answer, Inbox, Question } from "../../../mesh/link/inbox.js";
import { GONE_AFTER_MS } from "../../../mesh/link/presence.js";
import { delay, type Runtime } from "../../../mesh/link/runtime.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { ownerWord } from "../../../mesh/wire/owner.js";
import { isName, type Subjects } from "../../../mesh/wire/subjects.js";
import { eachHeader, type HeaderReader, isWritable, type Reply, wireHeaders } from "../../../mesh/wire/wire-headers.js";
import type { Heard } from "../doors/nats.js";
import { LARGE_PAYLOAD_BYTES } from "../jobs/job.js";
import type { Peers } from "./peers.js";

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
  /** Whether that manager still owns the id, or has its job: it has said no farewell. */
  readonly isMeant: () => boolean;
}

/** "refused": the owner stops. "gone": it has said so, or nobody has listened for {@link GONE_AFTER_MS}. */
export type PassOnEnd = "taken" | "refused" | "gone";

/**
 * Sends a submission to its owner. A large one is not repeated while the owner is silent: its way may take longer than
 * any answer.
 */
export async function passOn({ inbox, runtime, subject, isMeant }: PassOnParts, heard: Heard): Promise<PassOnEnd> {
  const { data: payload } = heard.msg;
  const again = payload.length > LARGE_PAYLOAD_BYTES ? {} : { againMs: AGAIN_MS };
  const question = { subject, payload, headers: headersFor(heard), limitMs: ANSWER_LIMIT_MS, ...again };
  const isAnswer = (msg: Reply): boolean => ownerWord(msg) !== "other";
  const answer = await askUntilGone({ inbox, runtime, isMeant }, { ...question, isAnswer });
  if (answer.kind === "absent") return "gone";
  return answer.kind === "reply" && ownerWord(answer.msg) === "refused" ? "refused" : "taken";
}

/** Asks a manager; "absent" when it has said farewell, or nobody has listened for {@link GONE_AFTER_MS}. */
export async function askUntilGone(
  { inbox, runtime, isMeant }: Omit<PassOnParts, "subject">,
  question: Question,
): Promise<Answer> {
  const isGoneAtMs = runtime.now() + GONE_AFTER_MS;
  for (;;) {
    const answer = await inbox.ask(question);
    if (answer.kind !== "absent" || runtime.now() >= isGoneAtMs || !isMeant()) return answer;
    await delay(runtime, ABSENT_AGAIN_MS);
  }
}

function headersFor({ headers: received, reply }: Heard): MsgHdrs {
  const headers = wireHeaders();
  if (received !== undefined) {
    eachHeader(received, (name, value) => {
      if (name !== HEADER.replyTo && name !== HEADER.mayRefuse && isWritable(value)) headers.append(name, value);
    });
  }
  headers.append(HEADER.replyTo, reply || NO_REPLY);
  headers.append(HEADER.mayRefuse, "1");
  return headers;
}

/** What it works with. */
export interface ForwardingParts {
  readonly bus: Pick<Bus, "runtime">;
  readonly subjects: Subjects;
  /** This manager's id. */
  readonly manager: string;
  readonly peers: Peers;
  /** For this manager's own questions. */
  readonly inbox: () => Inbox;
  /** This manager owns the id: another one may have had the job before. */
  readonly takeOwn: (heard: Heard) => void;
  /** No other manager has the job. */
  readonly take: (heard: Heard) => void;
}

export class Forwarding {
  readonly #parts: ForwardingParts;
  #underWay = 0;

  constructor(parts: ForwardingParts) {
    this.#parts = parts;
  }

  /** How many submissions are on their way to another manager, which has not answered. */
  get underWay(): number {
    return this.#underWay;
  }

  /** The manager that owns the id of a submission; this one when its caller chose none. */
  ownerOf({ msg, headers }: Heard): string {
    const { subjects, peers, manager } = this.#parts;
    const id = chosenIdOf(headers);
    return id === undefined ? manager : peers.ownerOf(subjects.poolOf(msg.subject), id);
  }

  /** To the owner. When it is not there any more, or stops, the next one owns the id. */
  async passOn(heard: Heard, owner: string): Promise<void> {
    const { peers, manager, takeOwn } = this.#parts;
    const end = await this.#send(heard, owner, () => this.ownerOf(heard) === owner);
    if (end === "taken") return;
    if (this.ownerOf(heard) === owner) {
      if (end === "refused") peers.onLeaving(owner);
      else peers.onGone(owner);
    }
    const next = this.ownerOf(heard);
    if (next === manager) takeOwn(heard);
    else await this.passOn(heard, next);
  }

  /** To one of those that have a job of this id, or had one. When each stops, and this is another job to it, it is taken here. */
  async give(heard: Heard, managers: readonly string[]): Promise<void> {
    const { peers, subjects, take } = this.#parts;
    const pool = subjects.poolOf(heard.msg.subject);
    for (const each of managers)
      if ((await this.#send(heard, each, () => peers.isThere(each, pool))) === "taken") return;
    take(heard);
  }

  async #send(heard: Heard, to: string, isMeant: () => boolean): Promise<PassOnEnd> {
    const { bus, inbox, subjects } = this.#parts;
    const subject = subjects.submitTo(subjects.poolOf(heard.msg.subject), to);
    this.#underWay += 1;
    try {
      return await passOn({ inbox: inbox(), runtime: bus.runtime, subject, isMeant }, heard);
    } finally {
      this.#underWay -= 1;
    }
  }
}
