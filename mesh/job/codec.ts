/**
 * Codecs: how a value becomes a payload and a payload a value.
 *
 * The mesh carries opaque bytes; a codec is a matter between a handler and its
 * callers. The default is JSON. A value that a codec cannot hold is refused, and
 * the message says why; it is never sent as something else. At the end of
 * this file: which bytes can be read, and what JSON would lose without a word.
 */
import { types } from "node:util";
import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { PoolError } from "../errors.js";
import { isA } from "../thrown.js";

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
    const why = jsonObstacle(value, error);
    throw why === undefined ? error : refuse(why);
  }
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

// What `JSON.stringify` would lose without a word: a Map becomes `{}`, NaN becomes null, a function goes.
// Two things are taken as everybody expects them: a member that is undefined is left out, and undefined in an array is null.

const TEXT_OR_BYTES = 'read it first, or return bytes with codec "bytes"';
const BYTES = 'use codec "bytes"';
const AWAIT = "await it";
const FINITE = "use null or a string";
const OWN_CODEC = "use a codec of your own";
const PLAIN = `make it an array or a plain object, or ${OWN_CODEC}`;
const LEAVE_OUT = `leave it out, or ${OWN_CODEC}`;

/** By Object.prototype.toString: what to do with what has no JSON form. */
const ADVICE: Readonly<Record<string, string>> = {
  Map: PLAIN,
  Set: PLAIN,
  WeakMap: PLAIN,
  WeakSet: PLAIN,
  Error: "throw it, or return its message",
  Promise: AWAIT,
  ArrayBuffer: BYTES,
  SharedArrayBuffer: BYTES,
  DataView: BYTES,
  Blob: TEXT_OR_BYTES,
  Response: TEXT_OR_BYTES,
  Request: TEXT_OR_BYTES,
  ReadableStream: TEXT_OR_BYTES,
};

/** Objects that JSON takes for the value inside. */
const BOXES: ReadonlySet<string> = new Set(["Number", "String", "Boolean"]);

/** Why a value has no JSON form, such as "a Map at .rows[2] has no JSON form: …"; undefined when nothing is lost. */
export function jsonLoss(value: unknown): string | undefined {
  // bytes as the whole value are meant as bytes, even where they have a toJSON
  if (ArrayBuffer.isView(value)) return `${withArticle(value)} has no JSON form: ${BYTES}`;
  const lost = isObject(value) ? firstLoss(value, hasOwnForm(value)) : lossOfPrimitive(value);
  if (lost === undefined) return undefined;
  const where = pathTo(value, lost.culprit);
  return `${lost.what}${where === "" ? "" : ` at ${where}`} has no JSON form: ${lost.advice}`;
}

/** Why `JSON.stringify` threw: a BigInt, a circle, or too deep a value; undefined: the value's own code threw. */
function jsonObstacle(value: unknown, error: unknown): string | undefined {
  // the objects around the member that is looked at, and the way to them
  const around: unknown[] = [];
  const steps: string[] = [];
  let found: string | undefined;
  const look = function (this: unknown, key: string, member: unknown): unknown {
    while (around.length > 0 && around.at(-1) !== this) {
      around.pop();
      steps.pop();
    }
    const step = around.length === 0 ? "" : Array.isArray(this) ? `[${key}]` : stepTo(key.slice(0, 64));
    const [what, advice] = obstacle(member, around);
    if (what !== undefined) {
      const where = steps.join("") + step;
      found = `${what}${where === "" ? "" : ` at ${where}`} has no JSON form: ${advice}`;
      throw error;
    }
    if (!isObject(member)) return member;
    around.push(member);
    steps.push(step);
    return member;
  };
  try {
    JSON.stringify(value, look);
  } catch {
    // found, or it throws as before
  }
  if (found !== undefined || !isA(error, RangeError) || !/call stack/.test(reasonOf(error))) return found;
  return "the value is nested too deeply for JSON: make it flatter";
}

function obstacle(member: unknown, around: readonly unknown[]): readonly [what?: string, advice?: string] {
  if (typeof member === "bigint" || (isObject(member) && tagOf(member) === "BigInt"))
    return ["a BigInt", "make it a string"];
  return isObject(member) && around.includes(member) ? ["a circle", "leave it out"] : [];
}

interface Loss {
  readonly culprit: unknown;
  readonly what: string;
  readonly advice: string;
}

/**
 * Walks without recursion: what JSON.stringify took is finite, but may be deep.
 *
 * @param byItself whether the toJSON of `root` counts; those of the objects inside always do
 */
