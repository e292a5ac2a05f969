/**
 * The first submissions of a sender, whose way here nobody has measured.
 *
 * A message's age is told by what was heard of its sender before (ages.ts). So the
 * first one looks new, although it may have lain for seconds in a broker or a link
 * that stood still. But what its sender said later lies right behind it: that it
 * gave the job to another manager, or that the deadline is over. So the first ones are
 * held until a round trip to the broker has ended, and what was revoked meanwhile is
 * never taken. Those that follow are measured by then.
 */
import { PoolError } from "../../../mesh/errors.js";
import type { Bus } from "../../../mesh/link/bus.js";
import type { Revocation } from "../../../mesh/wire/headers.js";
import { senderOf } from "../../../mesh/wire/wire-headers.js";
import { isRevoked, type SubmissionNames } from "./unsettled.js";

/**
 * The longest wait for the round trip, in milliseconds, and how many submissions are held at most. A client goes to
 * another manager after 2.5 s without a word.
 */
const ROUND_TRIP_LIMIT_MS = 500;
const MAX_HELD = 1_000;

/** One that is held. */
export interface FirstSubmission extends SubmissionNames {
  readonly pool: string;
  /** Takes it, or answers with the error that ends it. */
  readonly take: (refusal?: PoolError) => void;
}

export class Newcomers {
  readonly #bus: Pick<Bus, "flush">;
  readonly #held = new Map<string, Set<FirstSubmission>>();
  #count = 0;

  constructor(bus: Pick<Bus, "flush">) {
    this.#bus = bus;
  }

  /** Whether submissions of the sender that waits at this subject are held, so that a later one has to wait too. */
  has(reply: string): boolean {
    return this.#held.size > 0 && this.#held.has(senderOf(reply));
  }

  /** Takes a submission when the round trip has ended; at once when too many are held. */
  hold(reply: string, submission: FirstSubmission): void {
    if (this.#count >= MAX_HELD) return submission.take();
    this.#count += 1;
    const sender = senderOf(reply);
    const held = this.#held.get(sender);
    if (held !== undefined) return void held.add(submission);
    const first = new Set([submission]);
    this.#held.set(sender, first);
    void this.#bus.flush(ROUND_TRIP_LIMIT_MS).then(() => this.#release(sender, first));
  }

  /** A cancel or revocation was heard; true when it ended a submission that is held. */
  revoke(pool: string, job: string, revocation: Revocation): boolean {
    let ended = false;
    for (const held of this.#held.values()) {
      for (const each of held) {
        if (each.pool !== pool || !isRevoked(each, job, revocation)) continue;
        held.delete(each);
        this.#count -= 1;
        each.take(new PoolError("canceled", "the caller canceled the job"));
        ended = true;
      }
    }
    return ended;
  }

  #release(sender: string, held: ReadonlySet<FirstSubmission>): void {
    this.#held.delete(sender);
    this.#count -= held.size;
    for (const each of held) each.take();
  }
}
