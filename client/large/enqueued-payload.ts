/**
 * The payload of a durable job in the object store.
 *
 * Decided here: a job whose caller chose the id has an object of that name and content, so that to enqueue it again in
 * doubt is the same job. Who deletes it: the client when the job was not stored, else the manager when it has its outcome.
 */
import { PoolError } from "../../mesh/errors.js";
import type { Bus } from "../../mesh/link/bus.js";
import { checkSize, type LargePayloads } from "../../mesh/objects/large-payloads.js";
import { digestOf, type ObjectStore } from "../../mesh/objects/object-store.js";
import { encodeReference, objectName } from "../../mesh/objects/reference.js";

/** Which job, and how large payloads are kept. */
export interface EnqueuedPayloadParts {
  readonly bus: Bus;
  readonly store: ObjectStore;
  readonly large: LargePayloads;
  readonly pool: string;
  readonly id: string;
  /** Its caller chose the id, and does not ask to run it over a kept outcome. */
  readonly isNamed: boolean;
  /** When it may run, milliseconds from now; 0 for at once. */
  readonly dueInMs: number;
}

/** A payload that is kept, and what travels in its place. */
export interface EnqueuedPayload {
  readonly reference: Uint8Array;
  /** The job was stored: the object must be there, also when an earlier job of the id has just ended. */
  readonly confirm: () => Promise<void>;
  /** The job was not stored. */
  readonly undo: () => void;
}

/** Puts the payload into the store. @throws PoolError `payload_too_large`, `invalid_argument`, `pool_full`, `bus_unavailable` */
export async function keepEnqueued(parts: EnqueuedPayloadParts, payload: Uint8Array): Promise<EnqueuedPayload> {
  const { bus, store, large, pool, id, isNamed, dueInMs } = parts;
  checkSize(payload, large);
  if (dueInMs >= large.enqueued.ttlMs) {
    const message = "runAt: a payload in the object store is not kept so long; see largePayloads.enqueuedTtlMs";
    throw new PoolError("invalid_argument", message, { field: "runAt" });
  }
  const digest = await digestOf(payload);
  const own = isNamed ? digest.slice("SHA-256=".length) : `${bus.runtime.newId()}${bus.runtime.newSecret()}`;
  const object = { bucket: large.enqueued.name, name: objectName(pool, id, own), size: payload.length, digest };
  const wasThere = isNamed && (await store.has(object));
  if (!wasThere) await store.put(large.enqueued, object, payload);
  return {
    reference: encodeReference(object),
    confirm: async () => {
      if (wasThere && !(await store.has(object))) await store.put(large.enqueued, object, payload);
    },
    undo: () => {
      if (!wasThere) store.delete(object).catch(() => {});
    },
  };
}
