/**
 * Pulls the jobs of one level from its consumer.
 *
 * Decided here: one pull is open at a time, when it is over, and when it is taken
 * for lost. An open pull is a promise to take what comes: who stops must keep the
 * subscription until the pull is over, and give back what arrives
 * ({@link LevelPuller.finish}). Not decided here: how much is pulled (share.ts).
 *
 * A pulled message has the job's own subject, so a subscription cannot be shared.
 */
import type { Msg } from "nats";
import { type DeliveryFacts, readAckSubject } from "../../../mesh/durable/ack-subject.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { delay } from "../../../mesh/link/runtime.js";
import type { Subscription } from "../../../mesh/link/subscription.js";
import { headersOf } from "../../../mesh/wire/wire-headers.js";

/** How long a pull stays open, and how often the broker says that it is, in milliseconds. */
const EXPIRES_MS = 3_000;
const IDLE_HEARTBEAT_MS = 1_000;
/** A pull of which nothing is heard for so long is lost, in milliseconds. */
const LOST_AFTER_MS = 2_500;
const FINISH_CHECK_MS = 20;
const NANOS = 1e6;
/**
 * What the broker says of a pull: it goes on; nothing waits; its time is over, with nothing more waiting; it has brought
 * what it may, by number or by bytes, or its consumer is gone; nobody listens.
 */
const STATUS = { heartbeat: 100, nothing: 404, expired: 408, ended: 409, noResponders: 503 } as const;

/** How the broker says that a pull has brought what it may. */
const OWN_END = /batch completed|exceeds maxbytes|exceeded maxwaiting/i;

/** What it works with. */
export interface LevelPullerParts {
  readonly bus: Bus;
  readonly stream: string;
  /** The consumer's name. */
  readonly level: string;
  readonly onDelivery: (msg: Msg, facts: DeliveryFacts) => void;
  /** The open pull is over. */
  readonly onOver: () => void;
  /** The open pull was ended by something else than its own bounds, such as another leader of its consumer. */
  readonly onBroken?: () => void;
  /** The stream or the consumer is not there, or perhaps is not: nobody answers. */
  readonly onMissing: () => void;
}

export class LevelPuller {
  readonly level: string;
  readonly #parts: LevelPullerParts;
  readonly #prefix: string;
  readonly #subject: string;
  readonly #subscription: Subscription;
  #counter = 0;
  /** Messages that the open pull may still bring; 0 when none is open. */
  #asked = 0;
  #heardAtMs = 0;
  /** Whether the open pull has brought a message. */
  #hasBrought = false;
  #waiting = 0;

  constructor(parts: LevelPullerParts) {
    const { bus, stream, level } = parts;
    this.level = level;
    this.#parts = parts;
    this.#prefix = bus.newInbox();
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${level}`;
    this.#subscription = bus.subscribe(`${this.#prefix}*`, (msg) => this.#onMessage(msg));
  }

  /** Messages that may still come. */
  get asked(): number {
    return this.#asked;
  }

  /** Messages that wait at the broker, as it said last. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Opens a pull, if none is open. */
  pull(batch: number, maxBytes: number): void {
    if (this.#asked > 0) return;
    const { bus } = this.#parts;
    this.#counter += 1;
    const request = {
      batch,
      max_bytes: maxBytes,
      expires: EXPIRES_MS * NANOS,
      idle_heartbeat: IDLE_HEARTBEAT_MS * NANOS,
    };
    const reply = this.#prefix + this.#counter.toString(36);
    if (!bus.publish(this.#subject, Buffer.from(JSON.stringify(request)), { reply })) return;
    this.#asked = batch;
    this.#hasBrought = false;
    this.#heardAtMs = bus.runtime.now();
  }

  /** The broker has forgotten the open pull. */
  forget(): void {
    this.#asked = 0;
  }

  /** Gives up a pull of which nothing is heard any more. */
  check(nowMs: number): void {
    if (this.#asked === 0 || nowMs - this.#heardAtMs <= LOST_AFTER_MS) return;
    this.#over();
    this.#parts.onMissing();
  }

  /** Resolves when the open pull is over; what comes until then is still delivered. */
  async finish(): Promise<void> {
    const { runtime } = this.#parts.bus;
    const endAtMs = runtime.now() + EXPIRES_MS + IDLE_HEARTBEAT_MS;
    while (this.#asked > 0 && runtime.now() < endAtMs && this.#parts.bus.connected) {
      await delay(runtime, FINISH_CHECK_MS);
    }
    this.#subscription.unsubscribe();
  }

  #onMessage(msg: Msg): void {
    const facts = readAckSubject(msg.reply);
    if (facts === undefined) return this.#onStatus(msg);
    this.#heardAtMs = this.#parts.bus.runtime.now();
    this.#waiting = facts.pending;
    this.#hasBrought = true;
    this.#asked = Math.max(0, this.#asked - 1);
    this.#parts.onDelivery(msg, facts);
    if (this.#asked === 0) this.#parts.onOver();
  }

  #onStatus(msg: Msg): void {
    const code = headersOf(msg)?.code ?? 0;
    if (msg.subject !== this.#prefix + this.#counter.toString(36)) return;
    this.#heardAtMs = this.#parts.bus.runtime.now();
    if (code === STATUS.heartbeat) return;
    // A pull that was ended before it brought anything: its consumer was deleted, or has another leader.
    const isMissing = code === STATUS.noResponders || (code === STATUS.ended && !this.#hasBrought);
    if (code === STATUS.nothing || code === STATUS.expired) this.#waiting = 0;
    const isBroken = code === STATUS.ended && !OWN_END.test(headersOf(msg)?.description ?? "");
    this.#over();
    if (isMissing) this.#parts.onMissing();
    else if (isBroken) this.#parts.onBroken?.();
  }

  #over(): void {
    this.#asked = 0;
    this.#parts.onOver();
  }
}
