/**
 * Codecs: how a value becomes a payload and a payload a value.
 *
 * The mesh carries opaque bytes; a codec is a matter between a handler and its
 * callers. The default is JSON. A value that a codec cannot hold is refused, and
 * the message says why; it is never sent as something else. At the end of
 * this file: which bytes can be read. What JSON would lose: json-form.ts.
 */
import { types } from "node:util";
import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { PoolError } from "../errors.js";
import { isA } from "../thrown.js";
import { jsonLoss, jsonObstacle } from "./json-form.js";

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
    if (isWhole(value)) return encoder.encode(JSON.stringify(value));
    const text = encoding("json", () => written(value));
    const loss = encoding("json", () => jsonLoss(value));
    if (loss !== undefined) throw refuse(loss);
    if (text === undefined) throw refuse("the value has no JSON form: return something else, or nothing");
    return encoder.encode(text);
  },
  decode: (payload) => {
    if (payload.length === 0) return undefined;
    return parsed(decoding("json", () => decoder.decode(payload)));
  },
};

/** Whether nothing of a value can be lost in JSON, so that nothing has to look for it. */
function isWhole(value: unknown): boolean {
  return ["string", "boolean"].includes(typeof value) || Number.isFinite(value);
}

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
    if (isBytes(value)) return requireReadable(value);
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

/**
 * Runs a codec on what is no payload of a job. What it refuses is named after that: "progress: a Map has no JSON form …".
 *
 * @throws PoolError with `what` as its field, and whatever a codec of one's own throws
 */
export function codingOf<T>(what: "progress" | "result", work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (!isA(thrown, PoolError) || thrown.field !== "payload") throw thrown;
    const { reason, message, cause } = thrown;
    throw new PoolError(reason, message.replace(/^payload\b/, what), { field: what, cause });
  }
}

/** @throws PoolError that names the place, for what JSON itself does not take; else what the value's own code throws */
function written(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (error) {
    const why = jsonObstacle(value) ?? (isTooDeep(error) ? TOO_DEEP : undefined);
    throw why === undefined ? error : refuse(why);
  }
}

const TOO_DEEP = "the value is nested too deeply for JSON: make it flatter";

function isTooDeep(error: unknown): boolean {
  return isA(error, RangeError) && /call stack/.test(reasonOf(error));
}

/** A refusal says why, in the words of who could not encode the value. */
function encoding<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (isA(error, PoolError) && error.field === "payload") throw error;
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

/**
 * A JSON text as a value. The only place that parses JSON: the parser's own error quotes the text, which may be a payload
 * or a secret. This one tells only the place, where the parser gives one.
 *
 * @throws SyntaxError such as "not valid json at position 3"
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new SyntaxError(`not valid json${/ at position \d+/.exec(reasonOf(error))?.[0] ?? ""}`);
  }
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    throw refuse(reasonOf(error));
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

/** Of the language itself: bytes may have a `length` of their own. */
const byteLength = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), "byteLength")?.get as (
  this: Uint8Array,
) => number;
const { values } = Uint8Array.prototype;

/** Whether a value is a Uint8Array. A Proxy of one is none, and neither is an object that only inherits from its prototype. */
export function isBytes(value: unknown): value is Uint8Array {
  return types.isUint8Array(value);
}

/**
 * Bytes that can be read. Those whose memory was transferred to another thread look empty and are refused.
 *
 * @throws PoolError `invalid_argument`, field "payload"
 */
export function requireReadable(bytes: Uint8Array): Uint8Array {
  if (byteLength.call(bytes) > 0) return bytes;
  try {
    values.call(bytes);
    return bytes;
  } catch {
    const message = "payload: the memory of the bytes is detached: it was transferred to another thread; use a copy";
    throw new PoolError("invalid_argument", message, { field: "payload" });
  }
}

/** The payload of a job that a caller hands in. @throws PoolError `invalid_argument`, field "payload" */
export function checkPayload(payload: unknown): Uint8Array {
  if (isBytes(payload)) return requireReadable(payload);
  throw new PoolError("invalid_argument", "payload: use a Uint8Array or a string", { field: "payload" });
}
