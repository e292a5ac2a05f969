/**
 * What was revoked or canceled, so that a job which comes late is not run.
 *
 * Pure. Bounded in number and age: 10,000 jobs, 10 minutes.
 */
import { FifoMap } from "./fifo-map.js";

export const REVOKED_LIMIT = 10_000;
export const REVOKED_TTL_MS = 600_000;

interface Revocation {
  readonly upToAttempt: number;
  readonly atMs: number;
}

/** Remembers up to which attempt each job was revoked. */
export class Revoked {
  readonly #jobs = new FifoMap<Revocation>(REVOKED_LIMIT);

  /** @param upToAttempt Infinity for a plain cancel: no attempt may run */
  add(job: string, upToAttempt: number, nowMs: number): void {
    const known = this.#live(job, nowMs)?.upToAttempt ?? 0;
    this.#jobs.set(job, { upToAttempt: Math.max(known, upToAttempt), atMs: nowMs });
  }

  /** Whether this attempt must not run. */
  has(job: string, attempt: number, nowMs: number): boolean {
    if (this.#jobs.size === 0) return false;
    return (this.#live(job, nowMs)?.upToAttempt ?? 0) >= attempt;
  }

  #live(job: string, nowMs: number): Revocation | undefined {
    const found = this.#jobs.get(job);
    return found !== undefined && nowMs - found.atMs <= REVOKED_TTL_MS ? found : undefined;
  }
}
