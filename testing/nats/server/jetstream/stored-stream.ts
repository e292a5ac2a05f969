/**
 * The messages of one stream: what is stored, refused and dropped.
 *
 * Decided here: message ids, the fence of expected sequences, and limits, as
 * nats-server has them. Not decided here: who is told, and when.
 */
import type { Message } from "../../wire/commands.js";
import { SubjectPattern } from "../subject-match.js";
import { ApiError, headerOf } from "./message-text.js";

/** The settings that the model heeds; all others are kept as they were given. */
export interface StreamConfig {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly retention?: string;
  readonly discard?: string;
  readonly discard_new_per_subject?: boolean;
  readonly max_msgs?: number;
  readonly max_msgs_per_subject?: number;
  /** Nanoseconds. */
  readonly duplicate_window?: number;
  readonly republish?: { readonly src: string; readonly dest: string };
}

/** A message of a stream. */
export interface StoredMessage {
  readonly sequence: number;
  readonly subject: string;
  readonly bytes: Uint8Array;
  readonly headerBytes: number;
  /** When it was stored, nanoseconds since the epoch. */
  readonly storedAt: string;
}

/** Hears of every message that a stream has stored. */
export type OnStored = (stream: string, message: StoredMessage) => void;

/** How storing ended. */
export type StoreEnd = { readonly sequence: number; readonly duplicate: boolean } | ApiError;

const NANOS = 1e6;
const MS_TO_MICROS = 1e3;
/** What the clocks of brokers show when a world begins, milliseconds since the epoch. */
const EPOCH_MS = 1_760_000_000_000;

/** When a message was stored, milliseconds since the world began. */
export function trueTimeMs(storedAt: StoredMessage["storedAt"]): number {
  return Number(BigInt(storedAt) / BigInt(MS_TO_MICROS)) / MS_TO_MICROS - EPOCH_MS;
}

export class StoredStream {
  readonly config: StreamConfig;
  readonly #patterns: readonly SubjectPattern[];
  readonly #messages = new Map<number, StoredMessage>();
  readonly #ids = new Map<string, { readonly sequence: number; readonly atMs: number }>();
  /** When each sequence was stored, time of the world; also of those that were deleted since. */
  readonly #atMs: number[] = [];
  #lastSequence = 0;

  constructor(config: StreamConfig) {
    this.config = config;
    this.#patterns = config.subjects.map((subject) => new SubjectPattern(subject));
  }

  get name(): string {
    return this.config.name;
  }

  get lastSequence(): number {
    return this.#lastSequence;
  }

  get size(): number {
    return this.#messages.size;
  }

  /** Whether it captures some subject of this pattern. */
  covers(pattern: string): boolean {
    const wanted = new SubjectPattern(pattern);
    return this.#patterns.some((each) => each.overlaps(wanted));
  }

  /** In the order of their sequences. */
  all(): Iterable<StoredMessage> {
    return this.#messages.values();
  }

  get(sequence: number): StoredMessage | undefined {
    return this.#messages.get(sequence);
  }

  /** The last message of a subject, which may have wildcards. */
  last(subject: string): StoredMessage | undefined {
    return this.#matching(subject).at(-1);
  }

  /** The first message of a subject, which may have wildcards, from this sequence on. */
  next(subject: string, from: number): StoredMessage | undefined {
    return this.#matching(subject).find(({ sequence }) => sequence >= from);
  }

  /** How many messages each subject has that this pattern means. */
  counts(pattern: string): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { subject } of this.#matching(pattern)) counts[subject] = (counts[subject] ?? 0) + 1;
    return counts;
  }

  /** Stores a message, or says why not. @param nowMs time of the world */
  store(message: Message, nowMs: number): StoreEnd {
    const wrong = this.#fence(message);
    if (wrong !== undefined) return wrong;
    const id = headerOf(message, "Nats-Msg-Id");
    const known = id === undefined ? undefined : this.#knownId(id, nowMs);
    if (known !== undefined) return { sequence: known, duplicate: true };
    const full = this.#full(message.subject);
    if (full !== undefined) return full;
    this.#lastSequence += 1;
    this.#atMs.push(nowMs);
    const sequence = this.#lastSequence;
    const { subject, bytes, headerBytes } = message;
    const storedAt = `${Math.floor((EPOCH_MS + nowMs) * MS_TO_MICROS)}000`;
    this.#messages.set(sequence, { sequence, subject, bytes, headerBytes, storedAt });
    if (id !== undefined) this.#ids.set(id, { sequence, atMs: nowMs });
    this.#dropOld(subject);
    return { sequence, duplicate: false };
  }

  /** A message that was deleted is there again. */
  restore(message: StoredMessage): void {
    this.#messages.set(message.sequence, message);
    const inOrder = [...this.#messages].sort(([a], [b]) => a - b);
    this.#messages.clear();
    for (const [sequence, each] of inOrder) this.#messages.set(sequence, each);
  }

  /** False when it is not there. */
  delete(sequence: number): boolean {
    return this.#messages.delete(sequence);
  }

  /** It has lost what it stored since, and counts on from there. What was deleted since is gone all the same. @param sinceMs time of the world */
  rollBack(sinceMs: number): void {
    while ((this.#atMs.at(-1) ?? Number.NEGATIVE_INFINITY) > sinceMs) {
      this.#messages.delete(this.#lastSequence);
      this.#atMs.pop();
      this.#lastSequence -= 1;
    }
    for (const [id, { atMs }] of this.#ids) if (atMs > sinceMs) this.#ids.delete(id);
  }

  #knownId(id: string, nowMs: number): number | undefined {
    const known = this.#ids.get(id);
    const windowMs = (this.config.duplicate_window ?? 120_000 * NANOS) / NANOS;
    return known !== undefined && nowMs - known.atMs < windowMs ? known.sequence : undefined;
  }

  #fence(message: Message): ApiError | undefined {
    const stream = headerOf(message, "Nats-Expected-Stream");
    if (stream !== undefined && stream !== this.config.name) {
      return new ApiError(400, 10_060, "expected stream does not match");
    }
    const expected = headerOf(message, "Nats-Expected-Last-Subject-Sequence");
    const last = this.last(message.subject)?.sequence ?? 0;
    if (expected === undefined || Number(expected) === last) return undefined;
    return new ApiError(400, 10_071, `wrong last sequence: ${last}`);
  }

  #full(subject: string): ApiError | undefined {
    const { discard, discard_new_per_subject: isPerSubject, max_msgs_per_subject: perSubject = -1 } = this.config;
    if (discard !== "new") return undefined;
    if (isPerSubject && perSubject > 0 && this.#matching(subject).length >= perSubject) {
      return new ApiError(503, 10_077, "maximum messages per subject exceeded");
    }
    const { max_msgs: most = -1 } = this.config;
    return most > 0 && this.size >= most ? new ApiError(503, 10_077, "maximum messages exceeded") : undefined;
  }

  #dropOld(subject: string): void {
    const { max_msgs_per_subject: perSubject = -1, max_msgs: most = -1 } = this.config;
    const same = perSubject > 0 ? this.#matching(subject) : [];
    for (const { sequence } of same.slice(0, Math.max(0, same.length - perSubject))) this.delete(sequence);
    for (const sequence of this.#messages.keys()) {
      if (most <= 0 || this.size <= most) return;
      this.delete(sequence);
    }
  }

  #matching(pattern: string): StoredMessage[] {
    const wanted = new SubjectPattern(pattern);
    return [...this.#messages.values()].filter(({ subject }) => wanted.matches(subject));
  }
}
