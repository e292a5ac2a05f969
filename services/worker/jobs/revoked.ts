/** Which attempts must not run, because they were revoked or canceled. Pure. */
import { LRUCache } from "lru-cache";
import { ATTEMPTS_PER_MANAGER } from "../../../mesh/job/job.js";
import { jobKey } from "./running-job.js";

export const REVOKED_LIMIT = 10_000;
export const REVOKED_TTL_MS = 600_000;
/** For a cancel that names no submission, in milliseconds: the longest time that a job of that id is on its way. */
export const CANCELED_ID_TTL_MS = 10_000;

/** Which attempts must not run. */
export interface Revoke {
  readonly id: string;
  /** The submission; "" for every job of this id. */
  readonly nonce: string;
  /** Infinity: no attempt may run. */
  readonly upToAttempt: number;
}

interface Revocation {
  readonly upToAttempt: number;
  readonly untilMs: number;
}

/**
 * Remembers up to which attempt each submission was revoked or canceled, so that a
 * job which comes late is not run. Bounded in number and age.
 *
 * A cancel that names no submission means every job of its id: it is remembered for
 * a short time only, since an id may be used again.
 */
export class Revoked {
  /** The oldest entry leaves first: reading one does not make it newer. Bounded by `maxSize`, it takes no room while empty. */
  readonly #jobs = new LRUCache<string, Revocation>({ maxSize: REVOKED_LIMIT, sizeCalculation: () => 1 });

  add({ id, nonce, upToAttempt }: Revoke, nowMs: number): void {
    const key = jobKey(id, nonce);
    const known = this.#live(key, nowMs)?.upToAttempt ?? 0;
    const isOfWholeId = nonce === "" && upToAttempt === Number.POSITIVE_INFINITY;
    const untilMs = nowMs + (isOfWholeId ? CANCELED_ID_TTL_MS : REVOKED_TTL_MS);
    this.#jobs.set(key, { upToAttempt: Math.max(known, upToAttempt), untilMs });
  }

  /** Whether this attempt must not run. */
  has(id: string, nonce: string, attempt: number, nowMs: number): boolean {
    if (this.#jobs.size === 0) return false;
    if ((this.#live(id, nowMs)?.upToAttempt ?? 0) >= attempt) return true;
    return nonce !== "" && (this.#live(jobKey(id, nonce), nowMs)?.upToAttempt ?? 0) >= attempt;
  }

  /**
   * Whether no attempt may run any more that the manager of this one can make: somebody else has revoked them all. A
   * cancel of a whole id does not count: the job may be another one of this id.
   */
  hasAllOfManager(id: string, nonce: string, attempt: number, nowMs: number): boolean {
    const upTo = this.#live(jobKey(id, nonce), nowMs)?.upToAttempt ?? 0;
    if (nonce === "" && upTo === Number.POSITIVE_INFINITY) return false;
    return upTo >= Math.ceil(attempt / ATTEMPTS_PER_MANAGER) * ATTEMPTS_PER_MANAGER;
  }

  #live(key: string, nowMs: number): Revocation | undefined {
    const found = this.#jobs.peek(key);
    return found !== undefined && nowMs <= found.untilMs ? found : undefined;
  }
}
