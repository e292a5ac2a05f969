/**
 * A message as it crosses the wire: its headers, its reply subject, the broker's
 * word that nobody listens, and what looks like an answer and is none. Pure.
 *
 * Headers are written once as text and read by search. nats.js' own class keeps a map of arrays and canonicalizes every name; that
 * took a quarter of the time of an empty job (see docs/adr). This one has what
 * the mesh uses. What it reads is checked against nats.js' class by a test.
 */
import type { Msg, MsgHdrs } from "nats";
import { PoolError } from "../errors.js";
import { parseJson } from "../job/codec.js";

const START = "NATS/1.0";
const END = "\r\n";

/** What reading needs of headers; nats.js' own have it too. */
export interface HeaderReader extends Iterable<[string, string[]]> {
  /** The first value under this exact name; "" when there is none. */
  get(name: string): string;
  /** The status code of the first line, 0 without one. */
  readonly code: number;
  /** What the first line says after the code; "" for nothing. */
  readonly description: string;
}

/** Whether a value can be written: what is read from a stranger may have half of a line break in it. */
export function isWritable(value: string): boolean {
  return !(value.includes("\n") || value.includes("\r"));
}

/** The number that a header says. @throws PoolError `invalid_argument` with the header as its field */
export function integerOf(header: string, text: string, min: number, max: number): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  const message = `${header}: use a whole number from ${min} to ${max}`;
  throw new PoolError("invalid_argument", message, { field: header });
}

/** Headers as one text: `NATS/1.0\r\nName: value\r\n…`. */
class WireHeaders implements HeaderReader {
  #text: string;

  /** @param text as on the wire, without the empty line; one character a byte where it was read */
  constructor(text = START + END) {
    this.#text = text;
  }

  /** @throws PoolError `invalid_argument` for a line break in a value */
  append(name: string, value: string): void {
    if (!isWritable(value)) {
      throw new PoolError("invalid_argument", `header ${name}: a line break is not allowed`, { field: name });
    }
    this.#text += `${name}: ${value}${END}`;
  }

  get(name: string): string {
    const text = this.#text;
    const start = `${END}${name}:`;
    for (let at = text.indexOf(start); at !== -1; at = text.indexOf(start, at + END.length)) {
      const from = at + start.length;
      const value = utf8(text.slice(from, text.indexOf(END, from)).trim());
      if (value !== "") return value;
    }
    return "";
  }

  /** As on the wire, without the empty line. */
  get text(): string {
    return this.#text;
  }

  get code(): number {
    return this.#text.startsWith(END, START.length) ? 0 : Number.parseInt(this.#text.slice(START.length), 10) || 0;
  }

  get description(): string {
    const [, , ...words] = this.#text.slice(0, this.#text.indexOf(END)).split(" ");
    return words.join(" ").trim();
  }

  /** The bytes on the wire. nats.js calls it when it publishes. */
  encode(): Uint8Array {
    return Buffer.from(this.#text + END);
  }

  /** Calls `visit` for every header, in one pass over the text. */
  each(visit: (name: string, value: string) => void): void {
    const text = this.#text;
    let from = text.indexOf(END) + END.length;
    for (let to = text.indexOf(END, from); to > from; to = text.indexOf(END, from)) {
      const colon = text.indexOf(":", from);
      if (colon > from && colon < to) visit(text.slice(from, colon), utf8(text.slice(colon + 1, to).trim()));
      from = to + END.length;
    }
  }

  /** Names and values, as nats.js' class gives them. */
  [Symbol.iterator](): Iterator<[string, string[]]> {
    const all: [string, string[]][] = [];
    this.each((name, value) => all.push([name, [value]]));
    return all.values();
  }
}

/** Calls `visit` for every header and value of ours or of nats.js' class. */
export function eachHeader(h: HeaderReader, visit: (name: string, value: string) => void): void {
  if (h instanceof WireHeaders) return h.each(visit);
  for (const [name, values] of h) for (const value of values) visit(name, value);
}

/** Text that was read one character a byte; ASCII is what it is. */
function utf8(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the ASCII range is what is meant
  return /^[\x00-\x7f]*$/.test(value) ? value : Buffer.from(value, "latin1").toString();
}

/** New headers to write to. Publishing, get() and iterating are what they can do. */
export function wireHeaders(): MsgHdrs {
  return new WireHeaders() as unknown as MsgHdrs;
}

/** Headers that begin as these do; what is appended to one of them is not in the other. @param headers made by {@link wireHeaders} */
export function copyHeaders(headers: MsgHdrs): MsgHdrs {
  return new WireHeaders((headers as unknown as WireHeaders).text) as unknown as MsgHdrs;
}

/** A test for messages whose first header has this name. Most others cost it one comparison. */
export function firstHeaderIs(name: string): (msg: Pick<Msg, "headers">) => boolean {
  const start = Buffer.from(`${START}${END}${name}:`);
  // names share beginnings and lengths more often than their last letter
  const markAt = start.length - 2;
  return (msg) => {
    const { _msg, _rdata } = msg as RawMsg;
    if (_msg === undefined || _rdata === undefined) return (msg.headers?.get(name) ?? "") !== "";
    if (_msg.hdr < start.length || _rdata[markAt] !== start[markAt]) return false;
    return start.equals(_rdata.subarray(0, start.length));
  };
}

/** A message of nats.js, with the raw bytes that its getters decode. */
interface RawMsg {
  readonly _msg?: { readonly hdr: number };
  readonly _rdata?: Uint8Array;
}

/** The headers of a message; undefined when it has none. */
export function headersOf(msg: Pick<Msg, "headers">): HeaderReader | undefined {
  const { _msg, _rdata } = msg as RawMsg;
  if (_msg === undefined || _rdata === undefined) return msg.headers;
  if (_msg.hdr <= 0) return undefined;
  return new WireHeaders(Buffer.from(_rdata.buffer, _rdata.byteOffset, _msg.hdr).toString("latin1"));
}

/** Headers that were read elsewhere. @param bytes as on the wire */
export function readHeaders(bytes: Uint8Array): HeaderReader {
  return new WireHeaders(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1"));
}

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
    const { stream, seq } = parseJson(Buffer.from(data).toString()) as { stream?: unknown; seq?: unknown };
    return typeof stream === "string" && typeof seq === "number" ? stream : undefined;
  } catch {
    return undefined;
  }
}
