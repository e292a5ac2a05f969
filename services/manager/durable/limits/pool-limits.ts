/**
 * The limits of one pool at one manager.
 *
 * Decided here: when they are read. The stream tells what is stored there, limits and records; limits
 * are read besides at the start, after a reconnect and now and then, so a word that is lost delays a change and
 * no more. A pool without limits has no gate, and its jobs pass.
 */
import { keyToken } from "../../../../mesh/durable/limits/concurrency-key.js";
import { decodeLimits, type Limit, type Limits, limitOfKey } from "../../../../mesh/durable/limits/limit.js";
import { type DurableNames, NATS_HEADER } from "../../../../mesh/durable/names.js";
import type { StreamPublisher } from "../../../../mesh/durable/publisher.js";
import type { LaneStore } from "../../../../mesh/durable/store.js";
import { PoolError } from "../../../../mesh/errors.js";
import type { Bus } from "../../../../mesh/link/bus.js";
import type { Subscription } from "../../../../mesh/link/subscription.js";
import { headersOf } from "../../../../mesh/wire/wire-headers.js";
import type { Delivery } from "../held.js";
import { BrokerClock } from "./broker-clock.js";
import { Gate } from "./gate.js";
import { SpentRecords } from "./spent-records.js";

/** What it works with. */
export interface PoolLimitsParts {
  readonly pool: string;
  /** This manager's id. */
  readonly manager: string;
  readonly bus: Bus;
  readonly names: DurableNames;
  readonly store: LaneStore;
  readonly publisher: StreamPublisher;
}

/** How often limits are read without a word of the stream, and how often old records are looked for, in milliseconds. */
const READ_EVERY_MS = 10_000;
const CLEAR_EVERY_MS = 60_000;
/** The record of a limit for the whole pool. */
const POOL = "pool";
const NONE: Limits = new Map();

interface KeyGate {
  readonly gate: Gate;
  /** Undefined for the limit of the whole pool. */
  readonly key: string | undefined;
}

/** A job that has waited longer for leave may have been canceled meanwhile, in milliseconds. */
export const LEAVE_LOOK_MS = 100;

export class PoolLimits {
  readonly #parts: PoolLimitsParts;
  readonly #gates = new Map<string, KeyGate>();
  readonly #clock: BrokerClock;
  readonly #spent: SpentRecords;
  readonly #subscription: Subscription;
  #limits: Limits = NONE;
  #readAtMs: number;
  #clearAtMs: number;
  /** Readings that were begun, and the last one among them whose answer was taken. */
  #begun = 0;
  #taken = 0;

