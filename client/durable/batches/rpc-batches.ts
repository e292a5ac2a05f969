/** Batches as messages of DurableService. Pure. */
import { create } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Batch, BatchSchema, BatchState } from "../../../gen/poolmesh/v1/durable_pb.js";
import type { BatchStatus } from "../../../mesh/durable/batches/batch-status.js";
import { keyOf } from "../../../mesh/job/proto-priorities.js";

const STATES: Readonly<Record<BatchStatus["state"], BatchState>> = {
  adding: BatchState.ADDING,
  running: BatchState.RUNNING,
  completed: BatchState.COMPLETED,
};

export function toBatchMessage(status: BatchStatus): Batch {
  const { id, state, total, succeeded, failed, canceled, failures, completion, client, openedAt, endedAt } = status;
  return create(BatchSchema, {
    batchId: id,
    state: STATES[state],
    ...(total === undefined ? {} : { total }),
    succeeded,
    failed,
    canceled,
    failures: failures.map(({ index, id: jobId, reason }) => ({ index, jobId, reason })),
    completion: { pool: completion.pool, jobId: completion.id },
    client,
    openedAt: timestampFromDate(openedAt),
    ...(endedAt === undefined ? {} : { endedAt: timestampFromDate(endedAt) }),
  });
}

export function fromBatchMessage(batch: Batch): BatchStatus {
  const { batchId, state, total, succeeded, failed, canceled, failures, completion, client, openedAt, endedAt } = batch;
  return {
    id: batchId,
    state: keyOf(STATES, state) ?? "adding",
    ...(total === undefined ? {} : { total }),
    succeeded,
    failed,
    canceled,
    failures: failures.map(({ index, jobId: id, reason }) => ({ index, id, reason })),
    completion: { pool: completion?.pool ?? "", id: completion?.jobId ?? "" },
    client,
    openedAt: openedAt === undefined ? new Date(0) : timestampDate(openedAt),
    ...(endedAt === undefined ? {} : { endedAt: timestampDate(endedAt) }),
  };
}
