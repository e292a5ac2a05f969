/**
 * Codecs: how a value becomes a payload and a payload a value.
 *
 * The mesh carries opaque bytes; a codec is a matter between a handler and its
 * callers. The default is JSON. A value that a codec cannot hold is refused, and
 * the message says why; it is never sent as something else.
 */
import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { PoolError } from "../errors.js";
import { jsonLoss } from "./json-loss.js";

/** Turns values into bytes and back. Both directions are synchronous. */
export interface Codec<T = unknown> {
  readonly name: string;
  /** @throws PoolError `invalid_argument`, field "payload" */
  encode(value: T): Uint8Array;
  /** @throws PoolError `invalid_argument`, field "payload" */
  decode(payload: Uint8Array): T;
}

const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** JSON; `undefined` is the empty payload and the other way round. A value that JSON would lose (a Map, NaN, …) is refused. */
export const json: Codec<unknown> = {
  name: "json",
  encode: (value) => {
    if (value === undefined) return EMPTY;
    const text = encoding("json", () => JSON.stringify(value));
    const loss = encoding("json", () => jsonLoss(value));
    if (loss !== undefined) throw refuse(loss);
    if (text === undefined) throw refuse("the value has no JSON form: return something else, or nothing");
    return encoder.encode(text);
  },
  decode: (payload) => {
    if (payload.length === 0) return undefined;
    return decoding("json", () => JSON.parse(decoder.decode(payload)));
  },
};

/** UTF-8 text. Numbers, bigints and booleans become text, nothing becomes the empty payload; objects are refused. */
export const text: Codec<string> = {
  name: "text",
  encode: (value: unknown) => {
    if (value === undefined || value === null) return EMPTY;
    if (!["string", "number", "bigint", "boolean"].includes(typeof value)) {
      throw refuse(`${kindOf(value)} is no text: return a string, or use codec "json" or "bytes"`);
    }
    const written = String(value);
    if (/\p{Surrogate}/u.test(written)) throw refuse('the text has half a character: use codec "json" or "bytes"');
    return encoder.encode(written);
  },
  decode: (payload) => decoding("text", () => decoder.decode(payload)),
};

/** The bytes themselves. A string is encoded as UTF-8, for convenience. */
export const bytes: Codec<Uint8Array> = {
  name: "bytes",
  encode: (value: unknown) => {
    if (value === undefined) return EMPTY;
    if (isBytes(value)) return value;
    if (typeof value === "string") return encoder.encode(value);
    throw refuse(`${kindOf(value)} is no bytes: use a Uint8Array or a string, or codec "json"`);
  },
  decode: (payload) => payload,
};

/** Protobuf messages: `input` is what the handler gets, `output` (default: the same) what it returns. */
export function protobuf<I extends DescMessage, O extends DescMessage = I>(
  input: I,
  output?: O,
): Codec<MessageShape<I> | MessageShape<O>> {
  const schema = (output ?? input) as DescMessage;
  return {
    name: `protobuf:${input.typeName}`,
    encode: (value) => encoding("protobuf", () => toBinary(schema, value as MessageShape<DescMessage>)),
    decode: (payload) => decoding("protobuf", () => fromBinary(input, payload)),
  };
}

/** The codecs that have a name on the command line. */
export const CODECS = { json, text, bytes } as const;
export type CodecName = keyof typeof CODECS;

function isBytes(value: unknown): value is Uint8Array {
  try {
    return value instanceof Uint8Array;
  } catch {
    return false;
  }
}

/** A refusal says why, in the words of who could not encode the value. */
function encoding<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const why = reasonOf(error);
    throw refuse(why === "" ? `not valid ${name}` : `not valid ${name}: ${why}`, error);
  }
}

/** A refusal does not say why: a parser's message quotes the payload. */
function decoding<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw refuse(`not valid ${name}`, error);
  }
}

/** The first line of an error's message; "" when it has none that can be read. */
function reasonOf(error: unknown): string {
  try {
    const { message } = error as { message?: unknown };
    return typeof message === "string" ? (message.split("\n", 1)[0] ?? "") : "";
  } catch {
    return "";
  }
}

function kindOf(value: unknown): string {
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

function refuse(why: string, cause?: unknown): PoolError {
  return new PoolError("invalid_argument", `payload: ${why}`, { field: "payload", cause });
}
