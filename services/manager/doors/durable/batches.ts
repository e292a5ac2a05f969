/**
 * Batches for callers over Connect, gRPC and gRPC-Web.
 *
 * Decided here: each call opens the batch or finds it, stores its jobs, and seals the batch unless more calls follow. So a call
 * that is made again finishes what the first one began. Under a policy a batch belongs to its caller, as its jobs do.
 */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { checkBatchOptions } from "../../../../client/durable/batches/batch-options.js";
import { toBatchMessage } from "../../../../client/durable/batches/rpc-batches.js";
import { fromPageToken } from "../../../../client/durable/rpc-dead.js";
import {
  type DurableService,
  type EnqueueBatchRequest,
  type EnqueueBatchResponse,
  EnqueueBatchResponseSchema,
  type EnqueueRequest,
  EnqueueRequestSchema,
} from "../../../../gen/poolmesh/v1/durable_pb.js";
import { callerOf, type Gate } from "../../../../mesh/auth/gate.js";
import { memberId } from "../../../../mesh/durable/batches/batch-place.js";
import { batchLimit, checkTotal } from "../../../../mesh/durable/batches/batch-record.js";
import { toStatus } from "../../../../mesh/durable/batches/batch-status.js";
import { endAt } from "../../../../mesh/durable/batches/marks.js";
import { encodeDurableJob } from "../../../../mesh/durable/job.js";
import { PoolError } from "../../../../mesh/errors.js";
import { DEFAULT_TIMEOUT_MS } from "../../../../mesh/job/job.js";
import { HEADER } from "../../../../mesh/wire/headers.js";
import { checkName } from "../../../../mesh/wire/subjects.js";
import { toJsonValue } from "../rpc-messages.js";
import type { DurableJobs, DurableRpcParts } from "./jobs.js";
import { toEnqueueOptions } from "./messages.js";

/** Jobs of one call. */
const MAX_JOBS = 1_000;
/** Jobs of one call that are being stored. */
const WINDOW = 64;

type Methods = Pick<ServiceImpl<typeof DurableService>, "enqueueBatch" | "getBatch" | "listBatches">;

/** Each throws PoolError as of the calls of jobs; `duplicate_job` for a batch that says something else. */
export function batchMethods(parts: DurableRpcParts, jobs: DurableJobs): Methods {
  const { access, gate } = parts;
  return {
    enqueueBatch: (request, context) => enqueueBatch(parts, jobs, request, context),
    async getBatch({ pool, batchId }, context) {
      access.parts(pool);
      const batch = await access.lane.batches.get(pool, batchId);
      requireOwn(gate, pool, batchId, batch.client, context);
      return { batch: toBatchMessage(batch) };
    },
    async listBatches({ pool, pageSize, pageToken, openOnly }, context) {
      access.parts(pool);
      const { batches, next } = await access.lane.batches.list(pool, {
        ...(pageSize === 0 ? {} : { limit: pageSize }),
        after: fromPageToken(pageToken),
        onlyClient: callerOf(context).onlyOwner(pool),
        openOnly,
      });
      return { batches: batches.map(toBatchMessage), nextPageToken: next === undefined ? "" : String(next) };
    },
  };
}

async function enqueueBatch(
  { access, gate, bus }: DurableRpcParts,
  jobs: DurableJobs,
  request: EnqueueBatchRequest,
  context: HandlerContext,
): Promise<EnqueueBatchResponse> {
  const { pool, batchId, firstIndex, onComplete, context: said, more } = request;
  checkName("pool", pool);
  const total = checkTotal(firstIndex + request.jobs.length, batchLimit(bus.maxPayloadBytes));
  if (request.jobs.length > MAX_JOBS) throw refused("jobs", `at most ${MAX_JOBS} in one call`);
  if (onComplete === undefined) throw refused("on_complete", "missing");
  gate.require(context, "submit", onComplete.pool, batchId);
  const caller = callerOf(context);
  const { id: _, rerun: __, ...options } = toEnqueueOptions(settingsOf(request));
  const batch = checkBatchOptions(
    pool,
    {
      ...options,
      ...(caller.isUnbounded ? {} : { client: caller.owner }),
      id: batchId,
      onComplete: { pool: onComplete.pool, ...(onComplete.jobId === "" ? {} : { id: onComplete.jobId }) },
      ...(said === undefined ? {} : { context: toJsonValue(said) }),
    },
    DEFAULT_TIMEOUT_MS,
    { newId: () => "", wallNowMs: bus.runtime.wallNow() },
  );
  await access.ready(pool);
  const { batches } = access.lane;
  const headers = encodeDurableJob({ ...batch.common.job, enqueuedAt: undefined });
  headers.append(HEADER.priority, batch.common.level);
  const { completion } = batch;
  const opened = { id: batchId, client: batch.common.job.client, completion, context: batch.context, headers };
  const record = await batches.open(pool, opened);
  const missing = request.jobs.map((_job, i) => i).filter((i) => endAt(record.marks, firstIndex + i) === undefined);
  // What the record does not tell any more has ended.
  if (record.fullAt === undefined) await inTurns(missing, (i) => storeOne(jobs, request, i, context));
  const status = more ? toStatus(record) : await batches.seal(pool, batchId, total);
  return create(EnqueueBatchResponseSchema, { batch: toBatchMessage(status) });
}

async function storeOne(
  jobs: DurableJobs,
  request: EnqueueBatchRequest,
  at: number,
  context: HandlerContext,
): Promise<void> {
  const { batchId, firstIndex } = request;
  const job = request.jobs[at];
  const index = firstIndex + at;
  if (job === undefined) return;
  const jobId = job.jobId === "" ? memberId(batchId, index) : job.jobId;
  const own = create(EnqueueRequestSchema, { ...settingsOf(request), jobId, input: job.input });
  await jobs.enqueue(own, context, { batch: batchId, index });
}

/** What holds for each job. */
function settingsOf(request: EnqueueBatchRequest): EnqueueRequest {
  const { pool, timeoutMs, priority, maxAttempts, backoff, idempotent, client, concurrencyKey } = request;
  const { traceparent, tracestate } = request;
  const said = { pool, timeoutMs, priority, maxAttempts, client, concurrencyKey, traceparent, tracestate };
  return create(EnqueueRequestSchema, {
    ...said,
    ...(backoff === undefined ? {} : { backoff }),
    ...(idempotent === undefined ? {} : { idempotent }),
  });
}

/** @throws what `work` throws first, once none is under way */
async function inTurns(places: readonly number[], work: (place: number) => Promise<void>): Promise<void> {
  let next = 0;
  let failure: unknown;
  const turn = async (): Promise<void> => {
    while (next < places.length && failure === undefined) {
      const place = places[next];
      next += 1;
      try {
        if (place !== undefined) await work(place);
      } catch (thrown) {
        failure ??= thrown;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(WINDOW, places.length) }, turn));
  if (failure !== undefined) throw failure;
}

/** @throws PoolError `permission_denied` */
function requireOwn(gate: Gate, pool: string, batchId: string, owner: string, context: HandlerContext): void {
  const caller = callerOf(context);
  if (!caller.isUnbounded && owner !== caller.owner) gate.require(context, "read", pool, batchId);
}

function refused(field: string, why: string): PoolError {
  return new PoolError("invalid_argument", `${field}: ${why}`, { field });
}
