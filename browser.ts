/**
 * `poolmesh/browser`: the live capacity of pools, for pages and for programs.
 * It runs in browsers and in Node, and needs only a meter's URL.
 *
 * @module poolmesh/browser
 * @category API
 */
export type { BackoffOptions } from "./browser/backoff.js";
export type { Connection } from "./browser/connection.js";
export type { CapacityData } from "./browser/merge-capacity.js";
export { heartbeatAgeMs, type SeenWorker, type WorkersData, workerKey } from "./browser/merge-workers.js";
export { createMeterClient, DEFAULT_METER_URL, type MeterAddress } from "./browser/meter-client.js";
export { type CapacityView, type WatchCapacityOptions, watchCapacity } from "./browser/watch-capacity.js";
export type { Watched, WatchOptions } from "./browser/watch-stream.js";
export { type WorkersView, watchWorkers } from "./browser/watch-workers.js";
export { type Heartbeat, type Isolation, WorkerState } from "./gen/poolmesh/v1/heartbeat_pb.js";
export type { Freshness, GetHistoryResponse, MeterService, WorkerKey } from "./gen/poolmesh/v1/meter_pb.js";
export type { PoolCapacity, StateCounts, WorkerView } from "./gen/poolmesh/v1/view_pb.js";
export { PoolError, type Reason } from "./mesh/errors.js";
