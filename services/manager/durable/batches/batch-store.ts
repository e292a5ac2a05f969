/**
 * Reads and writes what is kept of a batch.
 *
 * Decided here: a change is stored over the record that it was made of, which the stream checks. So nothing that another
 * manager has counted is lost.
 */
import { isFenced, type PublishAnswer } from "../../../../mesh/durable/answers.js";
import { type BatchRecord, decodeBatch, encodeBatch } from "../../../../mesh/durable/batches/batch-record.js";
import type { EnqueueParts } from "../../../../mesh/durable/enqueue.js";
import { NATS_HEADER } from "../../../../mesh/durable/names.js";
import { jobHeadersOf } from "../../../../mesh/durable/outcome.js";
import type { Stored } from "../../../../mesh/durable/store.js";
import { HEADER } from "../../../../mesh/wire/headers.js";
import type { HeaderReader } from "../../../../mesh/wire/wire-headers.js";

/** A batch as its stream has it. */
export interface StoredBatch {
  /** 0 for one that is not stored yet. */
  readonly sequence: number;
  /** Those of its completion job. */
  readonly headers: HeaderReader | undefined;
  readonly record: BatchRecord;
}

/** What became of a change. */
export type Written =
  | { readonly kind: "stored"; readonly batch: StoredBatch }
  /** Somebody else has changed it meanwhile. */
  | { readonly kind: "fenced" }
  | { readonly kind: "failed"; readonly answer: Exclude<PublishAnswer, { kind: "stored" }> };

const ACK_LIMIT_MS = 2_000;

/** Undefined when there is none. @throws PoolError `bus_unavailable` */
export async function findBatch(
  { names, store }: Pick<EnqueueParts, "names" | "store">,
  pool: string,
  id: string,
): Promise<StoredBatch | undefined> {
  return toBatch(await store.last(names.batchesStream, names.batch(pool, id)));
}

/** Undefined for a message that is no batch. */
export function toBatch(stored: Stored | undefined): StoredBatch | undefined {
  const record = stored && decodeBatch(stored.payload);
  return stored && record && { sequence: stored.sequence, headers: stored.headers, record };
}

/** Stores a record over the one that it was made of. @throws PoolError `bus_unavailable`, `pool_full` */
export async function writeBatch(
  { names, publisher }: Pick<EnqueueParts, "names" | "publisher">,
  pool: string,
  { sequence, headers: said }: Omit<StoredBatch, "record">,
  record: BatchRecord,
): Promise<Written> {
  const headers = jobHeadersOf(said);
  const level = said?.get(HEADER.priority) ?? "";
  if (level !== "") headers.append(HEADER.priority, level);
  headers.append(NATS_HEADER.expectedLastSubjectSequence, String(sequence));
  const message = { subject: names.batch(pool, record.id), payload: encodeBatch(record), headers };
  const answer = await publisher.publish(message, ACK_LIMIT_MS);
  if (answer.kind === "stored") return { kind: "stored", batch: { sequence: answer.sequence, headers: said, record } };
  return isFenced(answer) ? { kind: "fenced" } : { kind: "failed", answer };
}
