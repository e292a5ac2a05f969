/**
 * Submissions over NATS whose pool nobody has been heard of.
 *
 * Each is held until a roll call has told whether the name has workers. What its
 * caller cancels meanwhile is never taken.
 */
import { jobCanceled, PoolError } from "../../../mesh/errors.js";
import type { Meaning, Revocation } from "../../../mesh/wire/cancel-messages.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import type { HeaderReader } from "../../../mesh/wire/wire-headers.js";
import type { Pool } from "../pool/pool.js";
import type { RollCall } from "./roll-call.js";

/** How many are held at most, and how many bytes of payload. */
const MAX_HELD = 10_000;
const MAX_BYTES = 64 * 2 ** 20;

/** Which submission one is that is held. */
export interface SubmissionNames {
  /** "" when its sender names none. */
  readonly job: string;
  readonly nonce: string;
  readonly attempt: number;
  /** When it came, monotonic milliseconds. */
  readonly cameAtMs: number;
}

/** One that is held. */
export interface UnsettledSubmission extends SubmissionNames {
  readonly bytes: number;
  /** Takes it, or answers with the error that ends it. */
  readonly take: (refusal?: PoolError) => void;
}

export class Unsettled {
  readonly #rollCall: RollCall;
  readonly #held = new Map<Pool, Set<UnsettledSubmission>>();
  #count = 0;
  #bytes = 0;

  constructor(rollCall: RollCall) {
    this.#rollCall = rollCall;
  }

  /** How many submissions are held. */
  get size(): number {
    return this.#count;
  }

  /** Whether it is clear that the pool has workers, or that none answers. */
  isSettled(pool: Pool): boolean {
    return this.#rollCall.isSettled(pool);
  }

  /** Whether a submission of this id is held. */
  holds(pool: Pool, id: string): boolean {
    for (const { job } of this.#held.get(pool) ?? []) if (job === id) return true;
    return false;
  }

  /** Takes a submission when it is clear whether its pool has workers. */
  hold(pool: Pool, submission: UnsettledSubmission): void {
    if (this.#count >= MAX_HELD || this.#bytes + submission.bytes > MAX_BYTES) {
      const message = "as many jobs of pools without workers are held as may be";
      return submission.take(new PoolError("pool_full", message, { retryAfterMs: 1_000 }));
    }
    this.#count += 1;
    this.#bytes += submission.bytes;
    const held = this.#held.get(pool);
    if (held !== undefined) return void held.add(submission);
    this.#held.set(pool, new Set([submission]));
    void this.#rollCall.settle(pool).then(() => this.#release(pool));
  }

  /** A cancel or revocation was heard; true when it ended a submission that is held. */
  revoke(pool: Pool, job: string, revocation: Revocation & Meaning): boolean {
    let ended = false;
    for (const each of this.#held.get(pool) ?? []) {
      if (!isRevoked(each, job, revocation)) continue;
      this.#forget(pool, each);
      each.take(jobCanceled());
      ended = true;
    }
    return ended;
  }

  /** Takes what is held at once. */
  stop(): void {
    for (const pool of [...this.#held.keys()]) this.#release(pool);
  }

  #release(pool: Pool): void {
    for (const each of this.#held.get(pool) ?? []) {
      this.#forget(pool, each);
      each.take();
    }
    this.#held.delete(pool);
  }

  #forget(pool: Pool, submission: UnsettledSubmission): void {
    this.#held.get(pool)?.delete(submission);
    this.#count -= 1;
    this.#bytes -= submission.bytes;
  }
}

/** Which submission a message is, as far as it says so. */
export function namesOf(headers: HeaderReader | undefined): Omit<SubmissionNames, "cameAtMs"> {
  return {
    job: headers?.get(HEADER.jobId) ?? "",
    nonce: headers?.get(HEADER.nonce) ?? "",
    attempt: Number(headers?.get(HEADER.attempt)) || 1,
  };
}

/** Whether a cancel or revocation of a job means this submission. */
export function isRevoked(each: SubmissionNames, job: string, revocation: Revocation & Meaning): boolean {
  const { nonce, upToAttempt = Number.POSITIVE_INFINITY, beforeMs = Number.POSITIVE_INFINITY } = revocation;
  const isNamed = each.job === job && (nonce === undefined || nonce === each.nonce);
  return isNamed && each.attempt <= upToAttempt && each.cameAtMs <= beforeMs;
}
