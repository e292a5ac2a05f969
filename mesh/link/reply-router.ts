/**
 * One wildcard subscription for all replies of one kind.
 *
 * nats.js' request() makes a timer and a promise chain for every call and costs
 * three to four times as much. Here the last token of a reply's subject is a
 * correlation id: it names a slot in an array and cannot be mistaken for an
 * earlier one of the same slot. It ends with a secret, so that only who was
 * asked can answer: a worker may publish to the inboxes of all managers.
 * Deadlines are the owner's matter.
 */
import type { Msg } from "nats";
import { decodeReplyHeaders, type ReplyHeaders } from "../wire/headers.js";
import { type BundleEntry, decodeBundle, isBundle } from "../wire/payloads.js";
import { headersOf, type Reply } from "../wire/wire-headers.js";
import type { Bus } from "./bus.js";
import type { Subscription } from "./subscription.js";

/** Who hears the replies. */
export interface ReplyListener<E> {
  onReply(entry: E, msg: Reply): void;
  /** A result that came in a bundle; `about` is what the bundle says of all of them. */
  onBundled?(entry: E, result: BundleEntry, about: ReplyHeaders): void;
  /** A reply came that nobody waits for any more. */
  onStray?(): void;
}

/** Stands between the slot and the number of a correlation id. */
const SEPARATOR = "_";

export class ReplyRouter<E> {
  readonly #prefix: string;
  readonly #listener: ReplyListener<E>;
  readonly #newSecret: () => string;
  readonly #subscription: Subscription;
  /** By slot: who waits, and under which correlation id. */
  readonly #entries: (E | undefined)[] = [];
  readonly #tokens: (string | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  #counter = 0;

  constructor(bus: Bus, listener: ReplyListener<E>) {
    this.#prefix = bus.newInbox();
    this.#listener = listener;
    this.#newSecret = bus.runtime.newSecret;
    this.#subscription = bus.subscribe(`${this.#prefix}*`, (msg) => this.#dispatch(msg));
  }

  /** How many correlation ids are waited for. */
  get size(): number {
    return this.#entries.length - this.#freeSlots.length;
  }

  /** Waits for replies under a new correlation id. */
  open(entry: E): string {
    const slot = this.#freeSlots.pop() ?? this.#entries.length;
    this.#counter += 1;
    const token = slot.toString(36) + SEPARATOR + this.#counter.toString(36) + this.#newSecret();
    this.#entries[slot] = entry;
    this.#tokens[slot] = token;
    return token;
  }

  /** The reply subject of a correlation id. */
  subject(token: string): string {
    return this.#prefix + token;
  }

  /** Stops waiting; nothing happens when nobody waits. */
  close(token: string): void {
    const slot = Number.parseInt(token, 36);
    if (this.#tokens[slot] !== token) return;
    this.#entries[slot] = undefined;
    this.#tokens[slot] = undefined;
    this.#freeSlots.push(slot);
  }

  /** Subscribes again when the broker has refused it. */
  retry(): void {
    if (this.#subscription.isRefused) this.#subscription.retry();
  }

  /** Ends the subscription. */
  stop(): void {
    this.#subscription.unsubscribe();
    this.#entries.length = 0;
    this.#tokens.length = 0;
    this.#freeSlots.length = 0;
  }

  #dispatch(msg: Msg): void {
    if (isBundle(msg)) return this.#dispatchBundle(msg);
    const entry = this.#find(msg.subject.slice(this.#prefix.length));
    if (entry === undefined) this.#listener.onStray?.();
    else this.#listener.onReply(entry, msg);
  }

  #dispatchBundle(msg: Msg): void {
    const about = decodeReplyHeaders(headersOf(msg));
    decodeBundle(msg.data, (result) => {
      const entry = this.#find(result.token);
      if (entry === undefined) this.#listener.onStray?.();
      else this.#listener.onBundled?.(entry, result, about);
    });
  }

  #find(token: string): E | undefined {
    const slot = Number.parseInt(token, 36);
    return this.#tokens[slot] === token ? this.#entries[slot] : undefined;
  }
}
