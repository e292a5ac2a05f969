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
 * Silence is no answer: the submission may be over at its sender. So a sender that answers such questions is asked again
 * and again, and what it never says its clock for is given up. When the connection of this manager breaks, the answer
 * finds nobody, and all that waits for one is given up.
 *
 * The answer tells how long the way to its sender and back is, too: what would be taken when its client does not wait for
 * the word any more is not taken.
 *
 * A sender that does not answer such questions is given a round trip to the broker instead.
 */
import { jobCanceled, type PoolError } from "../../../mesh/errors.js";
import type { Bus } from "../../../mesh/link/bus.js";
import type { Timer } from "../../../mesh/link/runtime.js";
import type { Meaning, Revocation } from "../../../mesh/wire/cancel-messages.js";
import { senderOf } from "../../../mesh/wire/wire-headers.js";
import { isRevoked, type SubmissionNames } from "./unsettled.js";

/** How often a sender is asked, in milliseconds. */
const ASK_AGAIN_MS = 500;
/**
 * A submission that was held so long is given up when its sender is asked the next time, in milliseconds. A client goes
 * to another manager after 2.5 s without a word.
 */
export const HOLD_LIMIT_MS = 2_000;
/** The longest wait for the round trip, in milliseconds. */
const ROUND_TRIP_LIMIT_MS = 500;
/** How many submissions are held at most, and how many bytes of payload. A sender has half of what others leave. */
const MAX_HELD = 20_000;
const MAX_BYTES = 256 * 2 ** 20;

/** One that is held. */
export interface FirstSubmission extends SubmissionNames {
  readonly pool: string;
  /** Where its sender waits for the answer: another copy of it has the same. */
  readonly reply: string;
  /** Of its payload. */
  readonly bytes: number;
  /** Measures its way: it is no older than it looks. */
  readonly measure: () => void;
  /** @param wayMs the time to its sender and back, at most; 0 when it was not measured */
  readonly take: (wayMs: number) => void;
  /** Answers with the error that ends it. */
  readonly refuse: (error: PoolError) => void;
  /** Asks its sender for its clock; undefined for a sender that does not answer that. */
  readonly askClock?: (() => void) | undefined;
  /** It is not taken, and never will be: its sender did not say its clock, or there is no room. */
  readonly giveUp: () => void;
}

/** What is held of one sender. */
interface Held {
  readonly sender: string;
  readonly submissions: Set<FirstSubmission>;
  /** Through which its sender was asked: who has given that one up does not answer. */
  asked: FirstSubmission;
  timer: Timer | undefined;
  bytes: number;
}

export class Newcomers {
  readonly #bus: Pick<Bus, "flush" | "runtime">;
  /** By sender. */
  readonly #held = new Map<string, Held>();
  /** By pool and id. */
  readonly #byJob = new Map<string, Map<FirstSubmission, Held>>();
  #count = 0;
  #bytes = 0;

  constructor(bus: Pick<Bus, "flush" | "runtime">) {
    this.#bus = bus;
  }

