/** Whether a value is bytes that can be read. Pure. */
import { types } from "node:util";
import { PoolError } from "../errors.js";

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
