/**
 * Finished results, kept until the broker has confirmed them and a little longer.
 *
 * Pure. Bounds: 4,096 results, 64 MiB of payload, 60 s unconfirmed, 10 s after
 * confirmation. Past a bound the oldest go first; those are confirmed first too.
 * Every job comes by here, and hardly any is ever looked for: so keeping is
 * cheap and finding walks.
 */
import { RecentNames } from "./recent-names.js";
import type { Addressee } from "./replies.js";
import { Ring } from "./ring.js";
import type { Ending } from "./runner.js";
import { attemptKey } from "./running-job.js";

export const KEPT_LIMIT = 4_096;
export const KEPT_BYTES_LIMIT = 64 * 2 ** 20;
export const UNCONFIRMED_TTL_MS = 60_000;
export const CONFIRMED_TTL_MS = 10_000;
/** How many finished attempts are remembered by name only, and for how long. */
export const FINISHED_LIMIT = 10_000;
export const FINISHED_TTL_MS = 60_000;
/** A payload that is part of a buffer larger than itself by this much is copied, so as not to hold all of it. */
const MAX_HELD_BESIDES = 64 * 2 ** 10;

/** One finished attempt and its answer. */
export interface KeptResult extends Addressee {
  /** Undefined once it is kept for somebody else. */
  ending: Ending | undefined;
  readonly keptAtMs: number;
  /** Rises by one with every result kept. */
  readonly seq: number;
  confirmedAtMs: number | undefined;
}

/** A kept result that still stands. */
export type StandingResult = KeptResult & { readonly ending: Ending };

export class Results {
  readonly #kept = new Ring<KeptResult>(KEPT_LIMIT);
  readonly #finished = new RecentNames(FINISHED_LIMIT, FINISHED_TTL_MS);
  #bytes = 0;
  #seq = 0;
  #confirmedSeq = 0;

  /** The number of the result kept last. */
  get seq(): number {
    return this.#seq;
  }

  /** How many were kept since the last one that was confirmed. */
  get unconfirmed(): number {
    return this.#seq - this.#confirmedSeq;
  }

  /** Payload bytes kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Keeps the result of an attempt that has just finished. */
  keep({ id, attempt, reply }: Addressee, ending: Ending, nowMs: number): void {
    this.#finished.add(attemptKey(id, attempt), nowMs);
    this.#seq += 1;
    this.#bytes += sizeOf(ending);
    const kept = { id, attempt, reply, ending: compact(ending), keptAtMs: nowMs, seq: this.#seq, confirmedAtMs: undefined };
    this.#dropped(this.#kept.push(kept));
    this.sweep(nowMs);
  }

  /** Keeps a result once more, for somebody else who asked; the first one need not be kept then. */
  keepFor(to: Addressee, kept: StandingResult, nowMs: number): void {
    const { ending } = kept;
    this.#dropped(kept);
    (kept as KeptResult).ending = undefined;
    this.keep(to, ending, nowMs);
  }

  /** The kept result of one attempt. */
  find(id: string, attempt: number, nowMs: number): StandingResult | undefined {
    this.sweep(nowMs);
    for (const kept of this.#kept.newestFirst()) {
      if (kept.id === id && kept.attempt === attempt && isStanding(kept)) return kept;
    }
    return undefined;
  }

  /** The kept results of any attempt of these jobs, oldest first. */
  findJobs(ids: ReadonlySet<string>, nowMs: number): StandingResult[] {
    this.sweep(nowMs);
    return this.#filter((kept) => ids.has(kept.id));
  }

  /** Whether this attempt finished here lately, its result kept or not. */
  hasFinished(id: string, attempt: number, nowMs: number): boolean {
    return this.#finished.has(attemptKey(id, attempt), nowMs);
  }

  /** A round trip has confirmed all results up to this number. */
  confirm(seq: number, nowMs: number): void {
    for (const kept of this.#kept.newestFirst()) {
      if (kept.seq <= this.#confirmedSeq) break;
      if (kept.seq <= seq) kept.confirmedAtMs = nowMs;
    }
    this.#confirmedSeq = Math.max(seq, this.#confirmedSeq);
  }

  /** What has to be sent again after a reconnect, oldest first. */
  allUnconfirmed(nowMs: number): StandingResult[] {
    this.sweep(nowMs);
    return this.#filter((kept) => kept.confirmedAtMs === undefined);
  }

  /** Drops what is too old or too much. */
  sweep(nowMs: number): void {
    for (;;) {
      const oldest = this.#kept.oldest();
      if (oldest === undefined || (this.#bytes <= KEPT_BYTES_LIMIT && !isStale(oldest, nowMs))) return;
      this.#dropped(this.#kept.shift());
    }
  }

  #filter(wanted: (kept: KeptResult) => boolean): StandingResult[] {
    return [...this.#kept.newestFirst()].filter(isStanding).filter(wanted).reverse();
  }

  #dropped(kept: KeptResult | undefined): void {
    if (kept?.ending !== undefined) this.#bytes -= sizeOf(kept.ending);
  }
}

function isStanding(kept: KeptResult): kept is StandingResult {
  return kept.ending !== undefined;
}

function isStale(kept: KeptResult, nowMs: number): boolean {
  if (kept.ending === undefined) return true;
  if (kept.confirmedAtMs !== undefined) return nowMs - kept.confirmedAtMs > CONFIRMED_TTL_MS;
  return nowMs - kept.keptAtMs > UNCONFIRMED_TTL_MS;
}

function sizeOf(ending: Ending): number {
  return ending.ok ? ending.payload.length : 0;
}

function compact(ending: Ending): Ending {
  if (!ending.ok || ending.payload.buffer.byteLength - ending.payload.length <= MAX_HELD_BESIDES) return ending;
  return { ok: true, payload: ending.payload.slice() };
}
