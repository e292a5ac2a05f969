/**
 * When a manager dies, what it held goes to the others at once, and not only
 * after the ack wait.
 *
 * Decided here: every manager tells the others which deliveries it holds. One that
 * is silent is probed (presence.ts). When it is gone, one survivor, the one with the
 * lowest id, gives back what it last said that it held, less what others hold by
 * now. The broker takes that word from anybody. A manager that was only cut off
 * and comes back finds its outcomes refused by the fence.
 */
import { giveBack } from "../../../../mesh/durable/ack-subject.js";
import { decodeHeldList, encodeHeldList, type HeldList, sizeOf } from "../../../../mesh/durable/held-list.js";
import { type DurableNames, LEVELS } from "../../../../mesh/durable/names.js";
import type { LaneStore } from "../../../../mesh/durable/store.js";
import type { Bus } from "../../../../mesh/link/bus.js";
import type { Inbox } from "../../../../mesh/link/inbox.js";
import { Presence } from "../../../../mesh/link/presence.js";
import type { Subscription } from "../../../../mesh/link/subscription.js";
import type { Logger } from "../../../../mesh/process/log.js";
import type { Priority } from "../../../../mesh/wire/headers.js";
import { isAnswerable } from "../../../../mesh/wire/subjects.js";

/** What it works with. */
export interface TakeoverParts {
  readonly bus: Bus;
  readonly inbox: Inbox;
  readonly names: DurableNames;
  readonly store: LaneStore;
  /** This manager's id. */
  readonly manager: string;
  /** The pools that it serves; undefined for all. */
  readonly served: readonly string[] | undefined;
  /** What it holds, by pool. */
  readonly held: () => Iterable<readonly [pool: string, list: HeldList]>;
  readonly log: Logger;
}

/** How often a manager tells what it holds when that changes, when it does not, and when it holds nothing, in milliseconds. */
const CHANGED_EVERY_MS = 250;
const SAME_EVERY_MS = 500;
const EMPTY_EVERY_MS = 1_000;
/** A manager that is silent for longer does not take part, in milliseconds. */
const HEARD_WITHIN_MS = 3_500;
/** What one says that it holds counts for so long, in milliseconds: it says it again every half second. */
const HOLDS_WITHIN_MS = 1_500;
/** Managers of pools that are remembered. */
const MAX_PEERS = 10_000;

interface Peer {
  readonly pool: string;
  readonly manager: string;
  list: HeldList;
  heardAtMs: number;
}

export class Takeover {
  readonly #parts: TakeoverParts;
  readonly #presence: Presence;
  /** By pool and manager. */
  readonly #peers = new Map<string, Peer>();
  /** What was told last of each pool, and when. */
  readonly #told = new Map<string, { text: string; atMs: number }>();
  readonly #subscriptions: Subscription[] = [];
  #offReconnect: () => void = () => {};

  constructor(parts: TakeoverParts) {
    this.#parts = parts;
    this.#presence = new Presence({
      bus: parts.bus,
      inbox: parts.inbox,
      question: (key) => ({ subject: this.#probeSubject(key) }),
      onPresent: (key) => this.#onPresent(key),
      onGone: (key) => void this.#onGone(key),
    });
  }

  start(): void {
    const { bus, names, manager, served } = this.#parts;
    for (const pool of served ?? [undefined]) {
      this.#subscriptions.push(
        bus.subscribe(names.everyHeld(pool), (msg) => this.#onHeld(msg.subject, msg.data)),
        bus.subscribe(names.everyProbe(manager, pool), ({ reply }) => {
          if (isAnswerable(reply, bus.inboxPrefix)) bus.publish(reply);
        }),
      );
    }
    this.#offReconnect = bus.on("reconnect", () => this.#presence.onReconnect(bus.runtime.now()));
  }

  /** How many jobs of a pool another manager says that it holds. */
  knowsHeld(pool: string, manager: string): number {
    const peer = this.#peers.get(`${pool} ${manager}`);
    return peer === undefined ? 0 : sizeOf(peer.list);
  }

  /** Whether another manager has just said that it holds a delivery. */
  isHeldElsewhere(pool: string, level: Priority, sequence: number): boolean {
    const fromMs = this.#parts.bus.runtime.now() - HOLDS_WITHIN_MS;
    for (const peer of this.#peers.values()) {
      if (peer.pool === pool && peer.heardAtMs >= fromMs && peer.list[level].includes(sequence)) return true;
    }
    return false;
  }

