/**
 * Jobs that other managers had before this one started.
 *
 * A manager that starts owns a part of the ids. Another one may run a job with one of
 * these ids, or keep its outcome. So for a while after its start a manager asks the
 * others before it takes a job whose id the caller chose.
 *
 * Decided here: for how long it asks, that a submission is held meanwhile, where a
 * cancel finds it, and that a manager which does not answer in time has no such job.
 */
import { PoolError } from "../../../mesh/errors.js";
import type { Bus } from "../../../mesh/link/bus.js";
import type { Inbox } from "../../../mesh/link/inbox.js";
import { decodeReplyHeaders, encodeReplyHeaders, HEADER, type Revocation } from "../../../mesh/wire/headers.js";
import type { Subjects } from "../../../mesh/wire/subjects.js";
import { headersOf, wireHeaders } from "../../../mesh/wire/wire-headers.js";
import { isRevoked, type SubmissionNames } from "../doors/unsettled.js";
import type { Peers } from "./peers.js";

/** For so long after its start a manager asks, in milliseconds. Outcomes are kept for a minute; few jobs run longer than this. */
export const ASKS_FOR_MS = 600_000;
/**
 * How long the others have to answer, and when they are asked again, in milliseconds. A client goes to another manager after
 * 2.5 s without a word.
 */
const ANSWER_LIMIT_MS = 1_000;
const ASK_AGAIN_MS = 400;
/** So many submissions are held; what comes beyond is taken without asking. */
const MAX_HELD = 1_000;

/** What it works with. */
export interface EarlierOwnersParts {
  readonly bus: Pick<Bus, "runtime">;
  readonly subjects: Subjects;
  readonly peers: Pick<Peers, "otherOwners">;
  readonly inbox: () => Inbox;
}

/** A submission that waits for the answers. */
export interface AskedSubmission extends SubmissionNames {
  readonly pool: string;
  /** Takes it here, or answers with the error that ends it. */
  readonly take: (refusal?: PoolError) => void;
  /** Another manager has a job of this id. */
  readonly give: (manager: string) => void;
}

export class EarlierOwners {
  readonly #parts: EarlierOwnersParts;
  readonly #asksUntilMs: number;
  readonly #held = new Set<AskedSubmission>();

  constructor(parts: EarlierOwnersParts) {
    this.#parts = parts;
    this.#asksUntilMs = parts.bus.runtime.now() + ASKS_FOR_MS;
  }

  /** Whether another manager may have jobs with ids that this one owns now. */
  mayBeElsewhere(pool: string): boolean {
    const { bus, peers } = this.#parts;
    return bus.runtime.now() < this.#asksUntilMs && peers.otherOwners(pool).length > 0;
  }

  /** Holds a submission until the others have said whether they have its job. */
  hold(submission: AskedSubmission): void {
    if (this.#held.size >= MAX_HELD) return submission.take();
    this.#held.add(submission);
    void this.#whoHas(submission).then((manager) => {
      // It was canceled meanwhile.
      if (!this.#held.delete(submission)) return;
      if (manager === undefined) submission.take();
      else submission.give(manager);
    });
  }

  /** A cancel or revocation was heard; true when it ended a submission that is held. */
  revoke(pool: string, job: string, revocation: Revocation): boolean {
    let ended = false;
    for (const each of this.#held) {
      if (each.pool !== pool || !isRevoked(each, job, revocation)) continue;
      this.#held.delete(each);
      each.take(new PoolError("canceled", "the caller canceled the job"));
      ended = true;
    }
    return ended;
  }

  /** The first of the others that says it has the job; undefined when none does. */
  async #whoHas({ pool, job }: AskedSubmission): Promise<string | undefined> {
    const { subjects, peers, inbox } = this.#parts;
    const headers = wireHeaders();
    headers.append(HEADER.jobId, job);
    headers.append(HEADER.known, "1");
    const asked = peers.otherOwners(pool).map(async (manager) => {
      const limits = { limitMs: ANSWER_LIMIT_MS, againMs: ASK_AGAIN_MS };
      const answer = await inbox().ask({ subject: subjects.submitTo(pool, manager), headers, ...limits });
      return answer.kind === "reply" && saysYes(answer.msg) ? manager : undefined;
    });
    return (await Promise.all(asked)).find((manager) => manager !== undefined);
  }
}

/** The headers that answer whether a manager has a job of an id. */
export function encodeKnown(manager: string): ReturnType<typeof encodeReplyHeaders> {
  return encodeReplyHeaders({ kind: "accepted", manager });
}

/**
 * A manager of an earlier version answers with the error that it does not know the job, or with its outcome. What says
 * nothing of itself is no manager's answer.
 */
function saysYes(msg: Parameters<typeof headersOf>[0]): boolean {
  try {
    const { kind, bare } = decodeReplyHeaders(headersOf(msg));
    return !bare && (kind === "accepted" || kind === "result");
  } catch {
    return false;
  }
}
