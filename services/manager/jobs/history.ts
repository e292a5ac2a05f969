/**
 * The last jobs of one pool that have ended. Pure.
 *
 * Decided here: what is remembered of them, and how many are. Those that failed have
 * places of their own, so that many results do not push out a few errors; so have the
 * slowest of the last minute. A job that ends is written over the oldest: nothing is
 * made for it, and what it held, its payload above all, is let go.
 */
import type { PoolError } from "../../../mesh/errors.js";
import { isDurable, type Outcome } from "../../../mesh/job/job.js";
import type { Priority } from "../../../mesh/wire/headers.js";
import type { Job } from "./job.js";

/** How many ended jobs of each kind a pool remembers unless told otherwise. */
export const DEFAULT_HISTORY = 500;
/** A job is among the slowest of its pool for so long, in milliseconds, and so many are. */
const SLOWEST_FOR_MS = 60_000;
const MOST_SLOWEST = 16;
/** What is kept of a payload or a result where payloads are shown, in bytes. */
export const SHOWN_BYTES = 4_096;

/** How much a pool remembers. */
export interface HistoryLimits {
  /** So many with a result, and as many with an error; 0 for none. */
  readonly jobs: number;
  /** Also the beginnings of their payloads and results. */
  readonly payloads: boolean;
}

/** The beginning of a payload or a result. */
export interface Shown {
  readonly bytes: Uint8Array;
  readonly truncated: boolean;
}

/** One job that has ended. Instants are monotonic milliseconds. */
export interface EndedJob {
  readonly id: string;
  readonly nonce: string;
  readonly client: string;
  readonly worker: string;
  /** As it is shown, and its name. */
  readonly attempt: number;
  readonly attemptNumber: number;
  readonly priority: Priority;
  readonly idempotent: boolean;
  readonly durable: boolean;
  readonly submittedAtMs: number;
  /** When its last attempt was sent; NaN when none was. */
  readonly sentAtMs: number;
  readonly endedAtMs: number;
  readonly payloadBytes: number;
  /** 0 for one that failed. */
  readonly resultBytes: number;
  /** Undefined for one with a result. */
  readonly error: PoolError | undefined;
  readonly traceparent: string | undefined;
  readonly payload: Shown | undefined;
  readonly result: Shown | undefined;
}

export class JobHistory {
  readonly #payloads: boolean;
  readonly #succeeded: Ring;
  readonly #failed: Ring;
  readonly #slowest = new Slowest();

  constructor(limits: HistoryLimits = { jobs: DEFAULT_HISTORY, payloads: false }) {
    this.#payloads = limits.payloads;
    this.#succeeded = new Ring(limits.jobs);
    this.#failed = new Ring(limits.jobs);
  }

  /** Jobs that are remembered. */
  get size(): number {
    return this.#succeeded.size + this.#failed.size;
  }

