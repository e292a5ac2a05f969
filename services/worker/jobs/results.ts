/**
 * Finished results, kept until the broker has confirmed them and a little longer.
 *
 * Pure. Decided here: how long and how many; past a bound the oldest go first,
 * which are confirmed first too. Not decided here: how they are stored
 * (answer-store.ts).
 */

import type { Ending } from "../handlers/runner.js";
import { AnswerStore, type StoredAnswer } from "./answer-store.js";
import { type Addressee, jobKey } from "./order.js";

export const KEPT_LIMIT = 4_096;
export const KEPT_BYTES_LIMIT = 64 * 2 ** 20;
export const UNCONFIRMED_TTL_MS = 60_000;
export const CONFIRMED_TTL_MS = 10_000;
/** How many finished attempts are remembered by name only, and for how long. */
const FINISHED_LIMIT = 8_192;
export const FINISHED_TTL_MS = 60_000;

/** One finished attempt and its answer. */
export interface KeptResult extends StoredAnswer {
  /** Rises by one with every result kept. */
  readonly seq: number;
}

export class Results {
  readonly #store = new AnswerStore(FINISHED_LIMIT);
  readonly #keptAtMs = new Float64Array(FINISHED_LIMIT);
  /** NaN until confirmed. */
  readonly #confirmedAtMs = new Float64Array(FINISHED_LIMIT);
  #bytes = 0;
  /** The oldest result that is still kept. */
  #oldest = 1;
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

  /** Keeps the result of an attempt that has just finished, or of one that somebody else has asked for since. */
  keep(to: Addressee, ending: Ending, nowMs: number): void {
    this.#seq += 1;
    const place = this.#seq % FINISHED_LIMIT;
    this.#keptAtMs[place] = nowMs;
    this.#confirmedAtMs[place] = Number.NaN;
    this.#store.put(this.#seq, to, ending);
    this.#bytes += this.#store.size(this.#seq);
    if (this.#seq - this.#oldest >= KEPT_LIMIT) this.#release();
    this.sweep(nowMs);
  }

  /** The kept result of one attempt. */
  find(order: Pick<Addressee, "id" | "nonce" | "attempt">, nowMs: number): KeptResult | undefined {
    this.sweep(nowMs);
    const seq = this.#store.find(jobKey(order.id, order.nonce), order.attempt);
    return seq < this.#oldest ? undefined : this.#get(seq);
  }

  /** The kept results of any attempt of these submissions, by their keys, oldest first; of one attempt the last. */
  findJobs(keys: ReadonlySet<string>, nowMs: number): KeptResult[] {
    this.sweep(nowMs);
    const found: KeptResult[] = [];
    for (let seq = this.#oldest; seq <= this.#seq; seq += 1) {
      const kept = this.#get(seq);
      const key = jobKey(kept.id, kept.nonce);
      if (keys.has(key) && this.#store.find(key, kept.attempt) === seq) found.push(kept);
    }
    return found;
  }

  /** Whether this attempt finished here lately, its result kept or not. */
  hasFinished({ id, nonce, attempt }: Pick<Addressee, "id" | "nonce" | "attempt">, nowMs: number): boolean {
    const seq = this.#store.find(jobKey(id, nonce), attempt);
    return seq > 0 && nowMs - (this.#keptAtMs[seq % FINISHED_LIMIT] as number) <= FINISHED_TTL_MS;
  }

  /** A round trip has confirmed all results up to this number. */
  confirm(seq: number, nowMs: number): void {
    for (let each = Math.max(this.#confirmedSeq + 1, this.#oldest); each <= seq; each += 1) {
      this.#confirmedAtMs[each % FINISHED_LIMIT] = nowMs;
    }
    this.#confirmedSeq = Math.max(seq, this.#confirmedSeq);
  }

  /** What has to be sent again after a reconnect, oldest first: to everybody who asked for it. */
  allUnconfirmed(nowMs: number): KeptResult[] {
    this.sweep(nowMs);
    const found: KeptResult[] = [];
    for (let seq = Math.max(this.#oldest, this.#confirmedSeq + 1); seq <= this.#seq; seq += 1)
      found.push(this.#get(seq));
    return found;
  }

  /** Drops what is too old or too much. */
  sweep(nowMs: number): void {
    while (this.#oldest <= this.#seq && (this.#bytes > KEPT_BYTES_LIMIT || this.#isStale(this.#oldest, nowMs))) {
      this.#release();
    }
  }

  #get(seq: number): KeptResult {
    return { ...this.#store.get(seq), seq };
  }

  #release(): void {
    this.#bytes -= this.#store.size(this.#oldest);
    this.#store.release(this.#oldest);
    this.#oldest += 1;
  }

  #isStale(seq: number, nowMs: number): boolean {
    const place = seq % FINISHED_LIMIT;
    const confirmedAtMs = this.#confirmedAtMs[place] as number;
    if (!Number.isNaN(confirmedAtMs)) return nowMs - confirmedAtMs > CONFIRMED_TTL_MS;
    return nowMs - (this.#keptAtMs[place] as number) > UNCONFIRMED_TTL_MS;
  }
}
