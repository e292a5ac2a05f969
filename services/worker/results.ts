/**
 * Finished results, kept until the broker has confirmed them and a little longer.
 *
 * Pure. Bounds: 4,096 results, 64 MiB of payload, 60 s unconfirmed, 10 s after
 * confirmation. Past a bound the oldest go first; those are confirmed first too.
 */
import { FifoMap } from "./fifo-map.js";
import type { Addressee } from "./replies.js";
import type { Ending } from "./runner.js";
import { attemptKey } from "./running-job.js";

export const KEPT_LIMIT = 4_096;
export const KEPT_BYTES_LIMIT = 64 * 2 ** 20;
export const UNCONFIRMED_TTL_MS = 60_000;
export const CONFIRMED_TTL_MS = 10_000;
/** How many finished attempts are remembered by name only, and for how long. */
export const FINISHED_LIMIT = 10_000;
export const FINISHED_TTL_MS = 60_000;

/** One finished attempt and its answer. */
export interface KeptResult {
  readonly to: Addressee;
  readonly ending: Ending;
  readonly keptAtMs: number;
  /** Rises with every result kept. */
  readonly seq: number;
  confirmedAtMs: number | undefined;
}

export class Results {
  readonly #kept = new FifoMap<KeptResult>(KEPT_LIMIT, (kept) => {
    this.#bytes -= sizeOf(kept.ending);
  });
  readonly #finished = new FifoMap<number>(FINISHED_LIMIT);
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

  /** Keeps a result. */
  keep(to: Addressee, ending: Ending, nowMs: number): void {
    this.#seq += 1;
    const key = attemptKey(to.id, to.attempt);
    this.#bytes += sizeOf(ending);
    this.#kept.set(key, { to, ending, keptAtMs: nowMs, seq: this.#seq, confirmedAtMs: undefined });
    this.#finished.set(key, nowMs);
    this.sweep(nowMs);
  }

  /** The kept result of one attempt. */
  find(id: string, attempt: number, nowMs: number): KeptResult | undefined {
    this.sweep(nowMs);
    return this.#kept.get(attemptKey(id, attempt));
  }

  /** The kept results of any attempt of these jobs. */
  findJobs(ids: ReadonlySet<string>, nowMs: number): KeptResult[] {
    this.sweep(nowMs);
    return [...this.#kept.values()].filter((kept) => ids.has(kept.to.id));
  }

  /** Whether this attempt finished here lately, its result kept or not. */
  hasFinished(id: string, attempt: number, nowMs: number): boolean {
    const atMs = this.#finished.get(attemptKey(id, attempt));
    return atMs !== undefined && nowMs - atMs <= FINISHED_TTL_MS;
  }

  /** A round trip has confirmed all results up to this number. */
  confirm(seq: number, nowMs: number): void {
    if (seq <= this.#confirmedSeq) return;
    for (const kept of this.#kept.values()) {
      if (kept.seq > this.#confirmedSeq && kept.seq <= seq) kept.confirmedAtMs = nowMs;
    }
    this.#confirmedSeq = seq;
  }

  /** What has to be sent again after a reconnect, oldest first. */
  allUnconfirmed(nowMs: number): KeptResult[] {
    this.sweep(nowMs);
    return [...this.#kept.values()].filter((kept) => kept.confirmedAtMs === undefined);
  }

  /** Drops what is too old or too much. */
  sweep(nowMs: number): void {
    for (;;) {
      const oldest = this.#kept.oldest();
      if (oldest === undefined || (this.#bytes <= KEPT_BYTES_LIMIT && !isStale(oldest, nowMs))) return;
      this.#kept.dropOldest();
    }
  }
}

function isStale(kept: KeptResult, nowMs: number): boolean {
  if (kept.confirmedAtMs !== undefined) return nowMs - kept.confirmedAtMs > CONFIRMED_TTL_MS;
  return nowMs - kept.keptAtMs > UNCONFIRMED_TTL_MS;
}

function sizeOf(ending: Ending): number {
  return ending.ok ? ending.payload.length : 0;
}
