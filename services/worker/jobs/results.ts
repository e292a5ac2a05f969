/**
 * Finished results, kept until the broker has confirmed them and a little longer.
 *
 * Pure. {@link Results} decides how long and how many; past a bound the oldest go
 * first, which are confirmed first too. {@link ResultStore} stores them.
 */

import { PoolError } from "../../../mesh/errors.js";
import type { HandlerOutcome } from "../handlers/runner.js";
import { KeptBytes } from "./kept-bytes.js";
import { type Addressee, jobKey } from "./running-job.js";

export const KEPT_LIMIT = 4_096;
export const KEPT_BYTES_LIMIT = 64 * 2 ** 20;
export const UNCONFIRMED_TTL_MS = 60_000;
export const CONFIRMED_TTL_MS = 10_000;
/** How many finished attempts are remembered by name only, and for how long. */
const FINISHED_LIMIT = 8_192;
export const FINISHED_TTL_MS = 60_000;

/** One finished attempt and its answer. */
export interface KeptResult extends StoredResult {
  /** Rises by one with every result kept. */
  readonly seq: number;
}

export class Results {
  readonly #store = new ResultStore(FINISHED_LIMIT);
  readonly #keptAtMs = new Float64Array(FINISHED_LIMIT);
  /** NaN until confirmed. */
  readonly #confirmedAtMs = new Float64Array(FINISHED_LIMIT);
  /** What tells the payloads of plain jobs apart. */
  readonly #prints = new Float64Array(FINISHED_LIMIT);
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
  keep(to: Addressee, outcome: HandlerOutcome, nowMs: number): void {
    this.#seq += 1;
    const place = this.#seq % FINISHED_LIMIT;
    this.#keptAtMs[place] = nowMs;
    this.#confirmedAtMs[place] = Number.NaN;
    this.#prints[place] = to.print ?? 0;
    this.#store.put(this.#seq, to, outcome);
    this.#bytes += this.#store.size(this.#seq);
    if (this.#seq - this.#oldest >= KEPT_LIMIT) this.#release();
    this.sweep(nowMs);
  }

  /** The kept result of one attempt. */
  find(order: Pick<Addressee, "id" | "nonce" | "attempt">, nowMs: number): KeptResult | undefined {
    this.sweep(nowMs);
    const seq = this.#store.find(jobKey(order.id, order.nonce), order.attempt);
    return seq < this.#oldest ? undefined : owned(this.#get(seq));
  }

  /** The kept results of any attempt of these submissions, by their keys, oldest first; of one attempt the last. */
  findJobs(keys: ReadonlySet<string>, nowMs: number): KeptResult[] {
    this.sweep(nowMs);
    const found: KeptResult[] = [];
    for (let seq = this.#oldest; seq <= this.#seq; seq += 1) {
      const kept = this.#get(seq);
      const key = jobKey(kept.id, kept.nonce);
      if (keys.has(key) && this.#store.find(key, kept.attempt) === seq) found.push(owned(kept));
    }
    return found;
  }

  /** Whether this attempt finished here lately, its result kept or not. A plain job with another payload is another one. */
  hasFinished({ id, nonce, attempt, print = 0 }: Omit<Addressee, "reply">, nowMs: number): boolean {
    const seq = this.#store.find(jobKey(id, nonce), attempt);
    if (this.#prints[seq % FINISHED_LIMIT] !== print) return false;
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
      found.push(owned(this.#get(seq)));
    return found;
  }

  /** The kept results that were sent to such reply subjects. */
  sentTo(isMeant: (reply: string) => boolean, nowMs: number): KeptResult[] {
    this.sweep(nowMs);
    const found: KeptResult[] = [];
    for (let seq = this.#oldest; seq <= this.#seq; seq += 1) {
      const kept = this.#get(seq);
      if (isMeant(kept.reply)) found.push(owned(kept));
    }
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

/** With a payload of its own: that of the store is overwritten once the answer is released. */
function owned(kept: KeptResult): KeptResult {
  const { outcome } = kept;
  return outcome.ok ? { ...kept, outcome: { ok: true, payload: outcome.payload.slice() } } : kept;
}

/** What was answered, and to whom. */
export interface StoredResult extends Addressee {
  readonly reply: string;
  readonly outcome: HandlerOutcome;
}

/** An answer that does not fit into its place. */
interface Loose {
  readonly reply: string;
  readonly answer: Uint8Array | PoolError;
}

/** One place: the key, which has at most 127 characters, then reply subject and payload when they fit. */
const PLACE_BYTES = 256;
const NO_PLACE = -1;

/**
 * The results of the jobs that finished last, by number and by name.
 *
 * Every job leaves its result here and hardly one is ever asked for, so
 * storing has to be cheap: what is small is written into one byte array that
 * stays, and found by hash chains in typed arrays. Some thousand objects, each
 * living just long enough for the collector to move it twice, would cost a
 * quarter of an empty job (see docs/adr).
 */
export class ResultStore {
  readonly #limit: number;
  /** The newest place of each hash; and of each place the next older one with the same. */
  readonly #heads: Int32Array;
  readonly #older: Int32Array;
  readonly #numbers: Float64Array;
  readonly #hashes: Int32Array;
  readonly #attempts: Int32Array;
  readonly #keyEnds: Uint16Array;
  readonly #replyEnds: Uint16Array;
  readonly #sizes: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #loose: (Loose | undefined)[];
  /** The payloads of loose answers. */
  readonly #kept = new KeptBytes();

  /** @param limit how many are stored; a power of two */
  constructor(limit: number) {
    this.#limit = limit;
    this.#heads = new Int32Array(2 * limit).fill(NO_PLACE);
    this.#older = new Int32Array(limit);
    this.#numbers = new Float64Array(limit);
    this.#hashes = new Int32Array(limit);
    this.#attempts = new Int32Array(limit);
    this.#keyEnds = new Uint16Array(limit);
    this.#replyEnds = new Uint16Array(limit);
    this.#sizes = new Int32Array(limit);
    this.#bytes = new Uint8Array(limit * PLACE_BYTES);
    this.#loose = new Array<Loose | undefined>(limit).fill(undefined);
  }

  /**
   * Stores an answer; the oldest goes when there is no place left.
   *
   * @param number counts the answers, from 1 without a gap
   */
  put(number: number, { id, nonce, attempt, reply }: Addressee, outcome: HandlerOutcome): void {
    const place = this.#placeOf(number);
    const key = jobKey(id, nonce);
    if (number > this.#limit) {
      this.#unlink(place);
      this.#kept.release(number - this.#limit);
    }
    this.#link(place, hashOf(key, attempt));
    this.#numbers[place] = number;
    this.#attempts[place] = attempt;
    this.#keyEnds[place] = key.length;
    this.#write(place, 0, key);
    this.#putResult(number, key.length, reply ?? "", outcome);
  }

  /** The number of the last answer under this key; 0 for none. */
  find(key: string, attempt: number): number {
    const hash = hashOf(key, attempt);
    let place = this.#heads[this.#headOf(hash)] as number;
    while (place !== NO_PLACE && !this.#isOf(place, hash, key, attempt)) place = this.#older[place] as number;
    return place === NO_PLACE ? 0 : (this.#numbers[place] as number);
  }

  /** A stored answer that was not released; its payload may be valid until it is. */
  get(number: number): StoredResult {
    const place = this.#placeOf(number);
    const keyEnd = this.#keyEnds[place] as number;
    const replyEnd = this.#replyEnds[place] as number;
    const [id = "", nonce = ""] = this.#text(place, 0, keyEnd).split(" ");
    const about = { id, nonce, attempt: this.#attempts[place] as number };
    const loose = this.#loose[place];
    if (loose !== undefined) return { ...about, reply: loose.reply, outcome: toEnding(loose.answer) };
    const from = place * PLACE_BYTES + replyEnd;
    const payload = this.#bytes.slice(from, from + (this.#sizes[place] as number));
    return { ...about, reply: this.#text(place, keyEnd, replyEnd), outcome: { ok: true, payload } };
  }

  /** The bytes of a stored answer's payload; 0 once it is released. */
  size(number: number): number {
    return this.#sizes[this.#placeOf(number)] as number;
  }

  /** Forgets an answer, but not that there was one. Answers are forgotten in the order of their numbers. */
  release(number: number): void {
    const place = this.#placeOf(number);
    this.#kept.release(number);
    this.#sizes[place] = 0;
    if (this.#loose[place] !== undefined) this.#loose[place] = undefined;
  }

  #placeOf(number: number): number {
    return number & (this.#limit - 1);
  }

  #headOf(hash: number): number {
    return hash & (2 * this.#limit - 1);
  }

  #link(place: number, hash: number): void {
    const head = this.#headOf(hash);
    this.#hashes[place] = hash;
    this.#older[place] = this.#heads[head] as number;
    this.#heads[head] = place;
  }

  /** The oldest of all places is the last of its chain. */
  #unlink(place: number): void {
    const head = this.#headOf(this.#hashes[place] as number);
    let at = this.#heads[head] as number;
    if (at === place) {
      this.#heads[head] = NO_PLACE;
      return;
    }
    while (this.#older[at] !== place) at = this.#older[at] as number;
    this.#older[at] = NO_PLACE;
  }

  #isOf(place: number, hash: number, key: string, attempt: number): boolean {
    if (this.#hashes[place] !== hash || this.#attempts[place] !== attempt) return false;
    if (this.#keyEnds[place] !== key.length) return false;
    const from = place * PLACE_BYTES;
    for (let i = 0; i < key.length; i += 1) if (this.#bytes[from + i] !== key.charCodeAt(i)) return false;
    return true;
  }

  #putResult(number: number, keyEnd: number, reply: string, outcome: HandlerOutcome): void {
    const place = this.#placeOf(number);
    const replyEnd = keyEnd + reply.length;
    const size = outcome.ok ? outcome.payload.length : 0;
    this.#sizes[place] = size;
    if (!outcome.ok || replyEnd + size > PLACE_BYTES || !this.#write(place, keyEnd, reply)) {
      this.#loose[place] = { reply, answer: outcome.ok ? this.#kept.put(number, outcome.payload) : outcome.error };
      return;
    }
    if (this.#loose[place] !== undefined) this.#loose[place] = undefined;
    this.#replyEnds[place] = replyEnd;
    this.#bytes.set(outcome.payload, place * PLACE_BYTES + replyEnd);
  }

  /** False when the text is not ASCII. */
  #write(place: number, at: number, text: string): boolean {
    const from = place * PLACE_BYTES + at;
    let all = 0;
    for (let i = 0; i < text.length; i += 1) {
      const code = text.charCodeAt(i);
      all |= code;
      this.#bytes[from + i] = code;
    }
    return all < 128;
  }

  #text(place: number, at: number, end: number): string {
    const from = place * PLACE_BYTES;
    return String.fromCharCode(...this.#bytes.subarray(from + at, from + end));
  }
}

function toEnding(answer: Uint8Array | PoolError): HandlerOutcome {
  return answer instanceof PoolError ? { ok: false, error: answer } : { ok: true, payload: answer };
}

/** FNV-1a over the key's characters and the attempt. */
function hashOf(key: string, attempt: number): number {
  let hash = 0x811c9dc5 ^ attempt;
  for (let i = 0; i < key.length; i += 1) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return hash ^ (hash >>> 15);
}
