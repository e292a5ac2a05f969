/**
 * A worker that sends heartbeats but takes no job.
 *
 * Pure. Whether a worker is unhealthy is computed each time from what is known now.
 * So it ends by itself when the worker takes a job, is full, leaves READY, or no job
 * waits any more.
 */
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { WorkerRow } from "./worker-row.js";

/** How long it must have taken no job although it had a free slot, in milliseconds. */
const UNHEALTHY_AFTER_MS = 5_000;
/** So many refusals in that time make it unhealthy. */
const MIN_REFUSALS = 3n;

/**
 * Whether the row is unhealthy.
 *
 * @param parkedFromMs since when its pool has parked jobs without a break; undefined when it has none
 */
export function isUnhealthy(row: WorkerRow, parkedFromMs: number | undefined, nowMs: number): boolean {
  if (row.state !== WorkerState.READY || row.beat.busy >= row.beat.slots) return false;
  const starves = parkedFromMs !== undefined && nowMs - Math.max(row.tookMs, parkedFromMs) > UNHEALTHY_AFTER_MS;
  return starves || refuses(row, nowMs);
}

function refuses(row: WorkerRow, nowMs: number): boolean {
  if (row.refusesFromMs === undefined) return false;
  const refused = row.beat.refusedTotal - row.refusedBefore;
  return refused >= MIN_REFUSALS && nowMs - row.refusesFromMs > UNHEALTHY_AFTER_MS;
}
