/**
 * The lean inbox: one wildcard subscription for all replies of a connection.
 *
 * nats.js' request() makes a timer and a promise chain for every call and costs
 * three to four times as much. Here a reply finds its entry by the last token of
 * its subject; deadlines are the entries' own matter.
 */
import { type Msg, nuid, type Subscription } from "nats";
import type { Bus } from "./bus.js";
import { headersOf } from "./wire-headers.js";

/** Who waits for replies under one token. */
export interface InboxEntry {
  onReply(msg: Msg): void;
}

/** Stands between a token's mark and its number. */
const MARK_END = "_";

/** What the broker answers when nobody listens to a subject. */
export function isNoResponders(msg: Msg): boolean {
  return msg.data.length === 0 && headersOf(msg)?.code === 503;
}

export class Inbox {
  readonly #prefix: string;
  readonly #entries = new Map<string, InboxEntry>();
  readonly #subscription: Subscription;
  readonly #onStray: (mark: string) => void;
  #counter = 0;

  /** @param onStray called for a reply that nobody waits for any more, with the mark of its token */
  constructor(bus: Bus, onStray: (mark: string) => void = () => {}) {
    this.#prefix = `${bus.inboxPrefix}.${nuid.next()}.`;
    this.#onStray = onStray;
    this.#subscription = bus.subscribe(`${this.#prefix}*`, (msg) => this.#dispatch(msg));
  }

  /** How many tokens are waited for. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * Waits for replies under a new token.
   *
   * @param mark what to know of a reply that comes after close(): letters and digits; default ""
   */
  open(entry: InboxEntry, mark = ""): string {
    this.#counter += 1;
    const token = `${mark}${MARK_END}${this.#counter.toString(36)}`;
    this.#entries.set(token, entry);
    return token;
  }

  /** The reply subject of a token. */
  subject(token: string): string {
    return this.#prefix + token;
  }

  /** Stops waiting. */
  close(token: string): void {
    this.#entries.delete(token);
  }

  /** Ends the subscription. */
  stop(): void {
    this.#subscription.unsubscribe();
    this.#entries.clear();
  }

  #dispatch(msg: Msg): void {
    const token = msg.subject.slice(this.#prefix.length);
    const entry = this.#entries.get(token);
    if (entry === undefined) this.#onStray(token.slice(0, Math.max(0, token.indexOf(MARK_END))));
    else entry.onReply(msg);
  }
}
