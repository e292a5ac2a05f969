/**
 * The jobs of one manager that share one limit: those that wait for leave to run, and those that have it.
 *
 * Decided here: when the limit's record is read and written. One write is under way
 * at a time, and it has all that has come up meanwhile, so a busy key costs fewer writes than it has
 * jobs. A write that the stream refuses, or of which nothing is heard, is followed by a reading. Not decided here: who
 * may start (plan.ts).
 */
import { isFenced } from "../../../../mesh/durable/answers.js";
import type { Limit } from "../../../../mesh/durable/limits/limit.js";
import { NATS_HEADER } from "../../../../mesh/durable/names.js";
import type { StreamPublisher } from "../../../../mesh/durable/publisher.js";
import type { LaneStore } from "../../../../mesh/durable/store.js";
import type { Bus } from "../../../../mesh/link/bus.js";
import { delay } from "../../../../mesh/link/runtime.js";
import { wireHeaders } from "../../../../mesh/wire/wire-headers.js";
import type { BrokerClock } from "./broker-clock.js";
import { type Plan, plan } from "./plan.js";
import { dated, decodeRecord, deliveriesOf, EMPTY_RECORD, encodeRecord, isOver, type LimitRecord } from "./record.js";

/** What it works with. */
export interface GateParts {
  /** This manager's id. */
  readonly manager: string;
  readonly bus: Bus;
  readonly clock: BrokerClock;
  readonly store: LaneStore;
  readonly publisher: StreamPublisher;
  /** The stream of limits, and the record's subject there. */
  readonly stream: string;
  readonly subject: string;
  /** The stream of the jobs. */
  readonly jobsStream: string;
}

interface Known {
  readonly record: LimitRecord;
  /** 0 when none is stored. */
  readonly revision: number;
  /** When the broker stored it, milliseconds since the epoch; undefined when it has not said so. */
  readonly storedAtMs: number | undefined;
}

/** A job that waits for leave. */
interface Waiting {
  /** How often it was delivered. */
  readonly deliveries: number;
  readonly onGranted: () => void;
}

const ACK_LIMIT_MS = 2_000;
const RETRY_MS = 250;
/** The spread of the wait after another manager was first, in milliseconds. */
const AGAIN_MS = 10;
/** A record that has not changed for so long, although a place is free: whoever is first does not come, in milliseconds. */
const PASS_AFTER_MS = 300;
/** How often jobs that have leave are looked for while others wait, and the record is read anew, in milliseconds. */
const SWEEP_EVERY_MS = 5_000;
/** Jobs that may get leave by one write, besides those that have it already. */
const MOST_PLANNED = 256;
/** Jobs that are looked for in one sweep. */
const MOST_AT_ONCE = 64;

export class Gate {
  readonly #parts: GateParts;
  #limit: Limit | undefined;
  readonly #waiting = new Map<number, Waiting>();
  /** And the delivery that has leave. */
  readonly #granted = new Map<number, number>();
  /** Jobs whose end is to be written, and the delivery that ended. */
  readonly #ended = new Map<number, number>();
  #known: Known | undefined;
  /** What was stored while a write was under way. */
  #heard: Known | undefined;
  /** Nothing was read yet: most keys have no record, and the fence tells when this one has. */
  #isNew = true;
  #changedAtMs: number;
  #sweepAtMs: number;
  #isPumping = false;
  #isDue = false;

  constructor(parts: GateParts, limit: Limit) {
    this.#parts = parts;
    this.#limit = limit;
    const nowMs = parts.bus.runtime.now();
    this.#changedAtMs = nowMs;
    this.#sweepAtMs = nowMs + SWEEP_EVERY_MS;
  }

  /** Whether a job has leave. */
  has(sequence: number): boolean {
    return this.#granted.has(sequence);
  }

  /** Nothing waits, nothing has leave, nothing has to be written. */
  get isIdle(): boolean {
    return this.#waiting.size + this.#granted.size + this.#ended.size === 0 && !this.#isPumping;
  }

  /** Jobs whose end is not written yet. */
  get unwritten(): number {
    return this.#ended.size;
  }

