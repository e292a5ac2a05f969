/**
 * Results that are in the object store, at a client: read whole, or refused by a client that does not read from there.
 */
import { PoolError, toPoolError } from "../../mesh/errors.js";
import { JobResult, type Outcome } from "../../mesh/job/job.js";
import type { LargePayloads } from "../../mesh/objects/large-payloads.js";
import type { ObjectStore } from "../../mesh/objects/object-store.js";
import { decodeReference, isObjectOf } from "../../mesh/objects/reference.js";
import { isReference } from "../../mesh/wire/payloads.js";

/** What reading works with. */
export interface ResultReads {
  readonly store: ObjectStore;
  readonly large: LargePayloads;
  readonly pool: string;
}

/** Whether the result of an outcome is in the object store. */
export function isStored(outcome: Outcome): outcome is Outcome & { readonly ok: true } {
  return outcome.ok && isReference(outcome.result.payload);
}

/** What a client without `largePayloads` hears of a result that is in the object store. */
export function refuseStored(outcome: Outcome): Outcome {
  if (!isStored(outcome)) return outcome;
  const message = "the result is in the object store: say largePayloads (--large-payloads) to read it";
  const error = new PoolError("payload_too_large", message, {
    field: "result",
    jobCode: "result.stored",
    maybeExecuted: true,
  });
  return failed(outcome, error);
}

/**
 * The outcome with its result whole. Never rejects: a result that cannot be read is an error with `maybeExecuted`.
 *
 * @param signal gives up; its reason is the error then
 */
export async function readStored(
  { store, large, pool }: ResultReads,
  outcome: Outcome,
  signal?: AbortSignal,
): Promise<Outcome> {
  if (!isStored(outcome)) return outcome;
  const { id, payload, worker, attempt, waitMs, totalMs } = outcome.result;
  try {
    const reference = decodeReference(payload);
    const { bucket, name, size } = reference;
    if (bucket !== large.results.name || !isObjectOf(reference, pool, id)) {
      throw unread("foreign", "is no object of this job");
    }
    if (size > large.maxBytes) throw tooLarge(size, large.maxBytes);
    const read = await untilAborted(store.get(reference, signal), signal);
    if (read.kind !== "whole") {
      throw unread(
        read.kind,
        read.kind === "missing" ? `is not kept any more: ${bucket}/${name}` : "is not what was sent",
      );
    }
    return { ok: true, id, result: new JobResult(id, read.bytes, worker, attempt, waitMs, totalMs) };
  } catch (thrown) {
    return failed(outcome, toPoolError(thrown));
  }
}

/** The value of a step, or the reason of the signal as soon as it fires. What the step throws after that is not heard. */
export function untilAborted<T>(step: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return step;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort);
    step.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function failed(
  { id, result: { worker, attempt, waitMs } }: Outcome & { readonly ok: true },
  error: PoolError,
): Outcome {
  return { ok: false, id, error, worker, attempt, waitMs };
}

function unread(code: string, why: string): PoolError {
  const options = { field: "result", jobCode: `result.${code}`, maybeExecuted: true };
  return new PoolError("not_found", `the result ${why}`, options);
}

function tooLarge(size: number, most: number): PoolError {
  const message = `the result has ${size} bytes; this client takes at most ${most}`;
  return new PoolError("payload_too_large", message, { field: "result", maybeExecuted: true });
}
