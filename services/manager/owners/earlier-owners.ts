/**
 * Jobs whose ids this manager owns, and that another one had before.
 *
 * A manager that starts owns a part of the ids, and so do the others when one stops. The
 * manager that owned an id before may run a job with it, or keep its outcome. So before a manager
 * takes a job whose id the caller chose, it asks those that stop; and for a while after its start it asks all others
 * (joining.ts: it knows them by then).
 *
 * Decided here: who is asked, that a submission is held meanwhile, where a
 * cancel finds it, and that a manager which does not answer in time has no such job.
 */
import { jobCanceled, type PoolError } from "../../../mesh/errors.js";
import type { Bus } from "../../../mesh/link/bus.js";
import type { Inbox } from "../../../mesh/link/inbox.js";
import type { Meaning, Revocation } from "../../../mesh/wire/cancel-messages.js";
import { decodeReplyHeaders, encodeReplyHeaders, HEADER } from "../../../mesh/wire/headers.js";
import type { Subjects } from "../../../mesh/wire/subjects.js";
import { headersOf, wireHeaders } from "../../../mesh/wire/wire-headers.js";
import { isRevoked, type SubmissionNames } from "../doors/unsettled.js";
import { askUntilGone } from "./forwarding.js";
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
  /** This manager's id. */
  readonly manager: string;
  readonly peers: Pick<Peers, "otherOwners" | "leaving" | "isThere" | "onGone">;
  readonly inbox: () => Inbox;
}

/** A submission that waits for the answers. */
export interface AskedSubmission extends SubmissionNames {
  readonly pool: string;
  /** Takes it here, or answers with the error that ends it. */
  readonly take: (refusal?: PoolError) => void;
  /** Other managers have a job of this id, or had one. */
  readonly give: (managers: readonly string[]) => void;
}

/** What each manager that was asked has said of one submission. */
type Answers = Map<string, "awaited" | "yes" | "no">;

export class EarlierOwners {
  readonly #parts: EarlierOwnersParts;
  readonly #asksUntilMs: number;
  readonly #held = new Map<AskedSubmission, Answers>();

  constructor(parts: EarlierOwnersParts) {
    this.#parts = parts;
    this.#asksUntilMs = parts.bus.runtime.now() + ASKS_FOR_MS;
  }

  /** Whether another manager may have jobs with ids that this one owns now. */
  mayBeElsewhere(pool: string): boolean {
    return this.#earlierOwners(pool).length > 0;
  }

  /** How many submissions are held. */
  get size(): number {
    return this.#held.size;
  }

  /**
   * Whether a submission of this id is held that is not given to the manager which asks. When each of two holds one and
   * waits for the other's answer, the one whose name comes first in byte order keeps its own.
   *
   * @param asker "" when it does not say who it is
   */
  willTake(pool: string, id: string, asker: string): boolean {
    for (const [{ pool: its, job }, answers] of this.#held) {
      if (its !== pool || job !== id) continue;
      const answer = answers.get(asker);
      if (answer === undefined ? asker !== "" : answer === "awaited" ? this.#parts.manager < asker : answer === "no")
        return true;
    }
    return false;
  }

  /** Whether a submission of this id is held. */
  holds(pool: string, id: string): boolean {
    for (const each of this.#held.keys()) if (each.pool === pool && each.job === id) return true;
    return false;
  }

  /** Holds a submission until the others have said whether they have its job. */
  hold(submission: AskedSubmission): void {
    if (this.#held.size >= MAX_HELD) return submission.take();
    const answers: Answers = new Map();
    this.#held.set(submission, answers);
    void this.#whoHave(submission, answers).then((managers) => {
      // It was canceled meanwhile.
      if (!this.#held.delete(submission)) return;
      if (managers.length === 0) submission.take();
      else submission.give(managers);
    });
  }

  /** A cancel or revocation was heard; true when it ended a submission that is held. */
  revoke(pool: string, job: string, revocation: Revocation & Meaning): boolean {
    let ended = false;
    for (const each of this.#held.keys()) {
      if (each.pool !== pool || !isRevoked(each, job, revocation)) continue;
      this.#held.delete(each);
      each.take(jobCanceled());
      ended = true;
    }
    return ended;
  }

  /** Who may have had ids of a pool that this manager owns now; first those whose jobs are live. */
  #earlierOwners(pool: string): readonly string[] {
    const { bus, peers } = this.#parts;
    const leaving = peers.leaving(pool);
    return bus.runtime.now() < this.#asksUntilMs ? [...leaving, ...peers.otherOwners(pool)] : leaving;
  }

  /** Those of the others that say that they have the job. */
  async #whoHave({ pool, job }: AskedSubmission, answers: Answers): Promise<string[]> {
    const others = this.#earlierOwners(pool);
    const asked = others.map(async (manager) => {
      answers.set(manager, "awaited");
      answers.set(manager, (await this.#has(manager, pool, job)) ? "yes" : "no");
    });
    await Promise.all(asked);
    return others.filter((manager) => answers.get(manager) === "yes");
  }

  /** Nobody at its subject is no answer while its heartbeats come: its connection may be on its way to another broker. */
  async #has(manager: string, pool: string, job: string): Promise<boolean> {
    const { bus, subjects, manager: self, peers, inbox } = this.#parts;
    const headers = wireHeaders();
    headers.append(HEADER.jobId, job);
    headers.append(HEADER.manager, self);
    headers.append(HEADER.known, "1");
    const subject = subjects.submitTo(pool, manager);
    const isMeant = (): boolean => peers.isThere(manager, pool);
    const answer = await askUntilGone(
      { inbox: inbox(), runtime: bus.runtime, isMeant },
      { subject, headers, limitMs: ANSWER_LIMIT_MS, againMs: ASK_AGAIN_MS },
    );
    if (answer.kind === "absent" && isMeant()) peers.onGone(manager);
    return answer.kind === "reply" && saysYes(answer.msg);
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
