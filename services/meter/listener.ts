/**
 * The heartbeat subscriber: heartbeats from the broker go into the view.
 *
 * Decided here: which subjects are subscribed to; that every heartbeat is counted,
 * taken or dropped; and that a pool that is first heard shortly after a connect gets
 * a roll call, so the view is complete at once and not after an interval. Not decided
 * here: what silence means (liveness.ts).
 */
import type { Msg } from "nats";
import type { Bus } from "../../mesh/link/bus.js";
import type { Subscription } from "../../mesh/link/subscription.js";
import { encodeControl } from "../../mesh/wire/control-messages.js";
import { decodeHeartbeat, decodeManagerHeartbeat, rawHeartbeat } from "../../mesh/wire/heartbeat-codec.js";
import type { Subjects } from "../../mesh/wire/subjects.js";
import { countOne, type Tally } from "./registry/counters.js";
import type { View } from "./streams/view.js";

/** A pool that is first heard within this time after a connect gets a roll call, in milliseconds. */
const ROLL_CALL_WINDOW_MS = 2_000;

/** What a listener needs. */
export interface ListenerParts {
  readonly bus: Bus;
  readonly subjects: Subjects;
  /** Pools to hear; undefined for all. */
  readonly pools: readonly string[] | undefined;
  readonly view: View;
  readonly tally: Tally;
  readonly nowMs: () => number;
  /** Called after each message. */
  readonly onMessage: (nowMs: number) => void;
}

/** Hears the heartbeats of workers and managers. */
export class Listener {
  readonly #parts: ListenerParts;
  readonly #called = new Set<string>();
  readonly #rollCall = encodeControl("rollCall", {});
  #subscriptions: Subscription[] = [];
  #connectedMs = Number.NEGATIVE_INFINITY;
  #heardMs = Number.NEGATIVE_INFINITY;

  constructor(parts: ListenerParts) {
    this.#parts = parts;
  }

  /** When the last heartbeat came. */
  get heardMs(): number {
    return this.#heardMs;
  }

  start(): void {
    const { bus, subjects, pools } = this.#parts;
    for (const pool of pools ?? [undefined]) {
      this.#subscriptions.push(
        bus.subscribe(subjects.every.heartbeat(pool), (msg) => this.#onWorker(msg)),
        bus.subscribe(subjects.every.managerHeartbeat(pool), (msg) => this.#onManager(msg)),
      );
    }
  }

  stop(): void {
    for (const subscription of this.#subscriptions) {
      if (!subscription.isClosed) subscription.unsubscribe();
    }
    this.#subscriptions = [];
  }

  /** The connection is there, for the first time or again: known pools get a roll call. */
  connected(): void {
    this.#connectedMs = this.#parts.nowMs();
    this.#called.clear();
    for (const pool of this.#parts.view.registry.pools.keys()) this.#callRoll(pool);
  }

  #onWorker(msg: Msg): void {
    const { view, tally } = this.#parts;
    const nowMs = this.#hear();
    const decoded = decodeHeartbeat(rawHeartbeat(msg, this.#parts.subjects));
    countOne(tally.workerBeats, decoded.ok ? view.observe(decoded.beat, nowMs) : decoded.kind);
    if (decoded.ok && nowMs - this.#connectedMs < ROLL_CALL_WINDOW_MS) this.#callRoll(decoded.beat.pool);
    this.#parts.onMessage(nowMs);
  }

  #onManager(msg: Msg): void {
    const { view, tally } = this.#parts;
    const nowMs = this.#hear();
    const decoded = decodeManagerHeartbeat(rawHeartbeat(msg, this.#parts.subjects));
    countOne(tally.managerBeats, decoded.ok ? view.observeManager(decoded.beat, nowMs) : decoded.kind);
    this.#parts.onMessage(nowMs);
  }

  #hear(): number {
    this.#heardMs = this.#parts.nowMs();
    return this.#heardMs;
  }

  #callRoll(pool: string): void {
    if (this.#called.has(pool)) return;
    this.#called.add(pool);
    this.#parts.bus.publish(this.#parts.subjects.controlAll(pool), this.#rollCall);
  }
}
