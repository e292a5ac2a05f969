/**
 * One wildcard subscription for all replies of one kind.
 *
 * nats.js' request() makes a timer and a promise chain for every call and costs
 * three to four times as much. Here the last token of a reply's subject is a
 * correlation id: it names a slot in an array, and ends with a secret. So it cannot
 * be mistaken for an earlier one of the same slot, and only who was asked can
 * answer: a worker may publish to the inboxes of all managers.
 * Deadlines are the owner's matter.
 */
import type { Msg } from "nats";
import { decodeReplyHeaders, type ReplyHeaders } from "../wire/headers.js";
import { type BundledResult, decodeResults, isBundle } from "../wire/payloads.js";
import { headersOf, type Reply } from "../wire/wire-headers.js";
import type { Bus } from "./bus.js";
import type { Runtime } from "./runtime.js";
import type { Subscription } from "./subscription.js";

/** Who hears the replies. */
export interface ReplyListener<E> {
  onReply(entry: E, msg: Reply): void;
  /** A result that came in a bundle; `about` is what the bundle says of all of them. @param nowMs when the bundle came, monotonic milliseconds */
  onBundled?(entry: E, result: BundledResult, about: ReplyHeaders, nowMs: number): void;
  /** A reply came that nobody waits for any more. */
  onStray?(): void;
}

/** Stands between the slot of a correlation id and what only this one has. */
const SEPARATOR = "_";
const SEPARATOR_CODE = SEPARATOR.charCodeAt(0);

export class ReplyRouter<E> {
  readonly #prefix: string;
  readonly #listener: ReplyListener<E>;
  readonly #runtime: Runtime;
  readonly #subscription: Subscription;
  /** By slot: who waits, and under which correlation id. */
  readonly #entries: (E | undefined)[] = [];
  readonly #tokens: (string | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  /** The beginning of each slot's correlation ids. */
  readonly #slotTexts: string[] = [];
  #counter = 0;

  constructor(bus: Bus, listener: ReplyListener<E>) {
    this.#prefix = bus.newInbox();
    this.#listener = listener;
    this.#runtime = bus.runtime;
    this.#subscription = bus.subscribe(`${this.#prefix}*`, (msg) => this.#dispatch(msg));
  }

  /** How many correlation ids are waited for. */
  get size(): number {
    return this.#entries.length - this.#freeSlots.length;
  }

  /** Waits for replies under a new correlation id. */
  open(entry: E): string {
    const slot = this.#freeSlots.pop() ?? this.#entries.length;
    const token = this.#textOf(slot) + (this.#runtime.newSecret() || this.#nextNumber());
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
    const slot = slotOf(token);
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
    const nowMs = this.#runtime.now();
    decodeResults(msg.data, (result) => {
      const entry = this.#findBundled(result);
      if (entry === undefined) this.#listener.onStray?.();
      else this.#listener.onBundled?.(entry, result, about, nowMs);
    });
  }

  #find(token: string): E | undefined {
    const slot = slotOf(token);
    return this.#tokens[slot] === token ? this.#entries[slot] : undefined;
  }

  #findBundled({ bytes, tokenFrom, tokenTo }: BundledResult): E | undefined {
    let slot = 0;
    for (let at = tokenFrom; at < tokenTo && bytes[at] !== SEPARATOR_CODE; at += 1) {
      slot = slot * 36 + digitOf(bytes[at] as number);
    }
    const token = this.#tokens[slot];
    if (token === undefined || token.length !== tokenTo - tokenFrom) return undefined;
    for (let i = 0; i < token.length; i += 1) if (bytes[tokenFrom + i] !== token.charCodeAt(i)) return undefined;
    return this.#entries[slot];
  }

  #textOf(slot: number): string {
    const known = this.#slotTexts[slot];
    if (known !== undefined) return known;
    const text = slot.toString(36) + SEPARATOR;
    this.#slotTexts[slot] = text;
    return text;
  }

  /** In the place of a secret, where nobody guesses. */
  #nextNumber(): string {
    this.#counter += 1;
    return this.#counter.toString(36);
  }
}

const [ZERO, NINE, A] = [0x30, 0x39, 0x61] as const;

/** The slot of a correlation id; of another text any number. The runtime's own reading of numbers costs more than all else here. */
function slotOf(token: string): number {
  let slot = 0;
  for (let i = 0; i < token.length; i += 1) {
    const code = token.charCodeAt(i);
    if (code === SEPARATOR_CODE) return slot;
    slot = slot * 36 + digitOf(code);
  }
  return -1;
}

function digitOf(code: number): number {
  return code <= NINE ? code - ZERO : code - A + 10;
}
