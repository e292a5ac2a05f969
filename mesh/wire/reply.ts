/** Replies as they cross the wire: their subject, and the broker's word that nobody listens. Pure. */
import type { Msg } from "nats";
import { headersOf } from "./wire-headers.js";

/** The parts of a reply that are read. */
export type Reply = Pick<Msg, "headers" | "data">;

/** Results that go together to one inbox are sent under this token. It is no correlation id. */
const BUNDLE_TOKEN = "bundle";

/** A reply subject taken apart: its inbox with the last dot, and its correlation id. */
export function splitReply(reply: string): readonly [prefix: string, token: string] {
  const at = reply.lastIndexOf(".") + 1;
  return [reply.slice(0, at), reply.slice(at)];
}

/** The connection that a reply subject belongs to: all inboxes of one begin alike. */
export function senderOf(reply: string): string {
  const inbox = reply.slice(0, Math.max(0, reply.lastIndexOf(".")));
  return inbox.slice(0, Math.max(0, inbox.lastIndexOf("."))) || inbox;
}

/** Where results for several correlation ids of one inbox go together. */
export function bundleSubject(prefix: string): string {
  return prefix + BUNDLE_TOKEN;
}

/** Whether this is the broker's word that nobody listens to a subject (status 503 without a payload). */
export function isNoResponders(msg: Reply): boolean {
  return msg.data.length === 0 && headersOf(msg)?.code === 503;
}
