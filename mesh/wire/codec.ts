/**
 * Codecs: how a value becomes a payload and a payload a value.
 *
 * The mesh carries opaque bytes; a codec is a matter between a handler and its
 * callers. The default is JSON.
 */
import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { PoolError } from "../errors.js";

/** Turns values into bytes and back. */
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

/** JSON; `undefined` is the empty payload and the other way round. */
export const json: Codec<unknown> = {
  name: "json",
  encode: (value) => {
    if (value === undefined) return EMPTY;
    const text = guard("json", () => JSON.stringify(value));
    if (text === undefined) throw refuse("the value has no JSON form");
    return encoder.encode(text);
  },
  decode: (payload) => {
    if (payload.length === 0) return undefined;
    return guard("json", () => JSON.parse(decoder.decode(payload)));
  },
};

/** UTF-8 text. */
export const text: Codec<string> = {
  name: "text",
  encode: (value) => encoder.encode(String(value ?? "")),
  decode: (payload) => guard("text", () => decoder.decode(payload)),
};

/** The bytes themselves. A string is encoded as UTF-8, for convenience. */
export const bytes: Codec<Uint8Array> = {
  name: "bytes",
  encode: (value: Uint8Array | string | undefined) => {
    if (value === undefined) return EMPTY;
    if (value instanceof Uint8Array) return value;
    if (typeof value === "string") return encoder.encode(value);
    throw refuse("use a Uint8Array");
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
    encode: (value) => guard("protobuf", () => toBinary(schema, value as MessageShape<DescMessage>)),
    decode: (payload) => guard("protobuf", () => fromBinary(input, payload)),
  };
}

/** The codecs that have a name on the command line. */
export const CODECS = { json, text, bytes } as const;
export type CodecName = keyof typeof CODECS;

function guard<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw refuse(`not valid ${name}`, error);
  }
}

function refuse(why: string, cause?: unknown): PoolError {
  return new PoolError("invalid_argument", `payload: ${why}`, { field: "payload", cause });
}
