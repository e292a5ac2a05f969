/**
 * How what a handler was given, returned or threw becomes an ending.
 *
 * Decided here: whatever the value is, it ends its own job and nothing else.
 * A codec is the user's code too, so what it gives is checked.
 */
import { types } from "node:util";
import { PoolError, safeMessage } from "../../../mesh/errors.js";
import type { Codec } from "../../../mesh/job/codec.js";
import type { Ending, Failure } from "./runner.js";
import { readThrown, type Thrown } from "./thrown.js";

/** What a handler returned, as an ending. */
export function success(value: unknown, output: Codec): Ending {
  try {
    return { ok: true, payload: encodeWith(output, value) };
  } catch (thrown) {
    const read = readThrown(thrown);
    const why = safeMessage(read.message.replace(/^payload: /, "")) || "not encodable";
    return failed("job_failed", `result: ${why}`, { ...read, code: undefined });
  }
}

/** What a handler threw, as an ending: `job_rejected` for a PermanentError, else `job_failed`. */
export function failure(thrown: unknown): Failure {
  const read = readThrown(thrown);
  const reason = read.permanent ? "job_rejected" : "job_failed";
  return failed(reason, safeMessage(read.message) || "the handler failed", read);
}

/** What the input codec threw, as an ending: the payload is refused. */
export function payloadRefusal(thrown: unknown): Failure {
  const read = readThrown(thrown);
  const why = safeMessage(read.message.replace(/^payload: /, "")) || "the codec refuses it";
  const error = new PoolError("invalid_argument", `payload: ${why}`, { field: "payload" });
  return { ok: false, error, thrown: read };
}

/**
 * A value through a codec.
 *
 * @throws PoolError `invalid_argument`, field "payload", and whatever the codec throws
 */
export function encodeWith(codec: Codec, value: unknown): Uint8Array {
  const encoded: unknown = codec.encode(value);
  if (types.isUint8Array(encoded)) return asPlainBytes(encoded);
  leaveAlone(encoded);
  const what = types.isPromise(encoded) ? "a promise: it must be synchronous" : "no Uint8Array";
  throw new PoolError("invalid_argument", `payload: the codec's encode gave ${what}`, { field: "payload" });
}

/**
 * A payload through a codec.
 *
 * @throws whatever the codec throws
 */
export function decodeWith(codec: Codec, payload: Uint8Array): unknown {
  const decoded = codec.decode(payload);
  // one that a handler does not await must not end the process
  leaveAlone(decoded);
  return decoded;
}

function failed(reason: "job_failed" | "job_rejected", message: string, thrown: Thrown): Failure {
  const options = thrown.code === undefined ? {} : { jobCode: thrown.code };
  return { ok: false, error: new PoolError(reason, message, options), thrown };
}

/** A subclass, or bytes of another realm, may have a `length` of its own: they are copied. */
function asPlainBytes(bytes: Uint8Array): Uint8Array {
  const prototype: unknown = Object.getPrototypeOf(bytes);
  return prototype === Buffer.prototype || prototype === Uint8Array.prototype ? bytes : new Uint8Array(bytes);
}

/** A promise that nobody awaits and that rejects would end the process. */
function leaveAlone(value: unknown): void {
  if (types.isPromise(value)) Promise.prototype.then.call(value, undefined, () => undefined);
}