  /** Called every 100 milliseconds. */
  tick(nowMs: number): void {
    const { bus } = this.#parts;
    if (!bus.connected) return;
    for (const [pool, list] of this.#parts.held()) this.#tell(pool, list, nowMs);
    for (const [key, peer] of this.#peers) {
      const silentMs = nowMs - peer.heardAtMs;
      if (sizeOf(peer.list) > 0) this.#presence.check(key, silentMs - SAME_EVERY_MS, nowMs);
      else if (silentMs > HEARD_WITHIN_MS) this.#forget(key);
    }
  }

  /** Tells that nothing is held any more, and hears nothing more. */
  stop(): void {
    const { bus, names, manager } = this.#parts;
    for (const pool of this.#told.keys()) bus.publish(names.held(pool, manager), encodeHeldList(NOTHING));
    this.#offReconnect();
    this.#presence.stop();
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }

  #tell(pool: string, list: HeldList, nowMs: number): void {
    const last = this.#told.get(pool);
    const sinceMs = nowMs - (last?.atMs ?? Number.NEGATIVE_INFINITY);
    if (sinceMs < CHANGED_EVERY_MS) return;
    const payload = encodeHeldList(list);
    const text = payload.toString();
    const everyMs = sizeOf(list) === 0 ? EMPTY_EVERY_MS : SAME_EVERY_MS;
    if (text === last?.text && sinceMs < everyMs) return;
    const { bus, names, manager } = this.#parts;
    if (bus.publish(names.held(pool, manager), payload)) this.#told.set(pool, { text, atMs: nowMs });
  }

  #onHeld(subject: string, payload: Uint8Array): void {
    const { names, manager: self, bus } = this.#parts;
    const pool = names.poolOf(subject);
    const manager = subject.slice(subject.lastIndexOf(".") + 1);
    const list = decodeHeldList(payload);
    if (manager === self || list === undefined) return;
    const key = `${pool} ${manager}`;
    const heardAtMs = bus.runtime.now();
    const known = this.#peers.get(key);
    if (known !== undefined) Object.assign(known, { list, heardAtMs });
    else if (this.#peers.size < MAX_PEERS) this.#peers.set(key, { pool, manager, list, heardAtMs });
    this.#presence.forget(key);
  }

  #onPresent(key: string): void {
    const peer = this.#peers.get(key);
    if (peer !== undefined) peer.heardAtMs = this.#parts.bus.runtime.now();
  }

  #forget(key: string): void {
    this.#peers.delete(key);
    this.#presence.forget(key);
  }

  async #onGone(key: string): Promise<void> {
    const gone = this.#peers.get(key);
    if (gone === undefined) return;
    this.#forget(key);
    const nowMs = this.#parts.bus.runtime.now();
    const others = [...this.#peers.values()].filter(
      ({ pool, heardAtMs }) => pool === gone.pool && nowMs - heardAtMs < HEARD_WITHIN_MS,
    );
    if (others.some(({ manager }) => manager < this.#parts.manager)) return;
    const lists = others.map(({ list }) => list);
    for (const [pool, list] of this.#parts.held()) if (pool === gone.pool) lists.push(list);
    const { log } = this.#parts;
    log.warn(
      { pool: gone.pool, manager: gone.manager, jobs: sizeOf(gone.list) },
      "a manager is gone: its jobs go back",
    );
    for (const level of LEVELS) {
      const taken = new Set(lists.flatMap((list) => list[level]));
      const orphans = gone.list[level].filter((sequence) => !taken.has(sequence));
      if (orphans.length > 0) await this.#giveBack(gone.pool, level, orphans).catch(() => undefined);
    }
  }

  /** What cannot be given back now comes back after the ack wait. */
  async #giveBack(pool: string, level: string, sequences: readonly number[]): Promise<void> {
    const { bus, names, store } = this.#parts;
    const stream = names.jobsStream(pool);
    const consumer = await store.consumerInfo(stream, level);
    if (consumer === undefined) return;
    // The broker asks for a delivery that it may have made; the message itself is named by its sequence in the stream.
    const delivered = consumer.delivered.consumer_seq;
    for (const sequence of sequences) {
      bus.publish(`$JS.ACK.${stream}.${level}.1.${sequence}.${delivered}.0.0`, giveBack(0));
    }
  }

  #probeSubject(key: string): string {
    const [pool = "", manager = ""] = key.split(" ");
    return this.#parts.names.probe(pool, manager);
  }
}

const NOTHING: HeldList = { high: [], normal: [], low: [] };
