/**
 * The open pulls of one pool, one for each level.
 *
 * Decided here: when pulls are opened. Jobs that end in one turn of the event loop
 * are replaced together. How much is pulled is decided in share.ts.
 */
import type { Msg } from "nats";
import type { DeliveryFacts } from "../../../mesh/durable/ack-subject.js";
import { LEVELS } from "../../../mesh/durable/names.js";
import type { Bus } from "../../../mesh/link/bus.js";
import type { Priority } from "../../../mesh/wire/headers.js";
import type { Pool } from "../pool/pool.js";
import type { Held } from "./held.js";
import { LevelPuller } from "./level-puller.js";
import { shares, wantHeld } from "./share.js";

/** What it works with. */
export interface PullsParts {
  readonly bus: Bus;
  readonly pool: Pool;
  readonly stream: string;
  readonly held: Held;
  /** Whether it is known what has become of all that is held. */
  readonly mayPull: () => boolean;
  readonly onDelivery: (msg: Msg, facts: DeliveryFacts, level: Priority) => void;
  /** The stream or a consumer is not there any more. */
  readonly onMissing: () => void;
  /** A consumer may have another leader. */
  readonly onBroken: () => void;
}

/** Jobs that one manager holds of one pool, those included whose outcome is being stored. */
const MAX_HELD = 1_536;
/** Payload bytes that one manager holds of one pool. */
const MAX_HELD_BYTES = 64 * 2 ** 20;
/** What a message of the largest payload takes beside it, in bytes. */
const MESSAGE_SLACK = 4_096;
/** How often the rate of ended jobs is measured, in milliseconds. */
const RATE_EVERY_MS = 250;

export class Pulls {
  readonly #parts: PullsParts;
  readonly #pullers: readonly LevelPuller[];
  #stopped = false;
  #suspended = false;
  #refillDue = false;
  #endedPerSecond = 0;
  #endedLately = 0;
  #rateAtMs: number;

  constructor(parts: PullsParts) {
    const { bus, stream } = parts;
    this.#parts = parts;
    this.#rateAtMs = bus.runtime.now();
    this.#pullers = LEVELS.map(
      (level) =>
        new LevelPuller({
          bus,
          stream,
          level,
          onDelivery: (msg, facts) => parts.onDelivery(msg, facts, level),
          onOver: () => this.#refillSoon(),
          onMissing: () => this.#onMissing(),
          onBroken: parts.onBroken,
        }),
    );
  }

  /** Whether the stream is there, and more is wanted. */
  get areOpen(): boolean {
    return !this.#stopped && !this.#suspended;
  }

  /** Whether a pull is open. */
  get hasOpen(): boolean {
    return this.#pullers.some(({ asked }) => asked > 0);
  }

  /** Jobs that wait at the broker, as it said last. */
  get waiting(): number {
    return this.#pullers.reduce((sum, puller) => sum + puller.waiting, 0);
  }

  /** Called every 100 milliseconds. */
  tick(nowMs: number): void {
    if (nowMs - this.#rateAtMs >= RATE_EVERY_MS) this.#measureRate(nowMs);
    for (const puller of this.#pullers) puller.check(nowMs);
    this.#refill();
  }

  /** A held job has ended here. */
  ended(): void {
    this.#endedLately += 1;
    this.#refillSoon();
  }

  /** A held job waits for leave by a limit: another one may come. */
  limited(): void {
    this.#refillSoon();
  }

  /** The connection is gone or was, and the open pulls with it. */
  forget(): void {
    for (const puller of this.#pullers) puller.forget();
  }

  /** The stream is there again. */
  resume(): void {
    this.#suspended = false;
    this.#refill();
  }

  /** Opens no pull any more. What the open ones bring still comes. */
  stop(): void {
    this.#stopped = true;
  }

  /** Resolves when the open pulls are over. */
  async finish(): Promise<void> {
    await Promise.all(this.#pullers.map((puller) => puller.finish()));
  }

  #onMissing(): void {
    if (!this.areOpen) return;
    this.#suspended = true;
    this.#parts.onMissing();
  }

  #measureRate(nowMs: number): void {
    const rate = (this.#endedLately * 1_000) / (nowMs - this.#rateAtMs);
    this.#endedPerSecond = (this.#endedPerSecond + rate) / 2;
    this.#endedLately = 0;
    this.#rateAtMs = nowMs;
  }

  #refillSoon(): void {
    if (this.#refillDue) return;
    this.#refillDue = true;
    this.#parts.bus.runtime.endOfTurn(() => {
      this.#refillDue = false;
      this.#refill();
    });
  }

  #refill(): void {
    const { pool, bus, held, mayPull } = this.#parts;
    if (!this.areOpen || !bus.connected || bus.handingOver || !mayPull()) return;
    const { workers, dispatcher, settings } = pool;
    if (workers.capacity === 0 && !dispatcher.isBare) return;
    const demand = { capacity: workers.capacity, endedPerSecond: this.#endedPerSecond };
    const want = wantHeld({ ...demand, parkedLimit: settings.limits.jobs });
    // What has ended waits for the stream and not for a slot. It is bounded too.
    // What waits for leave by a limit must not keep out jobs that may run; it has a bound of its own.
    const active = held.size - held.limited;
    const room = held.hasRoomForLimited ? Math.min(want - (active - held.ending), MAX_HELD - active) : 0;
    const bytes = MAX_HELD_BYTES - held.bytes;
    // One pull brings several: it is not worth a round trip for one job while others are held.
    if (room < Math.max(1, want / 8) || bytes <= 0) return;
    const maxBytes = Math.max(bytes, bus.maxPayloadBytes + MESSAGE_SLACK);
    for (const [index, batch] of shares(room, this.#pullers).entries()) {
      if (batch > 0) this.#pullers[index]?.pull(batch, maxBytes);
    }
  }
}
