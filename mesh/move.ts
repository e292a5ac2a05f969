/**
 * A move to another broker before this one goes: what lame duck mode asks for.
 *
 * What is published meanwhile is held and sent afterwards, in its order, so that
 * a move loses nothing that goes out. What was on its way in is lost, as in any
 * outage; whoever hears of the reconnect asks for it. Not decided here: what
 * counts as connected.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { MsgHdrs, NatsConnection } from "nats";

/** Everybody on a broker hears of its end at once: moves are spread over this, in milliseconds. */
const SPREAD_MS = 500;
const FLUSH_LIMIT_MS = 1_000;
/** A move that takes longer is an outage, in milliseconds. */
const MOVE_LIMIT_MS = 3_000;
/** What is held at most; more is refused as in an outage. */
const MAX_HELD = 10_000;
const MAX_HELD_BYTES = 16 * 2 ** 20;

/** A message that waits for the end of a move. */
export interface HeldMessage {
  readonly subject: string;
  readonly payload: Uint8Array | undefined;
  readonly options: { headers?: MsgHdrs; reply?: string } | undefined;
}

/** The moves of one connection, one at a time. */
export class Move {
  readonly #nc: NatsConnection;
  readonly #onFailed: () => void;
  #held: HeldMessage[] = [];
  #heldBytes = 0;
  #underWay = false;
  #planned = false;
  #limit: NodeJS.Timeout | undefined;
  #ended: Promise<void> = Promise.resolve();
  #settle: () => void = () => {};

  /** @param onFailed called when a move has become an outage */
  constructor(nc: NatsConnection, onFailed: () => void) {
    this.#nc = nc;
    this.#onFailed = onFailed;
  }

  /** Whether messages are to be held. */
  get underWay(): boolean {
    return this.#underWay;
  }

  /** Settles when no move is under way. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Moves, when the broker knows another one to go to. */
  async begin(): Promise<void> {
    if (this.#planned || (this.#nc.info?.connect_urls ?? []).length === 0) return;
    this.#planned = true;
    await delay(Math.random() * SPREAD_MS, undefined, { ref: false });
    if (!this.#planned || this.#nc.isClosed()) return;
    this.#underWay = true;
    this.#ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#limit = setTimeout(() => this.#fail(), MOVE_LIMIT_MS);
    const flushed = this.#nc.flush().catch(() => undefined);
    await Promise.race([flushed, delay(FLUSH_LIMIT_MS, undefined, { ref: false })]);
    // After this round trip all that was published is at the broker.
    if (this.#underWay) await this.#nc.reconnect().catch(() => this.#fail());
  }

  /** Keeps a message for later; false when it cannot. */
  hold(message: HeldMessage): boolean {
    const bytes = message.payload?.length ?? 0;
    if (this.#held.length >= MAX_HELD || this.#heldBytes + bytes > MAX_HELD_BYTES) return false;
    this.#held.push(message);
    this.#heldBytes += bytes;
    return true;
  }

  /** There is a connection again, or none is wanted: sends what was held. */
  end(): void {
    this.#planned = false;
    if (!this.#underWay) return;
    const held = this.#held;
    this.#close();
    for (const { subject, payload, options } of held) this.#nc.publish(subject, payload, options);
  }

  #fail(): void {
    if (!this.#underWay) return;
    this.#close();
    this.#onFailed();
  }

  #close(): void {
    clearTimeout(this.#limit);
    this.#underWay = false;
    this.#held = [];
    this.#heldBytes = 0;
    this.#settle();
  }
}
