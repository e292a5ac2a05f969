/**
 * Outcomes kept for a while after the end: for GetOutcome, and so that the same
 * id with the same payload, submitted again, hears the same outcome.
 *
 * Pure. Only jobs whose caller chose the id or detached are kept. Bounded in
 * number, bytes and time; the oldest goes first.
 */
import type { Outcome } from "../../../mesh/job/job.js";

interface Kept {
  readonly outcome: Outcome;
  readonly payload: Uint8Array;
  readonly bytes: number;
  readonly until: number;
}

/** How long, how many, how much. */
export const OUTCOME_KEEP_MS = 60_000;
const MAX_OUTCOMES = 10_000;
const MAX_BYTES = 64 * 1024 * 1024;

export class OutcomeStore {
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  get size(): number {
    return this.#kept.size;
  }

  /** Keeps an outcome; `payload` is the job's, to tell a repeat from another job. */
  keep(outcome: Outcome, payload: Uint8Array, now: number): void {
    this.#delete(outcome.id);
    const bytes = payload.length + (outcome.ok ? outcome.result.payload.length : 0);
    this.#kept.set(outcome.id, { outcome, payload, bytes, until: now + OUTCOME_KEEP_MS });
    this.#bytes += bytes;
    this.#trim(now);
  }

  /** The outcome of a job that has ended. */
  get(id: string, now: number): Outcome | undefined {
    this.#trim(now);
    return this.#kept.get(id)?.outcome;
  }

  /** The outcome of a job that had this id and this payload. */
  repeat(id: string, payload: Uint8Array, now: number): Outcome | undefined {
    this.#trim(now);
    const kept = this.#kept.get(id);
    return kept !== undefined && Buffer.compare(kept.payload, payload) === 0 ? kept.outcome : undefined;
  }

  #trim(now: number): void {
    for (const [id, kept] of this.#kept) {
      if (kept.until > now && this.#kept.size <= MAX_OUTCOMES && this.#bytes <= MAX_BYTES) return;
      this.#delete(id);
    }
  }

  #delete(id: string): void {
    const kept = this.#kept.get(id);
    if (kept === undefined) return;
    this.#bytes -= kept.bytes;
    this.#kept.delete(id);
  }
}
