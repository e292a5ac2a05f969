/**
 * Replies as they cross the wire: their subject, the broker's word that nobody
 * listens, and what looks like an answer and is none. Pure.
 */
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

/** No acknowledgement is longer, in bytes. */
const MAX_BYTES = 1_024;
const BRACE = 0x7b;

/**
 * The name of the JetStream stream whose acknowledgement this is; undefined when it is none. A stream that captures a
 * subject acknowledges each request on it, which looks like an answer.
 */
export function streamOf({ data }: Pick<Reply, "data">): string | undefined {
  if (data.length > MAX_BYTES || data[0] !== BRACE) return undefined;
  try {
    const { stream, seq } = JSON.parse(Buffer.from(data).toString()) as { stream?: unknown; seq?: unknown };
    return typeof stream === "string" && typeof seq === "number" ? stream : undefined;
  } catch {
    return undefined;
  }
}
