/**
 * What a stream answers to a publish, and what it means to who enqueues. Pure.
 *
 * JetStream has one error code for several refusals; the text tells them apart.
 * A text that is not known here is passed on, so that nothing is hidden.
 */

import { PoolError } from "../errors.js";
import { parseJson } from "../job/codec.js";
import { isNoResponders, type Reply } from "../wire/wire-headers.js";

/** How a publish ended. */
export type PublishAnswer =
  /** It is stored. @property duplicate a message with the same message id was stored before */
  | { readonly kind: "stored"; readonly sequence: number; readonly duplicate: boolean }
  | { readonly kind: "refused"; readonly code: number; readonly text: string }
  /** No stream takes this subject. */
  | { readonly kind: "absent" }
  /** No answer in time; it may be stored. */
  | { readonly kind: "silent" };

/** Codes of refusals. */
export const REFUSED = {
  /** The fence: another message of this subject was stored before. */
  wrongLastSequence: 10_071,
  /** A bound of the stream. */
  storeFailed: 10_077,
  tooLarge: 10_054,
  noSpace: 10_047,
  noSpaceCluster: 10_023,
  wrongStream: 10_060,
} as const;

/** Reads a stream's answer. */
export function readPublishAnswer(msg: Reply): PublishAnswer {
  if (isNoResponders(msg)) return { kind: "absent" };
  try {
    const { seq, duplicate, error } = parseJson(textOf(msg.data)) as {
      seq?: unknown;
      duplicate?: unknown;
      error?: { err_code?: unknown; description?: unknown };
    };
    if (error !== undefined) {
      return { kind: "refused", code: Number(error.err_code ?? 0), text: String(error.description ?? "") };
    }
    if (typeof seq === "number") return { kind: "stored", sequence: seq, duplicate: duplicate === true };
  } catch {
    // told below
  }
  return { kind: "refused", code: 0, text: "the answer is none of a stream" };
}

function textOf({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString();
}

/** Whether a live job has this id. */
export function isTaken(answer: PublishAnswer): boolean {
  return (
    answer.kind === "refused" &&
    answer.code === REFUSED.storeFailed &&
    /messages per subject exceeded/.test(answer.text)
  );
}

/** Whether the fence refused it. */
export function isFenced(answer: PublishAnswer): boolean {
  return answer.kind === "refused" && answer.code === REFUSED.wrongLastSequence;
}

/** When to ask a full pool again, in milliseconds. */
const FULL_RETRY_MS = 1_000;

/** Why a job was not enqueued. @param pool for the message */
export function enqueueRefusal(answer: Exclude<PublishAnswer, { kind: "stored" }>, pool: string): PoolError {
  if (answer.kind === "silent") {
    return new PoolError("bus_unavailable", "no answer from the stream; the job may be stored", {
      maybeExecuted: true,
      retryAfterMs: FULL_RETRY_MS,
    });
  }
  if (answer.kind === "absent") {
    const message = `pool ${pool} has no durable lane: no manager with --durable has heard of the pool; start one, start a worker of the pool, or name the pool in the manager's --pools`;
    return new PoolError("unknown_pool", message, { field: "pool", retryAfterMs: FULL_RETRY_MS });
  }
  const { code, text } = answer;
  if (isTaken(answer)) {
    return new PoolError("duplicate_job", "a job with this id is live and has another payload", { field: "job" });
  }
  if (code === REFUSED.storeFailed && /maximum (messages|bytes) exceeded/.test(text)) {
    return new PoolError("pool_full", `the stream holds as much as it may: ${text}`, { retryAfterMs: FULL_RETRY_MS });
  }
  if (code === REFUSED.tooLarge) return new PoolError("payload_too_large", `payload: ${text}`, { field: "payload" });
  if (code === REFUSED.noSpace || code === REFUSED.noSpaceCluster || /insufficient|no space/i.test(text)) {
    return new PoolError("bus_unavailable", `the broker has no storage left: ${text}`, { retryAfterMs: 5_000 });
  }
  const message = `the stream refused the job: ${text || "no reason given"} (${code})`;
  return new PoolError("bus_unavailable", message, { retryAfterMs: FULL_RETRY_MS });
}
