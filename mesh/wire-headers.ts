/**
 * NATS headers on the hot path: written once as text, read by search.
 *
 * nats.js' own class keeps a map of arrays and canonicalizes every name; that
 * took a quarter of the time of an empty job (see docs/adr). This one has what
 * the mesh uses. What it reads is checked against nats.js' class by a test.
 */
import type { Msg, MsgHdrs } from "nats";
import { PoolError } from "./errors.js";

const START = "NATS/1.0";
const END = "\r\n";

/** What reading needs of headers; nats.js' own have it too. */
export interface HeaderReader {
  /** The first value under this exact name; "" when there is none. */
  get(name: string): string;
  /** The status code of the first line, 0 without one. */
  readonly code: number;
}

/** Headers as one text: `NATS/1.0\r\nName: value\r\n…`. */
class WireHeaders implements HeaderReader {
  #text: string;

  constructor(text = START + END) {
    this.#text = text;
  }

  /** @throws PoolError `invalid_argument` for a line break in a value */
  append(name: string, value: string): void {
    if (value.includes("\n") || value.includes("\r")) {
      throw new PoolError("invalid_argument", `header ${name}: a line break is not allowed`, { field: name });
    }
    this.#text += `${name}: ${value}${END}`;
  }

  get(name: string): string {
    const key = `${END}${name}:`;
    const at = this.#text.indexOf(key);
    if (at === -1) return "";
    const from = at + key.length;
    const to = this.#text.indexOf(END, from);
    return this.#text.slice(from, to === -1 ? undefined : to).trim();
  }

  get code(): number {
    return this.#text.startsWith(END, START.length) ? 0 : Number.parseInt(this.#text.slice(START.length), 10) || 0;
  }

  /** The bytes on the wire. nats.js calls it when it publishes. */
  encode(): Uint8Array {
    return Buffer.from(this.#text + END);
  }

  /** Names and values, as nats.js' class gives them. */
  *[Symbol.iterator](): Generator<[string, string[]]> {
    for (const line of this.#text.split(END).slice(1)) {
      const colon = line.indexOf(":");
      if (colon > 0) yield [line.slice(0, colon), [line.slice(colon + 1).trim()]];
    }
  }
}

/** New headers to write to. Publishing, get() and iterating are what they can do. */
export function wireHeaders(): MsgHdrs {
  return new WireHeaders() as unknown as MsgHdrs;
}

/** A message of nats.js, with the raw bytes that its getters decode. */
interface RawMsg {
  readonly _msg?: { readonly hdr: number };
  readonly _rdata?: Uint8Array;
}

/** The headers of a message; undefined when it has none. */
export function headersOf(msg: Pick<Msg, "headers">): (HeaderReader & Iterable<[string, string[]]>) | undefined {
  const { _msg, _rdata } = msg as RawMsg;
  if (_msg === undefined || _rdata === undefined) return msg.headers;
  if (_msg.hdr <= 0) return undefined;
  const { buffer, byteOffset } = _rdata;
  return new WireHeaders(Buffer.from(buffer, byteOffset, _msg.hdr).toString());
}
