/**
 * The arithmetic of capacity.
 *
 * Pure. Only the slots of READY workers are capacity. Workers that are starting,
 * paused, draining, stopped or lost are counted by state only, since a worker that is
 * not heard is not idle. Without capacity the utilization is 1.
 */
import { create } from "@bufbuild/protobuf";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import {
  type PoolCapacity,
  PoolCapacitySchema,
  type StateCounts,
  StateCountsSchema,
} from "../../../gen/poolmesh/v1/view_pb.js";
import type { JobCounts } from "./job-stats.js";
import { isLive, type WorkerRow } from "./worker-row.js";

/** What managers report of one pool, added up. */
export interface ManagerSums {
  readonly managers: number;
  readonly parked: number;
  readonly parkedLimit: number;
  readonly oldestWaitMs: number;
  readonly inFlight: number;
  /** Jobs of the durable lane that wait in the pool's stream: every manager tells of the same ones. */
  readonly durableQueued: number;
}

/** What managers report when there are none. */
export const NO_MANAGERS: ManagerSums = {
  managers: 0,
  parked: 0,
  parkedLimit: 0,
  oldestWaitMs: 0,
  inFlight: 0,
  durableQueued: 0,
};

/** What a pool's capacity is computed from. */
export interface CapacityParts {
  readonly pool: string;
  readonly rows: Iterable<WorkerRow>;
  readonly managers: ManagerSums;
  readonly jobs: JobCounts;
  readonly jobsPerSecond: number;
  /** Jobs done and failed of processes that are gone. */
  readonly goneDone: number;
  readonly goneFailed: number;
}

/** The largest value of a protobuf uint32. */
const MAX_UINT32 = 4_294_967_295;

/** Busy divided by slots, always within 0 and 1; 1 when there are no slots or the counts are out of range. */
export function utilization(busy: number, slots: number): number {
  const ratio = busy / slots;
  return ratio >= 0 && ratio <= 1 ? ratio : 1;
}

/** The capacity of one pool now. */
export function capacityOf(parts: CapacityParts): PoolCapacity {
  const sum = { slots: 0, busy: 0, busyAll: 0, done: parts.goneDone, failed: parts.goneFailed };
  const workers = create(StateCountsSchema);
  const claimed = new Set<string>();
  for (const row of parts.rows) {
    count(workers, row.state);
    sum.done += row.done;
    sum.failed += row.failed;
    if (row.conflict) claimed.add(row.worker);
    if (!isLive(row)) continue;
    sum.busyAll += row.beat.busy;
    if (row.state !== WorkerState.READY) continue;
    sum.slots += row.beat.slots;
    sum.busy += Math.min(row.beat.busy, row.beat.slots);
  }
  return create(PoolCapacitySchema, {
    pool: parts.pool,
    slots: uint32(sum.slots),
    busy: uint32(sum.busy),
    busyAll: uint32(sum.busyAll),
    utilization: utilization(sum.busy, sum.slots),
    workers,
    conflicts: claimed.size,
    jobsPerSecond: parts.jobsPerSecond,
    jobsDone: BigInt(sum.done),
    jobsFailed: BigInt(sum.failed),
    endedLastMinute: BigInt(parts.jobs.ended),
    failedLastMinute: BigInt(parts.jobs.failed),
    coveringStreams: [...parts.jobs.streams],
    ...managerFields(parts.managers),
  });
}

/**
 * Pools added up; the result's pool is empty.
 *
 * @param managers how many serve them; one that serves three pools is one. Default their sum
 */
export function addUp(pools: Iterable<PoolCapacity>, managers?: number): PoolCapacity {
  const total = create(PoolCapacitySchema, { workers: create(StateCountsSchema) });
  const counts = total.workers as StateCounts;
  for (const pool of pools) {
    for (const field of ADDED) total[field] = uint32(total[field] + pool[field]);
    for (const field of ADDED_LARGE) total[field] += pool[field];
    total.jobsPerSecond += pool.jobsPerSecond;
    total.oldestWaitMs = Math.max(total.oldestWaitMs, pool.oldestWaitMs);
    for (const state of STATES) counts[state] += pool.workers?.[state] ?? 0;
  }
  total.utilization = utilization(total.busy, total.slots);
  if (managers !== undefined) total.managers = managers;
  return total;
}

/** Whether two capacities are the same to a reader. */
export function sameCapacity(a: PoolCapacity, b: PoolCapacity): boolean {
  return (
    ADDED.every((field) => a[field] === b[field]) &&
    ADDED_LARGE.every((field) => a[field] === b[field]) &&
    a.coveringStreams.join() === b.coveringStreams.join() &&
    a.jobsPerSecond === b.jobsPerSecond &&
    a.oldestWaitMs === b.oldestWaitMs &&
    STATES.every((state) => a.workers?.[state] === b.workers?.[state])
  );
}

const ADDED = ["slots", "busy", "busyAll", "parked", "parkedLimit", "conflicts", "managers", "inFlight"] as const;
const ADDED_LARGE = ["jobsDone", "jobsFailed", "endedLastMinute", "failedLastMinute", "durableQueued"] as const;
const STATES = ["starting", "ready", "paused", "draining", "stopped", "lost"] as const;
const STATE_FIELD: Readonly<Record<WorkerState, (typeof STATES)[number] | undefined>> = {
  [WorkerState.UNSPECIFIED]: undefined,
  [WorkerState.STARTING]: "starting",
  [WorkerState.READY]: "ready",
  [WorkerState.PAUSED]: "paused",
  [WorkerState.DRAINING]: "draining",
  [WorkerState.STOPPED]: "stopped",
  [WorkerState.LOST]: "lost",
};

function count(workers: StateCounts, state: WorkerState): void {
  const field = STATE_FIELD[state];
  if (field !== undefined) workers[field] += 1;
}

function managerFields(
  sums: ManagerSums,
): Pick<PoolCapacity, "managers" | "parked" | "parkedLimit" | "oldestWaitMs" | "inFlight" | "durableQueued"> {
  return {
    managers: uint32(sums.managers),
    parked: uint32(sums.parked),
    parkedLimit: uint32(sums.parkedLimit),
    oldestWaitMs: sums.oldestWaitMs,
    inFlight: uint32(sums.inFlight),
    durableQueued: BigInt(sums.durableQueued),
  };
}

function uint32(value: number): number {
  return Math.min(value, MAX_UINT32);
}