  constructor(parts: PoolLimitsParts) {
    const { bus, names, pool } = parts;
    this.#parts = parts;
    this.#readAtMs = bus.runtime.now();
    this.#clearAtMs = this.#readAtMs + CLEAR_EVERY_MS;
    this.#clock = new BrokerClock(bus.runtime);
    this.#spent = new SpentRecords({ ...parts, clock: this.#clock });
    this.#subscription = bus.subscribe(names.limited(pool), (msg) => {
      const token = names.idOf(msg.subject);
      if (token === names.limitsToken) return void this.#readLater();
      const headers = headersOf(msg);
      const storedAtMs = readTime(headers?.get(NATS_HEADER.timeStamp));
      this.#clock.hear(storedAtMs);
      this.#gates.get(token)?.gate.heard(msg.data, Number(headers?.get(NATS_HEADER.sequence)), storedAtMs);
    });
  }

  /** As this manager has read them last. */
  get current(): Limits {
    return this.#limits;
  }

  /** Reads the limits. Before that no job of the pool may begin. @throws PoolError */
  async read(): Promise<void> {
    const { store, names, pool } = this.#parts;
    this.#begun += 1;
    const reading = this.#begun;
    const stored = await store.last(names.limitsStream, names.limit(pool, names.limitsToken));
    // An answer that was overtaken by another. Sequences do not tell it: a stream that was made anew counts from 1.
    if (reading < this.#taken) return;
    this.#taken = reading;
    this.#limits = stored === undefined ? NONE : decodeLimits(stored.payload);
    for (const { gate, key } of this.#gates.values()) gate.setLimit(this.#limitOf(key));
  }

  /**
   * Whether a job may go to a worker.
   *
   * @param onLeave when it may not yet: called once it has leave by one more limit; then ask again
   */
  admit({ sequence, deliveries, job }: Delivery, onLeave: () => void): boolean {
    if (this.#limits.size === 0) return true;
    for (const gate of this.#gatesOf(keyOf(job))) {
      if (gate.has(sequence)) continue;
      gate.wait(sequence, deliveries, onLeave);
      return false;
    }
    return true;
  }

  /** A job runs already, since another manager had it: the leave that it has is this delivery's from now on. */
  join({ sequence, deliveries, job }: Delivery): void {
    if (this.#limits.size === 0) return;
    for (const gate of this.#gatesOf(keyOf(job))) if (!gate.has(sequence)) gate.wait(sequence, deliveries, () => {});
  }

  /** A job is over for this manager. @param hasEnded false when another manager may have it, with its leave */
  end({ sequence, job, deliveries }: Delivery, hasEnded: boolean): void {
    if (this.#limits.size + this.#gates.size === 0) return;
    // One that was delivered before may have its leave from another manager.
    const mayHaveLeave = hasEnded && deliveries > 1;
    for (const gate of this.#gatesOf(keyOf(job))) {
      if (hasEnded && (mayHaveLeave || gate.has(sequence))) gate.end(sequence, deliveries);
      else gate.leave(sequence);
    }
  }

  /** Called every 100 milliseconds. @param nowMs monotonic milliseconds */
  tick(nowMs: number): void {
    if (!this.#parts.bus.connected) return;
    if (nowMs - this.#readAtMs >= READ_EVERY_MS) this.#readLater();
    if (nowMs >= this.#clearAtMs && this.#limits.size > 0) {
      this.#clearAtMs = nowMs + CLEAR_EVERY_MS;
      void this.#spent.clear().catch(() => undefined);
    }
    for (const [token, { gate }] of this.#gates) {
      gate.tick(nowMs);
      if (gate.isIdle) this.#gates.delete(token);
    }
  }

  /** What was said meanwhile was not heard. */
  onReconnect(): void {
    for (const { gate } of this.#gates.values()) gate.forget();
    this.#readAtMs = Number.NEGATIVE_INFINITY;
  }

  /** Jobs whose end is not written yet. */
  get unwritten(): number {
    let count = 0;
    for (const { gate } of this.#gates.values()) count += gate.unwritten;
    return count;
  }

  stop(): void {
    this.#subscription.unsubscribe();
  }

  /** What cannot be read now is read the next time. */
  #readLater(): void {
    this.#readAtMs = this.#parts.bus.runtime.now();
    void this.read().catch(() => undefined);
  }

  #limitOf(key: string | undefined): Limit | undefined {
    return key === undefined ? this.#limits.get(POOL) : limitOfKey(this.#limits, key);
  }

  /** That of its key first: a job that waits for its key takes nothing of its pool's limit. */
  #gatesOf(key: string): Gate[] {
    const gates = [key === "" ? undefined : this.#gate(keyToken(key), key), this.#gate(POOL, undefined)];
    return gates.filter((gate) => gate !== undefined);
  }

  #gate(token: string, key: string | undefined): Gate | undefined {
    const known = this.#gates.get(token);
    if (known !== undefined) return known.gate;
    const limit = this.#limitOf(key);
    if (limit === undefined) return undefined;
    const { names, pool } = this.#parts;
    const subject = names.limit(pool, token);
    const stream = names.limitsStream;
    const parts = { ...this.#parts, clock: this.#clock, stream, subject, jobsStream: names.jobsStream(pool) };
    const gate = new Gate(parts, limit);
    this.#gates.set(token, { gate, key });
    return gate;
  }
}

function keyOf(job: Delivery["job"]): string {
  return job instanceof PoolError ? "" : job.concurrencyKey;
}

/** Brokers before 2.10 do not say when they have stored what they publish again. */
function readTime(text: string | undefined): number | undefined {
  const atMs = Date.parse(text ?? "");
  return Number.isNaN(atMs) ? undefined : atMs;
}
