/**
 * The first submissions of a sender, whose way here nobody has measured.
 *
 * A message's age is told by what was heard of its sender before (ages.ts). So the
 * first one looks new, although it may have lain for seconds in a broker or a link
 * that stood still. So the first ones are held, and their sender is asked for its
 * clock. What it says is new: with it the age of what is held is known. And what it
 * had said before has come: that it gave the job to another manager, or that the
 * deadline is over. What was revoked meanwhile is never taken.
 *
 * A sender that does not answer that question is given a round trip to the broker. When the connection of this manager
 * breaks, the answer finds nobody, and the sender gives its jobs to another manager: they are not taken here.
 */
import { PoolError } from "../../../mesh/errors.js";
import type { Bus } from "../../../mesh/link/bus.js";
import type { Timer } from "../../../mesh/link/runtime.js";
import type { Revocation } from "../../../mesh/wire/headers.js";
import { senderOf } from "../../../mesh/wire/wire-headers.js";
import { isRevoked, type SubmissionNames } from "./unsettled.js";

/**
 * The longest wait for the answer or the round trip, in milliseconds, and how many submissions are held at most. A client goes to
 * another manager after 2.5 s without a word.
 */
const HOLD_LIMIT_MS = 500;
const MAX_HELD = 1_000;

/** One that is held. */
export interface FirstSubmission extends SubmissionNames {
  readonly pool: string;
  /** Takes it, or answers with the error that ends it. */
  readonly take: (refusal?: PoolError) => void;
  /** Asks its sender for its clock; undefined for a sender that does not answer that. */
  readonly askClock?: (() => void) | undefined;
}

/** What is held of one sender. */
interface Held {
  readonly submissions: Set<FirstSubmission>;
  /** Through which its sender was asked: who has given that one up does not answer. */
  asked: FirstSubmission;
  timer: Timer | undefined;
}

export class Newcomers {
  readonly #bus: Pick<Bus, "flush" | "runtime">;
  /** By sender. */
  readonly #held = new Map<string, Held>();
  #count = 0;

  constructor(bus: Pick<Bus, "flush" | "runtime">) {
    this.#bus = bus;
  }

  /** Whether submissions of the sender that waits at this subject are held, so that a later one has to wait too. */
  has(reply: string): boolean {
    return this.#held.size > 0 && this.#held.has(senderOf(reply));
  }

  /** Takes a submission when its sender has said its clock, or a round trip has ended; at once when too many are held. */
  hold(reply: string, submission: FirstSubmission): void {
    if (this.#count >= MAX_HELD) return submission.take();
    this.#count += 1;
    const sender = senderOf(reply);
    const before = this.#held.get(sender);
    if (before !== undefined) {
      before.submissions.add(submission);
      return this.#askAgain(sender, before);
    }
    const held: Held = { submissions: new Set([submission]), asked: submission, timer: undefined };
    this.#held.set(sender, held);
    if (submission.askClock !== undefined) return this.#ask(sender, held);
    void this.#bus.flush(HOLD_LIMIT_MS).then(() => this.#release(sender, held));
  }

  /**
   * The sender that waits at this subject was measured by its answer: takes what is held of it.
   *
   * @returns whether this job is among that, so that its sender hears of it by that
   */
  measured(reply: string, job: string): boolean {
    const sender = senderOf(reply);
    const held = this.#held.get(sender);
    if (held === undefined) return false;
    const names = new Set([...held.submissions].map((each) => each.job));
    this.#release(sender, held);
    return names.has(job);
  }

  /** This connection has broken: who was asked for its clock finds nobody here, and goes to another manager. */
  onDisconnect(): void {
    for (const [sender, held] of this.#held) {
      if (held.timer !== undefined) this.#forget(sender, held);
    }
  }

  /** A cancel or revocation was heard; true when it ended a submission that is held. */
  revoke(pool: string, job: string, revocation: Revocation): boolean {
    let ended = false;
    for (const [sender, held] of this.#held) {
      for (const each of held.submissions) {
        if (each.pool !== pool || !isRevoked(each, job, revocation)) continue;
        held.submissions.delete(each);
        this.#count -= 1;
        each.take(new PoolError("canceled", "the caller canceled the job"));
        ended = true;
      }
      this.#askAgain(sender, held);
    }
    return ended;
  }

  #ask(sender: string, held: Held): void {
    held.asked.askClock?.();
    held.timer = this.#bus.runtime.after(HOLD_LIMIT_MS, () => this.#release(sender, held));
  }

  /** Asks through another submission when the one through which its sender was asked was given up. */
  #askAgain(sender: string, held: Held): void {
    // Without a timer it is a round trip that is waited for.
    if (held.timer === undefined || held.submissions.has(held.asked)) return;
    for (const each of held.submissions) {
      if (each.askClock === undefined) continue;
      held.asked = each;
      this.#bus.runtime.cancel(held.timer);
      return this.#ask(sender, held);
    }
  }

  #release(sender: string, held: Held): void {
    if (this.#held.get(sender) !== held) return;
    this.#forget(sender, held);
    for (const each of held.submissions) each.take();
  }

  #forget(sender: string, held: Held): void {
    this.#held.delete(sender);
    this.#bus.runtime.cancel(held.timer);
    this.#count -= held.submissions.size;
  }
}
