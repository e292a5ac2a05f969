/**
 * What a manager does with submissions that it reads after it stood still.
 *
 * A client that hears nothing for a while revokes its submission and makes it
 * elsewhere. A manager that wakes up reads the submission first and the
 * revocation later; so after a standstill submissions are held until a round
 * trip to the broker has ended, and those that were revoked meanwhile are not
 * taken. It stands for the manager as stall.ts does for a worker.
 */
import type { Bus } from "../../mesh/link/bus.js";

/** A gap between two signs of our own life that counts as a standstill, in milliseconds; signs come every second. */
export const STANDSTILL_MS = 1_400;
/** The longest wait for the round trip, and how many submissions are held meanwhile. */
const FLUSH_LIMIT_MS = 2_000;
const MAX_HELD = 10_000;

interface Held {
  readonly job: string;
  readonly attempt: number;
  readonly take: () => void;
}

export class Standstill {
  readonly #bus: Bus;
  #aliveAt: number;
  #held: Held[] | undefined;
  readonly #revoked = new Map<string, number>();

  constructor(bus: Bus, now: number) {
    this.#bus = bus;
    this.#aliveAt = now;
  }

  /** A sign of our own life; finds out whether we stood still. */
  alive(now: number): void {
    const gapMs = now - this.#aliveAt;
    this.#aliveAt = now;
    if (gapMs <= STANDSTILL_MS || this.#held !== undefined) return;
    this.#held = [];
    void this.#release(this.#held);
  }

  /** Takes a submission: at once, or after the round trip. False when too many are held. */
  submit(job: string, attempt: number, take: () => void): boolean {
    if (this.#held === undefined) take();
    else if (this.#held.length >= MAX_HELD) return false;
    else this.#held.push({ job, attempt, take });
    return true;
  }

  /** Attempts up to this one are revoked by who submitted them. */
  revoke(job: string, attempt: number): void {
    if (this.#held !== undefined) this.#revoked.set(job, Math.max(attempt, this.#revoked.get(job) ?? 0));
  }

  async #release(held: readonly Held[]): Promise<void> {
    await this.#bus.flush(FLUSH_LIMIT_MS);
    this.#held = undefined;
    for (const { job, attempt, take } of held) if (attempt > (this.#revoked.get(job) ?? 0)) take();
    this.#revoked.clear();
  }
}
