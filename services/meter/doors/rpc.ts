/** The meter's RPCs. Each call is passed to the part that answers it. Nothing is decided here. */
import type { DescService } from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import {
  ExternalScaler,
  type GetMetricsRequest,
  type ScaledObjectRef,
} from "../../../gen/externalscaler/externalscaler_pb.js";
import { DurableService } from "../../../gen/poolmesh/v1/durable_pb.js";
import { JobService } from "../../../gen/poolmesh/v1/job_pb.js";
import { type GetCapacityRequest, type ListWorkersRequest, MeterService } from "../../../gen/poolmesh/v1/meter_pb.js";
import { Capacity } from "../../../gen/relay/relay_pb.js";
import { WorkerStatus } from "../../../gen/solpipe/solpipe_pb.js";
import { callerOf } from "../../../mesh/auth/gate.js";
import type { AllJobs } from "../../../mesh/inspect/all-jobs.js";
import { jobPageRoutes } from "../../../mesh/inspect/job-service.js";
import type { ClockWork } from "../clock-work.js";
import type { MeterState } from "../meter-state.js";
import { Streams } from "../streams/streams.js";
import type { WorkerControl } from "./control.js";
import type { MeterLane } from "./lane.js";
import { getCapacity, getHistory, getJobStats, listWorkers } from "./meter-service.js";
import { getMetricSpec, getMetrics, isActive, streamIsActive } from "./scaler.js";
import { onRelayStatus, onStatus } from "./worker-status.js";

/** The services of a meter, for reflection and health. */
export const METER_SERVICES: readonly DescService[] = [
  MeterService,
  JobService,
  WorkerStatus,
  Capacity,
  ExternalScaler,
];

/** What answers the RPCs of a meter. */
export interface MeterDoors {
  readonly state: MeterState;
  readonly clock: ClockWork;
  readonly control: WorkerControl;
  readonly lane: MeterLane;
  /** @throws PoolError `bus_unavailable` while there is no connection */
  readonly jobs: () => AllJobs;
}

/** Registers them. */
export function meterRoutes(router: ConnectRouter, { state, clock, control, lane, jobs }: MeterDoors): void {
  const streams = new Streams(state);
  const glance = <A extends readonly unknown[], R>(answer: (...args: A) => R): ((...args: A) => R) => {
    return (...args) => {
      state.changes.glance();
      return answer(...args);
    };
  };
  router.service(MeterService, {
    getCapacity: glance((request: GetCapacityRequest) => getCapacity(state, request)),
    watchCapacity: (request, context) => streams.watchCapacity(request, context),
    listWorkers: glance((request: ListWorkersRequest, context: HandlerContext) =>
      listWorkers(state, request, callerOf(context)),
    ),
    watchWorkers: (request, context) => streams.watchWorkers(request, context),
    getHistory: (request) => getHistory(state, clock, request),
    getJobStats: (request) => getJobStats(state, request),
    controlWorker: (request, context) => control.control(request, context.signal),
  });
  jobPageRoutes(router, jobs);
  // The others of its RPCs are the managers'.
  if (lane.enabled) router.service(DurableService, lane.methods);
  router.service(WorkerStatus, { onStatus: (_, context) => onStatus(state, context) });
  router.service(Capacity, { onStatus: (_, context) => onRelayStatus(state, context) });
  router.service(ExternalScaler, {
    isActive: glance((request: ScaledObjectRef) => isActive(state, request)),
    streamIsActive: (request, context) => streamIsActive(state, request, context),
    getMetricSpec: (request) => getMetricSpec(state, request),
    getMetrics: glance((request: GetMetricsRequest) => getMetrics(state, request)),
  });
}