  /**
   * Whether submissions of the sender that waits at this subject are held, so that a later one has to wait too.
   *
   * @param of only whether one of this job is
   */
  has(reply: string, of?: { readonly pool: string; readonly job: string }): boolean {
    const held = this.#held.size > 0 ? this.#held.get(senderOf(reply)) : undefined;
    if (held === undefined || of === undefined) return held !== undefined;
    for (const each of this.#byJob.get(keyOf(of.pool, of.job))?.values() ?? []) if (each === held) return true;
    return false;
  }

  /** How many submissions are held. */
  get size(): number {
    return this.#count;
  }

  /** Whether a submission of this id is held. */
  holds(pool: string, id: string): boolean {
    return this.#byJob.has(keyOf(pool, id));
  }

  /**
   * Takes a submission when its sender has said its clock, or a round trip has ended. What its sender says no clock for, and
   * what finds no room, is given up; one whose sender is not asked is taken at once when there is no room.
   */
  hold(submission: FirstSubmission): void {
    const sender = senderOf(submission.reply);
    const before = this.#held.get(sender);
    if (this.#hasCopy(submission)) return;
    if (!this.#hasRoom(before, submission))
      return submission.askClock === undefined ? submission.take(0) : submission.giveUp();
    if (before !== undefined) {
      this.#add(before, submission);
      return this.#askAgain(before);
    }
    const held: Held = { sender, submissions: new Set(), asked: submission, timer: undefined, bytes: 0 };
    this.#held.set(sender, held);
    this.#add(held, submission);
    if (submission.askClock !== undefined) return this.#ask(held);
    void this.#bus.flush(ROUND_TRIP_LIMIT_MS).then(() => this.#release(held, 0));
  }

  /** The sender that waits at this subject was measured: takes what is held of it. @param wayMs the way to it and back; 0 when it is not known */
  measured(reply: string, wayMs: number): void {
    const held = this.#held.get(senderOf(reply));
    if (held !== undefined) this.#release(held, wayMs);
  }

  /** This connection has broken: who was asked for its clock finds nobody here, and submits its jobs again. */
  onDisconnect(): void {
    for (const held of [...this.#held.values()]) if (held.timer !== undefined) this.#giveAllUp(held);
  }

  /** A cancel or revocation was heard; true when it ended a submission that is held. */
  revoke(pool: string, job: string, revocation: Revocation & Meaning): boolean {
    const ofJob = [...(this.#byJob.get(keyOf(pool, job)) ?? [])];
    const revoked = ofJob.filter(([each]) => isRevoked(each, job, revocation));
    for (const [each, held] of revoked) this.#remove(held, each);
    for (const [each] of revoked) each.refuse(jobCanceled());
    for (const [, held] of revoked) this.#askAgain(held);
    return revoked.length > 0;
  }

  /** Nobody hears an answer any more: gives up what is held. */
  stop(): void {
    for (const held of [...this.#held.values()]) this.#giveAllUp(held);
  }

  #giveAllUp(held: Held): void {
    const submissions = [...held.submissions];
    this.#forget(held);
    for (const each of submissions) each.giveUp();
  }

  /** A manager that passes submissions on sends them again, and a client what it does not know to have left. */
  #hasCopy({ pool, job, reply }: FirstSubmission): boolean {
    for (const each of this.#byJob.get(keyOf(pool, job))?.keys() ?? []) if (each.reply === reply) return true;
    return false;
  }

  #hasRoom(held: Held | undefined, { bytes }: FirstSubmission): boolean {
    const own = { count: held?.submissions.size ?? 0, bytes: held?.bytes ?? 0 };
    const room = { count: (MAX_HELD - this.#count + own.count) / 2, bytes: (MAX_BYTES - this.#bytes + own.bytes) / 2 };
    if (own.count === 0) return this.#count < MAX_HELD && this.#bytes + bytes <= MAX_BYTES;
    return own.count + 1 <= room.count && own.bytes + bytes <= room.bytes;
  }

  #ask(held: Held): void {
    held.asked.askClock?.();
    held.timer = this.#bus.runtime.after(ASK_AGAIN_MS, () => this.#onSilence(held));
  }

  /** The sender has not answered: the one through which it was asked may be over there, so it is asked through another one. */
  #onSilence(held: Held): void {
    const heldSinceMs = this.#bus.runtime.now() - HOLD_LIMIT_MS;
    for (const each of held.submissions) {
      if (each.cameAtMs > heldSinceMs) continue;
      this.#remove(held, each);
      each.giveUp();
    }
    this.#askThroughNext(held);
  }

  /** Asks through another submission when the one through which its sender was asked was canceled. */
  #askAgain(held: Held): void {
    // Without a timer it is a round trip that is waited for.
    if (held.timer !== undefined && !held.submissions.has(held.asked)) this.#askThroughNext(held);
  }

  #askThroughNext(held: Held): void {
    this.#bus.runtime.cancel(held.timer);
    const next = nextToAsk(held);
    if (next === undefined) return this.#release(held, 0);
    held.asked = next;
    this.#ask(held);
  }

  #release(held: Held, wayMs: number): void {
    if (this.#held.get(held.sender) !== held) return;
    const submissions = [...held.submissions];
    this.#forget(held);
    for (const each of submissions) each.measure();
    for (const each of submissions) each.take(wayMs);
  }

  #forget(held: Held): void {
    this.#held.delete(held.sender);
    this.#bus.runtime.cancel(held.timer);
    for (const each of held.submissions) this.#remove(held, each);
  }

  #add(held: Held, submission: FirstSubmission): void {
    const { pool, job, bytes } = submission;
    const key = keyOf(pool, job);
    const ofJob = this.#byJob.get(key) ?? new Map();
    this.#byJob.set(key, ofJob.set(submission, held));
    held.submissions.add(submission);
    held.bytes += bytes;
    this.#count += 1;
    this.#bytes += bytes;
  }

  #remove(held: Held, submission: FirstSubmission): void {
    const { pool, job, bytes } = submission;
    const key = keyOf(pool, job);
    const ofJob = this.#byJob.get(key);
    ofJob?.delete(submission);
    if (ofJob?.size === 0) this.#byJob.delete(key);
    held.submissions.delete(submission);
    held.bytes -= bytes;
    this.#count -= 1;
    this.#bytes -= bytes;
  }
}

function keyOf(pool: string, job: string): string {
  return `${pool} ${job}`;
}

/** The one behind that through which its sender was asked, or the first one; undefined when there is none. */
function nextToAsk({ submissions, asked }: Held): FirstSubmission | undefined {
  let first: FirstSubmission | undefined;
  let isNext = !submissions.has(asked);
  for (const each of submissions) {
    if (each.askClock === undefined) continue;
    if (isNext) return each;
    first ??= each;
    isNext = each === asked;
  }
  return first;
}
