/** poolmesh.v1.MeterService: the capacity of every pool now. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type GetCapacityRequest,
  type GetCapacityResponse,
  GetCapacityResponseSchema,
  type GetHistoryRequest,
  type GetHistoryResponse,
  GetHistoryResponseSchema,
  type GetJobStatsRequest,
  type GetJobStatsResponse,
  GetJobStatsResponseSchema,
  type ListWorkersRequest,
  type ListWorkersResponse,
  ListWorkersResponseSchema,
} from "../../../gen/poolmesh/v1/meter_pb.js";
import type { Caller } from "../../../mesh/auth/caller.js";
import { withoutJobs } from "../../../mesh/auth/shown.js";
import { checkName } from "../../../mesh/wire/subjects.js";
import type { ClockWork } from "../clock-work.js";
import type { MeterState } from "../meter-state.js";
import { STEP_MS, type Timed, WINDOW_MS } from "../registry/job-window.js";
import type { Quantiles } from "../registry/time-quantiles.js";
import { toWorkerView } from "../registry/worker-row.js";
import { HISTORY_STEP_MS } from "../streams/history.js";
import { toFilter } from "./request.js";

/** Capacities now. @throws PoolError `invalid_argument`, `unknown_pool`, `bus_unavailable` */
export function getCapacity(state: MeterState, request: GetCapacityRequest): GetCapacityResponse {
  const filter = toFilter(request);
  state.requirePool(filter.pool);
  const pools = state.view.capacities(filter, state.nowMs());
  const total = state.view.total(filter, pools);
  return create(GetCapacityResponseSchema, { pools, total, freshness: state.freshnessNow() });
}

/** Rows now, in the order of pools and workers. @throws PoolError as {@link getCapacity} */
export function listWorkers(state: MeterState, request: ListWorkersRequest, caller: Caller): ListWorkersResponse {
  const filter = toFilter(request);
  state.requirePool(filter.pool);
  const rows = [...state.view.workers(filter)].sort((a, b) => (a.key < b.key ? -1 : 1));
  const nowMs = state.nowMs();
  const wallMs = state.wallMs();
  const workers = rows.map((row) => toWorkerView(row, nowMs, wallMs));
  return create(ListWorkersResponseSchema, {
    workers: caller.seesAllJobs(filter.pool) ? workers : workers.map(withoutJobs),
    freshness: state.freshnessNow(),
  });
}

/**
 * The last 15 minutes. Empty for a pool that is known and has no history yet. One that has gone keeps its history for as
 * long as the meter remembers it.
 *
 * @throws PoolError as {@link getCapacity}
 */
export function getHistory(state: MeterState, clock: ClockWork, request: GetHistoryRequest): GetHistoryResponse {
  if (request.pool !== "") checkName("pool", request.pool);
  state.requirePool(request.pool);
  const series = state.history.series(request.pool);
  const newestMs = clock.sampledWallMs ?? state.wallMs();
  const startMs = newestMs - Math.max(0, series.slots.length - 1) * HISTORY_STEP_MS;
  return create(GetHistoryResponseSchema, { start: timestampFromMs(startMs), stepMs: HISTORY_STEP_MS, ...series });
}

/**
 * How the jobs of one pool ended. Everything is 0 for a pool of which no manager tells.
 *
 * @throws PoolError `invalid_argument`, `unknown_pool`, `bus_unavailable`
 */
export function getJobStats(state: MeterState, { pool }: GetJobStatsRequest): GetJobStatsResponse {
  state.requirePool(checkName("pool", pool));
  const { jobs } = state.view;
  const nowMs = state.nowMs();
  const window = jobs.window(pool);
  window?.advance(nowMs);
  const quantiles = (timed: Timed) => toQuantiles(window?.quantiles(timed));
  return create(GetJobStatsResponseSchema, {
    windowMs: WINDOW_MS,
    outcomes: Object.fromEntries([...(window?.outcomes() ?? [])].map(([outcome, count]) => [outcome, BigInt(count)])),
    ...{ wait: quantiles("wait"), run: quantiles("run"), total: quantiles("total") },
    stepMs: STEP_MS,
    ...{ waitSeries: window?.series("wait"), runSeries: window?.series("run"), totalSeries: window?.series("total") },
    freshness: state.freshnessNow(),
  });
}

function toQuantiles({ jobs, ...times }: Quantiles = NO_QUANTILES) {
  return { jobs: BigInt(jobs), ...times };
}

const NO_QUANTILES: Quantiles = { jobs: 0, p50Ms: 0, p95Ms: 0, p99Ms: 0 };
