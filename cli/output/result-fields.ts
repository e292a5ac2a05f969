/** Payloads and errors as fields of a JSON line. Pure. */

import type { PoolError } from "../../mesh/errors.js";
import { CODECS, type CodecName } from "../../mesh/job/codec.js";
import { isJson, JsonText, oneLineJson, utf8Text } from "./json-text.js";

/** "auto": JSON when it is JSON, else text, else base64. */
export type ResultForm = CodecName | "auto";

/** What may be said with --codec. */
export const RESULT_FORMS: readonly ResultForm[] = ["auto", ...(Object.keys(CODECS) as CodecName[])];

/**
 * `{result}` or `{resultBase64}`. JSON keeps its own text: numbers, the order of
 * keys and keys that stand twice are as the handler wrote them. A payload that
 * does not fit the form asked for is given as the next one.
 */
export function resultFields(payload: Uint8Array, form: ResultForm): Record<string, unknown> {
  if (payload.length === 0 && form !== "bytes") return { result: form === "json" ? null : "" };
  const text = form === "bytes" ? undefined : utf8Text(payload);
  if (text === undefined) return { resultBase64: toBase64(payload) };
  const isValue = form !== "text" && isJson(text);
  return { result: isValue ? new JsonText(oneLineJson(text)) : text };
}

/** `{input}`, or `{inputBase64}` for bytes that are not UTF-8. */
export function inputFields(payload: Uint8Array): Record<string, unknown> {
  const text = utf8Text(payload);
  return text === undefined ? { inputBase64: toBase64(payload) } : { input: text };
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

function toBase64(payload: Uint8Array): string {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString("base64");
}