  setLimit(limit: Limit | undefined): void {
    this.#limit = limit;
    this.#pumpSoon();
  }

  /** @param onGranted is called once, unless the job leaves before */
  wait(sequence: number, deliveries: number, onGranted: () => void): void {
    this.#waiting.set(sequence, { deliveries, onGranted });
    this.#pumpSoon();
  }

  /** The job has ended. It may have its leave from another manager. */
  end(sequence: number, deliveries: number): void {
    const granted = this.#granted.get(sequence);
    this.leave(sequence);
    const isStored = this.#known?.record.running.some(([each]) => each === sequence) === true;
    if (this.#limit?.running === undefined && !isStored) return;
    if (granted === undefined) this.forget();
    // A broker that was killed may deliver it here once more, with a lower count.
    this.#ended.set(sequence, Math.max(deliveries, granted ?? 0));
    // While nobody waits for the place, the end is written with the next start, or at the next tick.
    if (this.#waiting.size + Object.keys(this.#known?.record.waiting ?? NOBODY_KNOWN).length > 0) this.#pumpSoon();
  }

  /** The job is not this manager's any more; another one may have it, and its leave. */
  leave(sequence: number): void {
    this.#waiting.delete(sequence);
    this.#granted.delete(sequence);
  }

  /** A record was stored, by whichever manager. */
  heard(payload: Uint8Array, revision: number, storedAtMs: number | undefined): void {
    // Its own, whose acknowledgement came first.
    if (this.#known?.revision === revision && storedAtMs !== undefined) this.#known = { ...this.#known, storedAtMs };
    if (!(revision > Math.max(this.#known?.revision ?? 0, this.#heard?.revision ?? 0))) return;
    this.#heard = { record: decodeRecord(payload), revision, storedAtMs };
    if (!this.#isPumping) this.#pumpSoon();
  }

  /** Called every 100 milliseconds. */
  tick(nowMs: number): void {
    if (this.#waiting.size + this.#ended.size === 0) return;
    if (nowMs >= this.#sweepAtMs && !this.#isPumping) {
      this.#sweepAtMs = nowMs + SWEEP_EVERY_MS;
      void this.#sweep().catch(() => undefined);
    } else void this.#pump();
  }

  /** What is stored may be another by now. */
  forget(): void {
    this.#known = undefined;
    this.#heard = undefined;
    this.#isNew = false;
  }

  #pumpSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#parts.bus.runtime.endOfTurn(() => {
      this.#isDue = false;
      void this.#pump();
    });
  }

  async #pump(): Promise<void> {
    const { bus } = this.#parts;
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      while (this.#waiting.size + this.#ended.size > 0 && bus.connected) {
        if (!(await this.#once()) && this.#heard === undefined) return;
      }
    } finally {
      this.#isPumping = false;
    }
  }

  /** @returns whether there may be more to do at once */
  async #once(): Promise<boolean> {
    const { bus } = this.#parts;
    try {
      const known = await this.#current();
      const ended = new Map(this.#ended);
      const next = this.#plan(known, ended);
      const end = next.isChanged ? await this.#write(next.record, known.revision) : "stored";
      if (end !== "stored") {
        this.forget();
        await delay(bus.runtime, end === "fenced" ? AGAIN_MS * bus.runtime.random() : RETRY_MS);
        return true;
      }
      for (const [sequence, deliveries] of ended) {
        if (this.#ended.get(sequence) === deliveries) this.#ended.delete(sequence);
      }
      this.#grant(next);
      return this.#ended.size > 0 || (next.isChanged && next.granted.length > 0);
    } catch {
      // What cannot be read or written now is tried again.
      this.forget();
      return false;
    }
  }

  #plan({ record, storedAtMs }: Known, ended: ReadonlyMap<number, number>): Plan {
    const { manager, bus, clock } = this.#parts;
    const waiting = new Map<number, number>();
    const add = (sequence: number): void => {
      const one = this.#waiting.get(sequence);
      if (one !== undefined) waiting.set(sequence, one.deliveries);
    };
    for (const [sequence] of [...record.running, ...(record.given[manager] ?? [])]) add(sequence);
    for (const sequence of this.#waiting.keys()) {
      if (waiting.size >= MOST_PLANNED) break;
      add(sequence);
    }
    return plan(dated(record, storedAtMs), {
      manager,
      limit: this.#limit,
      waiting,
      ended,
      nowMs: clock.now(),
      mayPass: bus.runtime.now() - this.#changedAtMs >= PASS_AFTER_MS,
    });
  }

  /**
   * The callbacks may add and remove. A job that left while its leave was written gives it back, unless it has taken it
   * over: then it may run at another manager.
   */
  #grant({ granted, record, takenOver }: Plan): void {
    const stored = deliveriesOf(record.running);
    for (const sequence of granted) {
      const one = this.#waiting.get(sequence);
      const deliveries = stored.get(sequence);
      if (one === undefined) {
        if (deliveries !== undefined && !takenOver.has(sequence)) this.#ended.set(sequence, deliveries);
        continue;
      }
      this.#waiting.delete(sequence);
      this.#granted.set(sequence, one.deliveries);
      one.onGranted();
    }
  }

  async #current(): Promise<Known> {
    const heard = this.#heard;
    this.#heard = undefined;
    if (heard !== undefined && heard.revision > (this.#known?.revision ?? 0)) this.#setKnown(heard);
    if (this.#known !== undefined && !this.#needsDate(this.#known)) return this.#known;
    const isGuess = this.#isNew && this.#ended.size === 0;
    this.#isNew = false;
    this.#known = isGuess ? NONE : await this.#read();
    return this.#known;
  }

  /** Whether it has starts of which nobody has said when they were: brokers before 2.10 say it to who asks alone. */
  #needsDate({ record, storedAtMs }: Known): boolean {
    return record.fresh > 0 && storedAtMs === undefined && this.#limit?.starts !== undefined;
  }

  async #read(): Promise<Known> {
    const { store, stream, subject, clock } = this.#parts;
    const stored = await store.last(stream, subject);
    if (stored === undefined) return NONE;
    const { payload, sequence, storedAtMs } = stored;
    clock.hear(storedAtMs);
    return { record: decodeRecord(payload), revision: sequence, storedAtMs };
  }

  async #write(record: LimitRecord, revision: number): Promise<"stored" | "fenced" | "unknown"> {
    const { publisher, subject, clock, store, stream } = this.#parts;
    if (isOver(record, clock.now())) {
      if (revision > 0 && !(await store.delete(stream, revision))) return "fenced";
      this.#setKnown(NONE);
      return "stored";
    }
    const headers = wireHeaders();
    headers.append(NATS_HEADER.expectedLastSubjectSequence, String(revision));
    const answer = await publisher.publish({ subject, payload: encodeRecord(record), headers }, ACK_LIMIT_MS);
    if (answer.kind !== "stored") return isFenced(answer) ? "fenced" : "unknown";
    const { sequence } = answer;
    const storedAtMs = this.#heard?.revision === sequence ? this.#heard.storedAtMs : undefined;
    this.#setKnown({ record, revision: sequence, storedAtMs });
    return "stored";
  }

  #setKnown(known: Known): void {
    this.#known = known;
    this.#changedAtMs = this.#parts.bus.runtime.now();
  }

  /** Jobs that have leave and are not in their stream any more: whoever had them died before it wrote that they ended. */
  async #sweep(): Promise<void> {
    const { store, jobsStream, bus } = this.#parts;
    this.forget();
    const { record } = await this.#read();
    const foreign = record.running.map(([sequence]) => sequence).filter((sequence) => !this.#granted.has(sequence));
    const from = Math.floor(bus.runtime.random() * Math.max(1, foreign.length - MOST_AT_ONCE + 1));
    for (const sequence of foreign.slice(from, from + MOST_AT_ONCE)) {
      if ((await store.at(jobsStream, sequence)) === undefined) this.#ended.set(sequence, Number.POSITIVE_INFINITY);
    }
    void this.#pump();
  }
}

const NONE: Known = { record: EMPTY_RECORD, revision: 0, storedAtMs: undefined };
/** It is not known who waits: perhaps somebody does. */
const NOBODY_KNOWN = { unknown: 0 };
