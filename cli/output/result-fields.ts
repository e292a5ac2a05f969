/** A result's bytes as fields of a JSON line. Pure. */

import type { PoolError } from "../../mesh/errors.js";
import { bytes, CODECS, type CodecName, json, text } from "../../mesh/wire/codec.js";

/** "auto": JSON when it is JSON, else text, else base64. */
export type ResultForm = CodecName | "auto";

/** What may be said with --codec. */
export const RESULT_FORMS: readonly ResultForm[] = ["auto", ...(Object.keys(CODECS) as CodecName[])];

/** `{result}` or `{resultBase64}`. A payload that does not fit the form asked for is given as the next one. */
export function resultFields(payload: Uint8Array, form: ResultForm): Record<string, unknown> {
  if (form === "auto" || form === "json") {
    const value = attempt(() => json.decode(payload));
    if (value !== undefined) return { result: value };
    if (payload.length === 0) return { result: form === "json" ? null : "" };
  }
  if (form !== "bytes") {
    const value = attempt(() => text.decode(payload));
    if (value !== undefined) return { result: value };
  }
  return { resultBase64: Buffer.from(bytes.decode(payload)).toString("base64") };
}

/** An error as a JSON value: what it carries, without what it does not. */
export function errorFields(error: PoolError): Record<string, unknown> {
  const { reason, message, retryable, retryAfterMs, maybeExecuted, field, jobCode } = error;
  return {
    reason,
    ...(jobCode === undefined ? {} : { code: jobCode }),
    message,
    retryable,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(maybeExecuted ? { maybeExecuted } : {}),
    ...(field === undefined ? {} : { field }),
  };
}

/** Milliseconds as a number with at most two decimals. */
export function roundMs(ms: number): number {
  return Math.round(ms * 100) / 100;
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
