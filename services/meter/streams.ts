/**
 * The meter's own streams: a snapshot, then what changed, then a sign of life.
 *
 * Each ends when its signal aborts, by throwing the signal's reason: a stream
 * that returned would look like a success. Its reader is closed by the signal
 * too, since a generator's `finally` does not run while a write waits.
 */
import { create } from "@bufbuild/protobuf";
import {
  type WatchCapacityRequest,
  type WatchCapacityResponse,
  WatchCapacityResponseSchema,
  type WatchWorkersRequest,
  type WatchWorkersResponse,
  WatchWorkersResponseSchema,
  type WorkerKey,
  WorkerKeySchema,
} from "../../gen/poolmesh/v1/meter_pb.js";
import type { MeterState } from "./meter-state.js";
import { toFilter, toPace } from "./request.js";
import { toWorkerView } from "./worker-row.js";

/** Capacities: all at first, then those that changed. */
export async function* watchCapacity(
  state: MeterState,
  request: WatchCapacityRequest,
  signal: AbortSignal,
): AsyncGenerator<WatchCapacityResponse> {
  const pace = toPace(request.minIntervalMs, state.coalesceMs, state.keepAliveMs);
  const { reader, topic } = state.changes.watchCapacity(state.view, toFilter(request), pace, signal);
  for (let version = 1n; ; version += 1n) {
    const delta = await reader.next();
    reader.sent();
    yield create(WatchCapacityResponseSchema, {
      version,
      snapshot: delta.snapshot,
      pools: [...delta.changed],
      removed: [...delta.removed],
      total: topic.total,
      freshness: state.freshnessNow(),
    });
  }
}

/** Rows: all at first, then those that changed or beat. */
export async function* watchWorkers(
  state: MeterState,
  request: WatchWorkersRequest,
  signal: AbortSignal,
): AsyncGenerator<WatchWorkersResponse> {
  const pace = toPace(request.minIntervalMs, state.coalesceMs, state.keepAliveMs);
  const { reader } = state.changes.watchWorkers(state.view, toFilter(request), pace, signal);
  for (let version = 1n; ; version += 1n) {
    const delta = await reader.next();
    reader.sent();
    const nowMs = state.nowMs();
    const wallMs = state.wallMs();
    yield create(WatchWorkersResponseSchema, {
      version,
      snapshot: delta.snapshot,
      changed: delta.changed.map((row) => toWorkerView(row, nowMs, wallMs)),
      removed: delta.removed.map(toWorkerKey),
      freshness: state.freshnessNow(),
    });
  }
}

function toWorkerKey(key: string): WorkerKey {
  const [pool = "", worker = "", incarnation = "0"] = key.split("/");
  return create(WorkerKeySchema, { pool, worker, incarnation: BigInt(incarnation) });
}