function firstLoss(root: object, byItself: boolean): Loss | undefined {
  if (byItself) return lossOfForm(root);
  const open: object[] = [root];
  for (let each = open.pop(); each !== undefined; each = open.pop()) {
    const isArray = Array.isArray(each);
    const loss = isArray ? undefined : lossOfObject(each);
    if (loss !== undefined) return loss;
    for (const inner of isArray ? (each as unknown[]) : Object.values(each)) {
      if (!isObject(inner)) {
        const lost = lossOfPrimitive(inner);
        // JSON takes an object's own toJSON for no member
        if (lost !== undefined && !(hasOwnForm(each) && inner === (each as { toJSON: unknown }).toJSON)) return lost;
      } else if (hasOwnForm(inner)) {
        const lost = lossOfForm(inner);
        if (lost !== undefined) return lost;
      } else open.push(inner);
    }
  }
  return undefined;
}

/** What is lost of what an object's own toJSON gives. */
function lossOfForm(value: object): Loss | undefined {
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? lossOf(value, "an invalid date", "check it first") : undefined;
  }
  if (ArrayBuffer.isView(value)) return undefined;
  const form: unknown = (value as { toJSON(key: string): unknown }).toJSON("");
  // what toJSON gives is taken as it is: its own toJSON is not asked
  const lost = isObject(form) ? firstLoss(form, false) : lossOfPrimitive(form);
  return lost && lossOf(value, `${lost.what} that toJSON gives`, lost.advice);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function hasOwnForm(value: object): boolean {
  return typeof (value as { toJSON?: unknown }).toJSON === "function";
}

function lossOf(culprit: unknown, what: string, advice: string): Loss {
  return { culprit, what, advice };
}

function lossOfPrimitive(value: unknown): Loss | undefined {
  switch (typeof value) {
    case "number":
      return Number.isFinite(value) ? undefined : lossOf(value, String(value), FINITE);
    case "symbol":
      return lossOf(value, "a symbol", LEAVE_OUT);
    case "function":
      return hasOwnForm(value) ? undefined : lossOf(value, "a function", LEAVE_OUT);
    default:
      return undefined;
  }
}

function lossOfObject(value: object): Loss | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = prototype === Object.prototype || prototype === null;
  if (isPlain) return isThenable(value) ? lossOf(value, "a promise", AWAIT) : undefined;
  // a plain object of another realm
  if (Object.getPrototypeOf(prototype) === null && tagOf(value) === "Object") return undefined;
  const advice = adviceFor(value);
  return advice === undefined ? undefined : lossOf(value, withArticle(value), advice);
}

function isThenable(value: object): boolean {
  return typeof (value as { then?: unknown }).then === "function";
}

function adviceFor(value: object): string | undefined {
  const tag = tagOf(value);
  const known = Object.hasOwn(ADVICE, tag) ? ADVICE[tag] : undefined;
  if (known !== undefined || value instanceof Error) return known ?? ADVICE.Error;
  if (ArrayBuffer.isView(value)) return BYTES;
  if (isThenable(value)) return AWAIT;
  const { pipe, getReader } = value as Record<string, unknown>;
  if (typeof pipe === "function" || typeof getReader === "function") return TEXT_OR_BYTES;
  if (tag === "Number" && !Number.isFinite(Number(value))) return FINITE;
  if (BOXES.has(tag)) return undefined;
  return Object.values(value).every(isLeftOut) ? PLAIN : undefined;
}

/** What JSON leaves out of an object. */
function isLeftOut(value: unknown): boolean {
  return value === undefined || typeof value === "function" || typeof value === "symbol";
}

/** Such as `.rows[2].when`; "" for the value itself, and where a getter gives another object each time. */
function pathTo(value: unknown, culprit: unknown): string {
  if (Object.is(value, culprit) || typeof value !== "object" || value === null || hasOwnForm(value)) return "";
  for (const [key, inner] of Object.entries(value)) {
    const step = Array.isArray(value) ? `[${key}]` : stepTo(key.slice(0, 64));
    if (Object.is(inner, culprit)) return step;
    const rest = pathTo(inner, culprit);
    if (rest !== "") return step + rest;
  }
  return "";
}

function stepTo(key: string): string {
  return /^[\p{L}\p{N}_$-]+$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

function withArticle(value: object): string {
  const own: unknown = (value as { constructor?: { name?: unknown } }).constructor?.name;
  const name = typeof own === "string" && /^[\w$]{1,64}$/.test(own) && own !== "Object" ? own : tagOf(value);
  return `${/^[aeio]/i.test(name) ? "an" : "a"} ${name}`;
}

function tagOf(value: object): string {
  return Object.prototype.toString.call(value).slice(8, -1);
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
