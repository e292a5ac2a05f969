/**
 * A worker that beats but takes nothing that is offered.
 *
 * Pure. The mark is worked out anew each time from what is known now, so that
 * it clears by itself: when the worker takes a job, is full, leaves READY, or
 * nothing waits any more.
 */
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { WorkerRow } from "./worker-row.js";

/** How long it must have taken nothing although it could have. */
export const UNHEALTHY_AFTER_MS = 5_000;
/** Refusals in that time that are no accident. */
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
