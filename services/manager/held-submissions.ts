/**
 * What a manager does with submissions that it reads after it stalled.
 *
 * A client that hears nothing for a while revokes its submission and gives it to
 * another manager. A manager that wakes up reads the submission first and the
 * revocation later. So after a stall submissions are held until a round trip to
 * the broker has ended, and those that were revoked meanwhile are not taken.
 */
import type { Bus } from "../../mesh/link/bus.js";
import { HEADER } from "../../mesh/wire/headers.js";
import type { HeaderReader } from "../../mesh/wire/wire-headers.js";

/** A stall of this length makes a client go elsewhere, in milliseconds; a shorter one holds nothing. */
export const LONG_STALL_MS = 1_400;
/** The longest wait for the round trip, and how many submissions are held meanwhile. */
const ROUND_TRIP_LIMIT_MS = 2_000;
const MAX_HELD = 10_000;

interface Held {
  readonly job: string;
  readonly attempt: number;
  readonly take: () => void;
}

/** What a revocation names: a job with its nonce, and an attempt. */
function submissionOf(headers: HeaderReader | undefined): Pick<Held, "job" | "attempt"> {
  const job = keyOf(headers?.get(HEADER.jobId) ?? "", headers?.get(HEADER.nonce) ?? "");
  return { job, attempt: Number(headers?.get(HEADER.attempt)) || 1 };
}

function keyOf(id: string, nonce: string): string {
  return `${id} ${nonce}`;
}

export class HeldSubmissions {
  readonly #bus: Bus;
  #lastSignMs: number;
  #held: Held[] | undefined;
  readonly #revoked = new Map<string, number>();

  constructor(bus: Bus, nowMs: number) {
    this.#bus = bus;
    this.#lastSignMs = nowMs;
  }

  /** A sign that this process runs, at least once a second; finds out whether it stalled for long. */
  sign(nowMs: number): void {
    const gapMs = nowMs - this.#lastSignMs;
    this.#lastSignMs = nowMs;
    if (gapMs <= LONG_STALL_MS || this.#held !== undefined) return;
    this.#held = [];
    void this.#release(this.#held);
  }

  /** Whether submissions are held now. */
  get holds(): boolean {
    return this.#held !== undefined;
  }

  /** Takes a submission: at once, or after the round trip. False when too many are held. */
  submit(headers: HeaderReader | undefined, take: () => void): boolean {
    if (this.#held === undefined) take();
    else if (this.#held.length >= MAX_HELD) return false;
    else this.#held.push({ ...submissionOf(headers), take });
    return true;
  }

  /** Attempts up to this one are revoked by the client that submitted them. */
  revoke(id: string, nonce: string, attempt: number): void {
    if (this.#held === undefined) return;
    const job = keyOf(id, nonce);
    this.#revoked.set(job, Math.max(attempt, this.#revoked.get(job) ?? 0));
  }

  async #release(held: readonly Held[]): Promise<void> {
    await this.#bus.flush(ROUND_TRIP_LIMIT_MS);
    this.#held = undefined;
    for (const { job, attempt, take } of held) if (attempt > (this.#revoked.get(job) ?? 0)) take();
    this.#revoked.clear();
  }
}
