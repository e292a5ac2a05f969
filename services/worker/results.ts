/**
 * Finished results, kept until the broker has confirmed them and a little longer.
 *
 * Pure. Bounds: 4,096 results, 64 MiB of payload, 60 s unconfirmed, 10 s after
 * confirmation. Past a bound the oldest go first; those are confirmed first too.
 * Every job comes by here, and hardly any is ever looked for: so keeping is
 * cheap and finding walks.
 */
import { PoolError } from "../../mesh/errors.js";
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

/** Instead of a time: not yet. */
const NEVER = -1;

/** One finished attempt and its answer. Small, since thousands are held and the collector copies each of them. */
export class KeptResult implements Addressee {
  /** False once it is kept for somebody else. */
  stands = true;
  confirmedAtMs = NEVER;

  constructor(
    readonly id: string,
    readonly attempt: number,
    readonly reply: string | undefined,
    readonly answer: Uint8Array | PoolError,
    readonly keptAtMs: number,
    /** Rises by one with every result kept. */
    readonly seq: number,
  ) {}

  get ending(): Ending {
    const { answer } = this;
    return answer instanceof PoolError ? { ok: false, error: answer } : { ok: true, payload: answer };
  }

  get bytes(): number {
    return this.answer instanceof PoolError ? 0 : this.answer.length;
  }

  isStale(nowMs: number): boolean {
    if (!this.stands) return true;
    if (this.confirmedAtMs !== NEVER) return nowMs - this.confirmedAtMs > CONFIRMED_TTL_MS;
    return nowMs - this.keptAtMs > UNCONFIRMED_TTL_MS;
  }
}

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
    const answer = ending.ok ? compact(ending.payload) : ending.error;
    const kept = new KeptResult(id, attempt, reply, answer, Math.trunc(nowMs), this.#seq);
    this.#bytes += kept.bytes;
    this.#dropped(this.#kept.push(kept));
    this.sweep(nowMs);
  }

  /** Keeps a result once more, for somebody else who asked; the first one need not be kept then. */
  keepFor(to: Addressee, kept: KeptResult, nowMs: number): void {
    this.#dropped(kept);
    kept.stands = false;
    this.keep(to, kept.ending, nowMs);
  }

  /** The kept result of one attempt. */
  find(id: string, attempt: number, nowMs: number): KeptResult | undefined {
    this.sweep(nowMs);
    for (const kept of this.#kept.newestFirst()) {
      if (kept.id === id && kept.attempt === attempt && kept.stands) return kept;
    }
    return undefined;
  }

  /** The kept results of any attempt of these jobs, oldest first. */
  findJobs(ids: ReadonlySet<string>, nowMs: number): KeptResult[] {
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
      if (kept.seq <= seq) kept.confirmedAtMs = Math.trunc(nowMs);
    }
    this.#confirmedSeq = Math.max(seq, this.#confirmedSeq);
  }

  /** What has to be sent again after a reconnect, oldest first. */
  allUnconfirmed(nowMs: number): KeptResult[] {
    this.sweep(nowMs);
    return this.#filter((kept) => kept.confirmedAtMs === NEVER);
  }

  /** Drops what is too old or too much. */
  sweep(nowMs: number): void {
    for (;;) {
      const oldest = this.#kept.oldest();
      if (oldest === undefined || (this.#bytes <= KEPT_BYTES_LIMIT && !oldest.isStale(nowMs))) return;
      this.#dropped(this.#kept.shift());
    }
  }

  #filter(wanted: (kept: KeptResult) => boolean): KeptResult[] {
    return [...this.#kept.newestFirst()].filter((kept) => kept.stands && wanted(kept)).reverse();
  }

  #dropped(kept: KeptResult | undefined): void {
    if (kept?.stands) this.#bytes -= kept.bytes;
  }
}

function compact(payload: Uint8Array): Uint8Array {
  return payload.buffer.byteLength - payload.length > MAX_HELD_BESIDES ? payload.slice() : payload;
}
