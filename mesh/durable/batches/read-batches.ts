/** Reads batches from their stream. */
import { PoolError } from "../../errors.js";
import type { DurableNames } from "../names.js";
import type { LaneStore } from "../store.js";
import { checkBatchId } from "./batch-place.js";
import { decodeBatch } from "./batch-record.js";
import { type BatchStatus, toStatus } from "./batch-status.js";

/** What it works with. */
export interface BatchReads {
  readonly names: DurableNames;
  readonly store: LaneStore;
}

/** Which batches, and how many. */
export interface BatchPageOptions {
  /** At most so many, 1 to 1,000; default 100. */
  readonly limit?: number;
  /** Only those that changed after the one with this sequence: `next` of the last page. */
  readonly after?: number;
  /** Only batches of this client; undefined for those of anybody. */
  readonly onlyClient?: string | undefined;
  /** Without those that are completed. */
  readonly openOnly?: boolean;
}

/** One page. */
export interface BatchPage {
  readonly batches: readonly BatchStatus[];
  /** `after` of the next page; undefined at the end. */
  readonly next: number | undefined;
}

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;
/** Batches that are read for one page at most: it may be short although there are more. */
const MOST_READ = 2_000;

/** How a batch stands. @throws PoolError `not_found`, `invalid_argument`, `bus_unavailable` */
export async function readBatch({ names, store }: BatchReads, pool: string, id: string): Promise<BatchStatus> {
  const stored = await store.last(names.batchesStream, names.batch(pool, checkBatchId(id)));
  const record = stored && decodeBatch(stored.payload);
  if (record !== undefined) return toStatus(record);
  throw noBatch();
}

/** The batches of a pool, those that changed longest ago first. @throws PoolError `invalid_argument`, `bus_unavailable` */
export async function listBatches(
  { names, store }: BatchReads,
  pool: string,
  { limit = DEFAULT_LIMIT, after = 0, onlyClient, openOnly = false }: BatchPageOptions = {},
): Promise<BatchPage> {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    throw new PoolError("invalid_argument", `limit: use a whole number from 1 to ${MAX_LIMIT}`, { field: "limit" });
  }
  const batches: BatchStatus[] = [];
  let from = after + 1;
  for (let read = 0; read < MOST_READ && batches.length < limit; read += 1) {
    const stored = await store.nextDecisive(names.batchesStream, names.everyBatch(pool), from);
    if (stored === undefined) return { batches, next: undefined };
    from = stored.sequence + 1;
    const record = decodeBatch(stored.payload);
    if (record === undefined || (onlyClient !== undefined && record.client !== onlyClient)) continue;
    if (!openOnly || record.completedAt === undefined) batches.push(toStatus(record));
  }
  return { batches, next: from - 1 };
}

/** No batch has this id. */
export function noBatch(): PoolError {
  return new PoolError("not_found", "the pool has no batch of this id", { field: "batch" });
}
