/**
 * Enqueues a batch: opens it, stores its jobs, and seals it with their number.
 *
 * Decided here: nothing is completed before the seal, so a caller that dies in between leaves a batch that waits. Who says the
 * same batch again finds it: jobs that are live are the same jobs, and those that have an outcome are left out.
 */
import { batchLimit } from "../../../mesh/durable/batches/batch-record.js";
import { endAt } from "../../../mesh/durable/batches/marks.js";
import { PoolError } from "../../../mesh/errors.js";
import type { Payload } from "../../../mesh/job/job.js";
import type { CheckedOptions } from "../enqueue-options.js";
import { type AskBatchesParts, openBatch, sealBatch } from "./ask-batches.js";
import type { CheckedBatch } from "./batch-options.js";

/** What it works with. */
export interface EnqueueBatchParts<T> extends AskBatchesParts {
  readonly toPayload: (input: T) => Payload | Promise<Payload>;
  /** Stores one job. @throws PoolError */
  readonly store: (payload: Payload, checked: CheckedOptions & { readonly id: string }) => Promise<unknown>;
}

/** @returns how many jobs it has. @throws PoolError why a job is not stored; the batch is not sealed then */
export async function enqueueBatch<T>(
  parts: EnqueueBatchParts<T>,
  batch: CheckedBatch,
  inputs: Iterable<T> | AsyncIterable<T>,
): Promise<number> {
  const { marks } = await openBatch(parts, batch);
  const most = batchLimit(parts.bus.maxPayloadBytes);
  const underWay = new Set<Promise<void>>();
  let failure: unknown;
  let index = 0;
  try {
    for await (const input of inputs) {
      if (failure !== undefined) break;
      if (index >= most) throw tooMany(most);
      const place = index;
      index += 1;
      if (endAt(marks, place) !== undefined) continue;
      const storing = storeOne(parts, batch, input, place)
        .catch((thrown: unknown) => {
          failure ??= thrown;
        })
        .finally(() => underWay.delete(storing));
      underWay.add(storing);
      if (underWay.size >= batch.window) await Promise.race(underWay);
    }
  } finally {
    await Promise.all(underWay);
  }
  if (failure !== undefined) throw failure;
  await sealBatch(parts, batch.id, index, batch.common.limitMs);
  return index;
}

async function storeOne<T>(
  { toPayload, store }: EnqueueBatchParts<T>,
  batch: CheckedBatch,
  input: T,
  index: number,
): Promise<void> {
  await store(await toPayload(input), batch.member(index));
}

function tooMany(most: number): PoolError {
  return new PoolError("invalid_argument", `batch: it has more than ${most} jobs, the most there may be`, {
    field: "batch",
  });
}
