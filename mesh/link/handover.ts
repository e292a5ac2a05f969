/**
 * The handover to another broker before this one goes: what lame duck mode asks for.
 *
 * First the queue groups are left, so that nothing new comes this way. Then what
 * is published is held, to be sent afterwards in its order: a handover loses nothing
 * that goes out. Whoever waits for an answer to what it sent has a moment to hear
 * it. What else was on its way in is lost, as in any outage; whoever hears of the
 * reconnect asks for it. Not decided here: what counts as connected.
 */
import type { MsgHdrs } from "nats";
import type { Connection } from "./connection.js";
import { delay, type Runtime, type Timer, within } from "./runtime.js";

/** Everybody on a broker hears of its end at once: handovers are spread over this, in milliseconds. */
const SPREAD_MS = 500;
/** How long each part of the farewell may take, in milliseconds. */
const FAREWELL_LIMIT_MS = 1_000;
const ASK_EVERY_MS = 5;
/** A handover that takes longer is an outage, in milliseconds. */
const MOVE_LIMIT_MS = 3_000;
/** What is held at most; more is refused as in an outage. */
const MAX_HELD = 10_000;
const MAX_HELD_BYTES = 16 * 2 ** 20;

/** What a message has besides its payload. */
export interface PublishOptions {
  headers?: MsgHdrs;
  reply?: string;
}

/** A message that waits for the end of a handover. */
export interface HeldMessage {
  readonly subject: string;
  readonly payload: Uint8Array | undefined;
  readonly options: PublishOptions | undefined;
}

/** What a handover asks of its connection. */
export interface HandoverHost {
  /** Resolves when nothing more comes from queue groups. */
  leaveQueues(): Promise<void>;
  /** Sends what was held. */
  send(message: HeldMessage): void;
  /** From now on messages are held. */
  onHold(): void;
  /** Whether nobody waits for an answer to what was sent before the hold. */
  mayGo(): boolean;
  /** The handover has become an outage; what was held is dropped. */
  onFailed(): void;
}

/** The handovers of one connection, one at a time. */
export class Handover {
  /** Whether messages are to be held. Set here only; a field, because every publish reads it. */
  underWay = false;
  readonly #nc: Connection;
  readonly #runtime: Runtime;
  readonly #host: HandoverHost;
  #held: HeldMessage[] = [];
  #heldBytes = 0;
  #planned = false;
  #limit: Timer | undefined;
  #ended: Promise<void> = Promise.resolve();
  #settle: () => void = () => {};

  constructor(nc: Connection, runtime: Runtime, host: HandoverHost) {
    this.#nc = nc;
    this.#runtime = runtime;
    this.#host = host;
  }

  /** Settles when no handover is under way. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Begins, when the broker knows another one to go to. */
  async begin(): Promise<void> {
    if (this.#planned || (this.#nc.info?.connect_urls ?? []).length === 0) return;
    this.#planned = true;
    await delay(this.#runtime, this.#runtime.random() * SPREAD_MS);
    if (!this.#planned || this.#nc.isClosed()) return;
    await this.#within(this.#host.leaveQueues());
    if (!this.#planned || this.#nc.isClosed()) return;
    this.#hold();
    // After this round trip all that was published is at the broker.
    await this.#within(Promise.all([this.#nc.flush(), this.#answersHeard()]));
    if (this.underWay) await this.#nc.reconnect().catch(() => this.#fail());
  }

  /** The broker was quicker: no handover, an outage. */
  forget(): void {
    this.#planned = false;
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
    if (!this.underWay) return;
    const held = this.#held;
    this.#close();
    for (const message of held) this.#host.send(message);
  }

  #hold(): void {
    this.underWay = true;
    this.#ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#limit = this.#runtime.after(MOVE_LIMIT_MS, () => this.#fail());
    this.#host.onHold();
  }

  async #answersHeard(): Promise<void> {
    while (this.underWay && !this.#host.mayGo()) await delay(this.#runtime, ASK_EVERY_MS);
  }

  /** Waits for the end of `step`, whatever it is, and no longer than a part of the farewell may take. */
  async #within(step: Promise<unknown>): Promise<void> {
    const ended = step.then(
      () => undefined,
      () => undefined,
    );
    await within(this.#runtime, FAREWELL_LIMIT_MS, ended, undefined);
  }

  #fail(): void {
    if (!this.underWay) return;
    this.#close();
    this.#host.onFailed();
  }

  #close(): void {
    this.#runtime.cancel(this.#limit);
    this.underWay = false;
    this.#held = [];
    this.#heldBytes = 0;
    this.#settle();
  }
}
