/**
 * Deletes the payload that a durable job has in the object store, once nobody needs it any more.
 *
 * Decided here: only an object that is named for this job goes, whatever a job's payload says. What cannot be deleted now
 * goes by its age. Dead letters keep theirs, so that they can be run again.
 */
import type { Stored } from "../durable/store.js";
import { HEADER } from "../wire/headers.js";
import { isReference } from "../wire/payloads.js";
import { isBucketOf } from "./large-payloads.js";
import { deleteObject, type ObjectDeletion } from "./object-store.js";
import { decodeReference, isObjectOf } from "./reference.js";

/** Whose payload it is. */
export interface StoredPayload {
  readonly id: string;
  readonly payload: Uint8Array;
}

/** Deletes the object in the background. @param store of the lane */
export function forgetPayload(store: ObjectDeletion, pool: string, { id, payload }: StoredPayload): void {
  if (!isReference(payload)) return;
  try {
    const reference = decodeReference(payload);
    if (!isBucketOf(reference.bucket, "enqueued") || !isObjectOf(reference, pool, id)) return;
    void deleteObject(store, reference).catch(() => {});
  } catch {
    // No object is named.
  }
}

/** Whether a stored outcome is a result: then no dead letter needs the payload. */
export function isResult(stored: Pick<Stored, "headers">): boolean {
  return stored.headers?.get(HEADER.reply) === "result";
}
