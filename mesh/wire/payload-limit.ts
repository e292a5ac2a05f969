/**
 * What the broker takes in one message beside our headers.
 *
 * A broker that comes back may take less than the one before; so this is asked
 * when a job or a result leaves, and not only when it comes.
 */

import { PoolError } from "../errors.js";
import { HEADER_RESERVE_BYTES } from "./headers.js";

/** Headers that count besides ours. */
export interface Trace {
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
}

/** The largest payload of a job without trace headers, and the largest result, in bytes. */
export function payloadLimit(bus: { readonly maxPayloadBytes: number }): number {
  return bus.maxPayloadBytes - HEADER_RESERVE_BYTES;
}

/** `payload_too_large` for a job that the broker does not take, else undefined. */
export function jobRefusal(
  payload: Uint8Array,
  { traceparent = "", tracestate = "" }: Trace,
  limit: number,
  maybeExecuted = false,
): PoolError | undefined {
  const left = limit - traceparent.length - tracestate.length;
  if (payload.length <= left) return undefined;
  const message = `payload: ${payload.length} bytes, the broker takes ${Math.max(0, left)}`;
  return new PoolError("payload_too_large", message, { field: "payload", maybeExecuted });
}

/** `payload_too_large` for a result that the broker does not take, else undefined. */
export function resultRefusal(payload: Uint8Array, limit: number): PoolError | undefined {
  if (payload.length <= limit) return undefined;
  const message = `the result has ${payload.length} bytes; the broker takes at most ${limit}`;
  return new PoolError("payload_too_large", message, { field: "result", maybeExecuted: true });
}
