/**
 * The meter's streams: first a snapshot, then changes and keep-alives.
 *
 * When its signal aborts, a stream throws the signal's reason; a stream that returned
 * would look like a success. The signal also closes the reader, since a generator's
 * `finally` does not run while a write waits.
 */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type WatchCapacityRequest,
  type WatchCapacityResponse,
  WatchCapacityResponseSchema,
  type WatchWorkersRequest,
  type WatchWorkersResponse,
  WatchWorkersResponseSchema,
  type WorkerKey,
  WorkerKeySchema,
} from "../../../gen/poolmesh/v1/meter_pb.js";
import type { PoolCapacity } from "../../../gen/poolmesh/v1/view_pb.js";
import { callerOf } from "../../../mesh/auth/gate.js";
import { withoutJobs } from "../../../mesh/auth/shown.js";
import { toFilter, toPace } from "../doors/request.js";
import type { MeterState } from "../meter-state.js";
import { toWorkerView, type WorkerRow } from "../registry/worker-row.js";
import { Broadcast, fanOut } from "./fan-out.js";
import type { Delta } from "./feed.js";

/** The streams of one meter. */
export class Streams {
  readonly #state: MeterState;
  readonly #capacities: Broadcast<PoolCapacity, typeof WatchCapacityResponseSchema>;
  readonly #workers: Broadcast<WorkerRow, typeof WatchWorkersResponseSchema>;
  /** For callers who do not see everybody's jobs. */
  readonly #workersWithoutJobs: Broadcast<WorkerRow, typeof WatchWorkersResponseSchema>;

  constructor(state: MeterState) {
    this.#state = state;
    this.#capacities = new Broadcast(WatchCapacityResponseSchema, state.nowMs);
    this.#workers = new Broadcast(WatchWorkersResponseSchema, state.nowMs);
    this.#workersWithoutJobs = new Broadcast(WatchWorkersResponseSchema, state.nowMs);
  }

  /** Capacities: all at first, then those that changed. */
  watchCapacity(request: WatchCapacityRequest, context: HandlerContext): AsyncGenerator<WatchCapacityResponse> {
    const { changes, view, coalesceMs, keepAliveMs } = this.#state;
    const pace = toPace(request.minIntervalMs, coalesceMs, keepAliveMs);
    const { reader, topic } = changes.watchCapacity(view, toFilter(request), pace, context.signal);
    const toMessage = (delta: Delta<PoolCapacity>): WatchCapacityResponse =>
      create(WatchCapacityResponseSchema, {
        snapshot: delta.snapshot,
        pools: [...delta.changed],
        removed: [...delta.removed],
        total: topic.total,
        freshness: this.#state.freshnessNow(),
      });
    const told = { broadcast: this.#capacities, toMessage };
    return fanOut(reader, () => told, context);
  }

  /** Rows: all at first, then those that changed or had a heartbeat. */
  watchWorkers(request: WatchWorkersRequest, context: HandlerContext): AsyncGenerator<WatchWorkersResponse> {
    const { changes, view, coalesceMs, keepAliveMs } = this.#state;
    const pace = toPace(request.minIntervalMs, coalesceMs, keepAliveMs);
    const { reader } = changes.watchWorkers(view, toFilter(request), pace, context.signal);
    const toMessage = (delta: Delta<WorkerRow>): WatchWorkersResponse => {
      const nowMs = this.#state.nowMs();
      const wallMs = this.#state.wallMs();
      return create(WatchWorkersResponseSchema, {
        snapshot: delta.snapshot,
        changed: delta.changed.map((row) => toWorkerView(row, nowMs, wallMs)),
        removed: delta.removed.map(toWorkerKey),
        freshness: this.#state.freshnessNow(),
      });
    };
    const all = { broadcast: this.#workers, toMessage };
    const without = { broadcast: this.#workersWithoutJobs, toMessage: toMessageWithoutJobs(toMessage) };
    const caller = callerOf(context);
    // Looked at for every message: a caller's rights may change while it reads.
    return fanOut(reader, () => (caller.seesAllJobs(request.pool) ? all : without), context);
  }
}

function toMessageWithoutJobs(
  toMessage: (delta: Delta<WorkerRow>) => WatchWorkersResponse,
): (delta: Delta<WorkerRow>) => WatchWorkersResponse {
  return (delta) => {
    const message = toMessage(delta);
    message.changed = message.changed.map(withoutJobs);
    return message;
  };
}

function toWorkerKey(key: string): WorkerKey {
  const [pool = "", worker = "", incarnation = "0"] = key.split("/");
  return create(WorkerKeySchema, { pool, worker, incarnation: BigInt(incarnation) });
}