  /** Remembers a job that has just ended. */
  add(job: Job, outcome: Outcome, nowMs: number): void {
    const ring = outcome.ok ? this.#succeeded : this.#failed;
    const place = ring.put(job, outcome, nowMs);
    if (place < 0) return;
    if (this.#payloads) {
      ring.show(place, shown(job.spec.payload), outcome.ok ? shown(outcome.result.payload) : undefined);
    }
    if (this.#slowest.takes(nowMs - job.submittedAtMs, nowMs)) this.#slowest.add(ring.copyAt(place), nowMs);
  }

  /** The jobs that are remembered, the last to end first of each kind. An entry is good until the next one is taken. */
  *newest(): Generator<EndedJob> {
    yield* this.#failed.newest();
    yield* this.#succeeded.newest();
  }

  /** The jobs of an id that are remembered, the last to end first of each kind. */
  *of(id: string): Generator<EndedJob> {
    const told = new Set<number>();
    for (const entry of this.newest()) {
      if (entry.id !== id) continue;
      told.add(entry.submittedAtMs);
      yield entry;
    }
    for (const entry of this.#slowest.kept()) if (entry.id === id && !told.has(entry.submittedAtMs)) yield entry;
  }

  /** Of the jobs that ended within the last minute the slowest, and all others that are remembered, in no order. */
  *slowest(nowMs: number): Generator<EndedJob> {
    const kept = new Set<string>();
    for (const entry of this.#slowest.kept()) {
      kept.add(keyOf(entry));
      if (isFresh(entry, nowMs)) yield entry;
    }
    for (const entry of this.newest()) {
      const isKept = totalOf(entry) >= this.#slowest.fromMs && kept.has(keyOf(entry));
      if (!isKept && isFresh(entry, nowMs)) yield entry;
    }
  }
}

function isFresh({ endedAtMs }: EndedJob, nowMs: number): boolean {
  return nowMs - endedAtMs < SLOWEST_FOR_MS;
}

function keyOf({ id, nonce, submittedAtMs }: EndedJob): string {
  return `${id} ${nonce} ${submittedAtMs}`;
}

const totalOf = ({ submittedAtMs, endedAtMs }: EndedJob): number => endedAtMs - submittedAtMs;

/** The slowest jobs of the last minute. One that ends quicker than all of them costs two comparisons. */
class Slowest {
  /** Slowest first. */
  #jobs: EndedJob[] = [];
  /** One that took longer is among them. */
  #fromMs = -1;
  /** When the first of them is too old. */
  #staleAtMs = Number.POSITIVE_INFINITY;

  /** No job among them took less; -1 while there is room. */
  get fromMs(): number {
    return this.#fromMs;
  }

  takes(totalMs: number, nowMs: number): boolean {
    return totalMs > this.#fromMs || nowMs >= this.#staleAtMs;
  }

  add(job: EndedJob, nowMs: number): void {
    const fresh = this.#jobs.filter((each) => isFresh(each, nowMs)).concat(job);
    this.#jobs = fresh.sort((a, b) => totalOf(b) - totalOf(a)).slice(0, MOST_SLOWEST);
    const quickest = this.#jobs[MOST_SLOWEST - 1];
    this.#fromMs = quickest === undefined ? -1 : totalOf(quickest);
    this.#staleAtMs = Math.min(...this.#jobs.map(({ endedAtMs }) => endedAtMs)) + SLOWEST_FOR_MS;
  }

  kept(): readonly EndedJob[] {
    return this.#jobs;
  }
}

const FIRST_PLACES = 32;
/** Figures of one job, side by side: when it was submitted, sent and ended, bytes, attempt, flags, the number of the attempt. */
const FIGURES = 8;
/** Texts and the error of one job. */
const NAMES = 6;
const IDEMPOTENT = 4;
const DURABLE = 8;
const PRIORITIES: readonly Priority[] = ["normal", "high", "low"];

/** Entries in two arrays: one object for each would live long enough to cost the collector more than the job. */
class Ring {
  readonly #limit: number;
  #figures: Float64Array;
  #names: unknown[];
  #shown: (readonly [Shown, Shown | undefined])[] = [];
  #places: number;
  /** Where the next one goes. */
  #next = 0;
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
    this.#places = Math.min(limit, FIRST_PLACES);
    this.#figures = new Float64Array(FIGURES * this.#places);
    this.#names = new Array(NAMES * this.#places).fill("");
  }

  get size(): number {
    return this.#size;
  }

  /** @returns its place; -1 when none is remembered */
  put(job: Job, outcome: Outcome, nowMs: number): number {
    if (this.#limit === 0) return -1;
    if (this.#next === this.#places) this.#wrap();
    const place = this.#next;
    this.#next = place + 1;
    if (this.#size < this.#limit && place >= this.#size) this.#size = place + 1;
    const { spec } = job;
    const { worker, attempt } = outcome.ok ? outcome.result : outcome;
    const figures = this.#figures;
    const at = FIGURES * place;
    figures[at] = job.submittedAtMs;
    figures[at + 1] = job.attempt === undefined ? Number.NaN : job.attempt.sentAtMs;
    figures[at + 2] = nowMs;
    figures[at + 3] = spec.payload.length;
    figures[at + 4] = outcome.ok ? outcome.result.payload.length : 0;
    figures[at + 5] = attempt;
    figures[at + 6] = flagsOf(job);
    figures[at + 7] = job.attempt?.number ?? 0;
    const names = this.#names;
    const from = NAMES * place;
    names[from] = spec.id;
    names[from + 1] = spec.nonce;
    names[from + 2] = spec.client;
    names[from + 3] = worker;
    names[from + 4] = spec.traceparent;
    names[from + 5] = outcome.ok ? undefined : outcome.error;
    return place;
  }

  show(place: number, payload: Shown, result: Shown | undefined): void {
    this.#shown[place] = [payload, result];
  }

  /** What is at a place, for as long as it is wanted. */
  copyAt(place: number): EndedJob {
    const entry = new Entry(this.#figures, this.#names, this.#shown);
    entry.place = place;
    return copyOf(entry);
  }

  *newest(): Generator<EndedJob> {
    const entry = new Entry(this.#figures, this.#names, this.#shown);
    for (let back = 1; back <= this.#size; back += 1) {
      entry.place = (this.#next - back + this.#size) % this.#size;
      yield entry;
    }
  }

  /** All places are taken: there are more of them, or the oldest entry is written over. */
  #wrap(): void {
    if (this.#places === this.#limit) {
      this.#next = 0;
      return;
    }
    this.#places = Math.min(this.#limit, 2 * this.#places);
    const figures = new Float64Array(FIGURES * this.#places);
    figures.set(this.#figures);
    this.#figures = figures;
    const names = new Array(NAMES * this.#places).fill("");
    for (let i = 0; i < this.#names.length; i += 1) names[i] = this.#names[i];
    this.#names = names;
  }
}

/** One place of a ring. */
class Entry implements EndedJob {
  place = 0;
  readonly #figures: Float64Array;
  readonly #names: readonly unknown[];
  readonly #shown: readonly (readonly [Shown, Shown | undefined])[];

  constructor(figures: Float64Array, names: readonly unknown[], all: readonly (readonly [Shown, Shown | undefined])[]) {
    this.#figures = figures;
    this.#names = names;
    this.#shown = all;
  }

  get id(): string {
    return this.#names[NAMES * this.place] as string;
  }
  get nonce(): string {
    return this.#names[NAMES * this.place + 1] as string;
  }
  get client(): string {
    return this.#names[NAMES * this.place + 2] as string;
  }
  get worker(): string {
    return this.#names[NAMES * this.place + 3] as string;
  }
  get traceparent(): string | undefined {
    return this.#names[NAMES * this.place + 4] as string | undefined;
  }
  get error(): PoolError | undefined {
    return this.#names[NAMES * this.place + 5] as PoolError | undefined;
  }
  get submittedAtMs(): number {
    return this.#figure(0);
  }
  get sentAtMs(): number {
    return this.#figure(1);
  }
  get endedAtMs(): number {
    return this.#figure(2);
  }
  get payloadBytes(): number {
    return this.#figure(3);
  }
  get resultBytes(): number {
    return this.#figure(4);
  }
  get attempt(): number {
    return this.#figure(5);
  }
  get attemptNumber(): number {
    return this.#figure(7);
  }
  get priority(): Priority {
    return PRIORITIES[this.#figure(6) & 3] as Priority;
  }
  get idempotent(): boolean {
    return (this.#figure(6) & IDEMPOTENT) !== 0;
  }
  get durable(): boolean {
    return (this.#figure(6) & DURABLE) !== 0;
  }
  get payload(): Shown | undefined {
    return this.#shown[this.place]?.[0];
  }
  get result(): Shown | undefined {
    return this.#shown[this.place]?.[1];
  }

  #figure(which: number): number {
    return this.#figures[FIGURES * this.place + which] as number;
  }
}

function copyOf(job: EndedJob): EndedJob {
  const { id, nonce, client, worker, attempt, attemptNumber, priority, idempotent, durable } = job;
  const { submittedAtMs, sentAtMs, endedAtMs, payloadBytes, resultBytes, error, traceparent, payload, result } = job;
  return {
    ...{ id, nonce, client, worker, attempt, attemptNumber, priority, idempotent, durable },
    ...{ submittedAtMs, sentAtMs, endedAtMs, payloadBytes, resultBytes, error, traceparent, payload, result },
  };
}

function flagsOf({ spec }: Job): number {
  const priority = spec.priority === "normal" ? 0 : PRIORITIES.indexOf(spec.priority);
  return priority + (spec.idempotent ? IDEMPOTENT : 0) + (isDurable(spec) ? DURABLE : 0);
}

/** The beginning of some bytes, as a copy: they may be a piece of something larger. */
export function shown(payload: Uint8Array): Shown {
  return { bytes: payload.slice(0, SHOWN_BYTES), truncated: payload.length > SHOWN_BYTES };
}
