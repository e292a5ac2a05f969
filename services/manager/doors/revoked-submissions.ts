/**
 * Submissions that their callers gave up before they came. Pure.
 *
 * A caller's word may overtake its submission, which goes another way or is passed on by another manager, and a manager
 * passes one on again while it hears nothing. What was given up is not taken when it comes. Only a nonce names one
 * submission for good: an id may be used anew.
 *
 * Managers revoke single attempts by the same message, which says nothing of the submission. Callers give up all that one
 * manager may have made, up to a full thousand (mesh/job/job.ts). So does a manager at the end of a job: that is over too.
 */
import { LRUCache } from "lru-cache";
import { ATTEMPTS_PER_MANAGER } from "../../../mesh/job/job.js";
import type { Revocation } from "../../../mesh/wire/cancel-messages.js";
import type { SubmissionNames } from "./unsettled.js";

/** At most so many are remembered; the oldest goes first. */
const MAX_REVOKED = 10_000;

export class RevokedSubmissions {
  /** The last attempt that is not wanted. Bounded by `maxSize`, it takes no room while empty. */
  readonly #upToAttempt = new LRUCache<string, number>({ maxSize: MAX_REVOKED, sizeCalculation: () => 1 });

  /** A cancel or revocation was heard. */
  add(pool: string, job: string, { nonce, upToAttempt = Number.POSITIVE_INFINITY }: Revocation): void {
    if (!nonce || upToAttempt % ATTEMPTS_PER_MANAGER > 0) return;
    const key = keyOf(pool, job, nonce);
    this.#upToAttempt.set(key, Math.max(upToAttempt, this.#upToAttempt.get(key) ?? 0));
  }

  has(pool: string, { job, nonce, attempt }: Pick<SubmissionNames, "job" | "nonce" | "attempt">): boolean {
    return nonce !== "" && attempt <= (this.#upToAttempt.get(keyOf(pool, job, nonce)) ?? 0);
  }
}

function keyOf(pool: string, job: string, nonce: string): string {
  return `${pool} ${job} ${nonce}`;
}
