/**
 * The lean inbox: one wildcard subscription for all replies of a connection.
 *
 * nats.js' request() makes a timer and a promise chain for every call and costs
 * three to four times as much. Here a reply finds its entry by the last token of
 * its subject; deadlines are the entries' own matter.
 */
import type { Msg } from "nats";
import { type BundleEntry, decodeBundle } from "../wire/bundle.js";
import { decodeReplyHeaders, isBundle, type ReplyHeaders } from "../wire/headers.js";
import { headersOf } from "../wire/wire-headers.js";
import type { Bus } from "./bus.js";
import { ChurnMap } from "./churn-map.js";
import type { Subscription } from "./subscription.js";

/** The parts of a reply that are read. */
export type Reply = Pick<Msg, "headers" | "data">;

/** Who waits for replies under one token. */
export interface InboxEntry {
  onReply(msg: Reply): void;
  /** A result that came in a bundle; `about` is what the bundle says of all of them. */
  onBundled?(entry: BundleEntry, about: ReplyHeaders): void;
}

/** Stands between a token's mark and its number. */
const MARK_END = "_";

/** Replies that come together are sent under this token; no mark ends its name, so it is nobody's. */
const BUNDLE_TOKEN = "bundle";

/** A reply subject taken apart: its inbox with the last dot, and its token. */
export function splitReply(reply: string): readonly [prefix: string, token: string] {
  const at = reply.lastIndexOf(".") + 1;
  return [reply.slice(0, at), reply.slice(at)];
}

/** Where replies to several tokens of one inbox go together. */
export function bundleSubject(prefix: string): string {
  return prefix + BUNDLE_TOKEN;
}

/** What the broker answers when nobody listens to a subject. */
export function isNoResponders(msg: Reply): boolean {
  return msg.data.length === 0 && headersOf(msg)?.code === 503;
}

export class Inbox {
  readonly #prefix: string;
  readonly #entries = new ChurnMap<InboxEntry>();
  readonly #subscription: Subscription;
  readonly #onStray: (mark: string) => void;
  #counter = 0;

  /** @param onStray called for a reply that nobody waits for any more, with the mark of its token */
  constructor(bus: Bus, onStray: (mark: string) => void = () => {}) {
    this.#prefix = `${bus.inboxPrefix}.${bus.runtime.newId()}.`;
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
    if (isBundle(msg)) return this.#dispatchBundle(msg);
    const token = msg.subject.slice(this.#prefix.length);
    const waiting = this.#entries.get(token);
    if (waiting === undefined) this.#stray(token);
    else waiting.onReply(msg);
  }

  #dispatchBundle(msg: Msg): void {
    const about = decodeReplyHeaders(headersOf(msg));
    decodeBundle(msg.data, (entry) => {
      const waiting = this.#entries.get(entry.token);
      if (waiting === undefined) this.#stray(entry.token);
      else waiting.onBundled?.(entry, about);
    });
  }

  #stray(token: string): void {
    this.#onStray(token.slice(0, Math.max(0, token.indexOf(MARK_END))));
  }
}
