/**
 * KEDA's external scaler: how many workers a pool needs.
 *
 * Decided here: the metric is busy slots + parked jobs + jobs of the durable lane that
 * wait in their stream, and its target is the slots of one worker. So KEDA asks for
 * their sum ÷ slots workers. A pool that no
 * worker or manager has named yet is inactive. A meter that is cut off from the
 * broker answers with an error, so nothing is scaled by old values.
 * Metadata: `pool` (required), `slotsPerWorker` (default: the mean of its READY
 * workers, 1 when there is none).
 */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type GetMetricSpecResponse,
  GetMetricSpecResponseSchema,
  type GetMetricsRequest,
  type GetMetricsResponse,
  GetMetricsResponseSchema,
  type IsActiveResponse,
  IsActiveResponseSchema,
  type ScaledObjectRef,
} from "../../../gen/externalscaler/externalscaler_pb.js";
import type { PoolCapacity } from "../../../gen/poolmesh/v1/view_pb.js";
import { PoolError } from "../../../mesh/errors.js";
import { isName } from "../../../mesh/wire/subjects.js";
import type { MeterState } from "../meter-state.js";
import { addUp } from "../registry/capacity.js";

const MAX_SLOTS_PER_WORKER = 65_535;

/** Whether the pool has work, waiting or running. */
export function isActive(state: MeterState, ref: ScaledObjectRef): IsActiveResponse {
  const pool = poolOf(ref);
  state.requireFresh();
  return create(IsActiveResponseSchema, { result: hasWork(capacityOf(state, pool)) });
}

/** The same as a stream: at once, at every change, and as a keep-alive. */
export async function* streamIsActive(
  state: MeterState,
  ref: ScaledObjectRef,
  context: HandlerContext,
): AsyncGenerator<IsActiveResponse> {
  const pool = poolOf(ref);
  state.requireFresh();
  const pace = { minIntervalMs: state.coalesceMs, keepAliveMs: state.keepAliveMs };
  const { reader, topic } = state.changes.watchCapacity(state.view, { pool, labels: {} }, pace, context.signal);
  let last: boolean | undefined;
  for (;;) {
    await reader.next();
    const result: boolean = last !== undefined && state.freshness.stale ? last : hasWork(topic.total);
    if (result === last && !reader.isSilent) continue;
    last = result;
    reader.sent();
    yield create(IsActiveResponseSchema, { result });
  }
}

/** The metric's name, and the slots of one worker as its target. */
export function getMetricSpec(state: MeterState, ref: ScaledObjectRef): GetMetricSpecResponse {
  const pool = poolOf(ref);
  const target = slotsPerWorker(ref, capacityOf(state, pool));
  return create(GetMetricSpecResponseSchema, {
    metricSpecs: [{ metricName: metricName(pool), targetSize: BigInt(Math.ceil(target)), targetSizeFloat: target }],
  });
}

/** Busy slots + parked jobs + jobs that wait in the durable lane. */
export function getMetrics(state: MeterState, request: GetMetricsRequest): GetMetricsResponse {
  const pool = poolOf(request.scaledObjectRef);
  const name = metricName(pool);
  if (request.metricName !== "" && request.metricName !== name) {
    throw new PoolError("invalid_argument", `metricName: the metric of this pool is ${name}`, { field: "metricName" });
  }
  state.requireFresh();
  const { busy, parked, durableQueued } = capacityOf(state, pool);
  const wanted = busy + parked + Number(durableQueued);
  return create(GetMetricsResponseSchema, {
    metricValues: [{ metricName: name, metricValue: BigInt(wanted), metricValueFloat: wanted }],
  });
}

function hasWork(capacity: PoolCapacity): boolean {
  return capacity.parked > 0 || capacity.busyAll > 0 || capacity.inFlight > 0 || capacity.durableQueued > 0n;
}

function capacityOf(state: MeterState, pool: string): PoolCapacity {
  return state.view.capacity(pool, {}, state.nowMs()) ?? addUp([]);
}

function metricName(pool: string): string {
  return `poolmesh-${pool}`;
}

function poolOf(ref: ScaledObjectRef | undefined): string {
  const pool = ref?.scalerMetadata.pool;
  if (isName(pool)) return pool;
  const field = "scalerMetadata.pool";
  throw new PoolError("invalid_argument", `${field}: name the pool to scale`, { field });
}

function slotsPerWorker(ref: ScaledObjectRef, capacity: PoolCapacity): number {
  const said = ref.scalerMetadata.slotsPerWorker;
  if (said === undefined) return Math.max(1, capacity.slots / (capacity.workers?.ready || 1));
  const slots = /^\d{1,5}$/.test(said) ? Number(said) : 0;
  if (slots >= 1 && slots <= MAX_SLOTS_PER_WORKER) return slots;
  const field = "scalerMetadata.slotsPerWorker";
  throw new PoolError("invalid_argument", `${field}: use a whole number from 1 to ${MAX_SLOTS_PER_WORKER}`, { field });
}
