/**
 * One row of the view: one process under a worker id, and what its reader
 * judges of it.
 *
 * Pure; `nowMs` is a monotonic clock. A row shows the state that the worker says
 * (STARTING, READY, PAUSED, DRAINING, STOPPED), or LOST when the worker is silent. A
 * newer heartbeat ends LOST. The registry decides which rows exist.
 */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Heartbeat, HeartbeatSchema, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { type WorkerView, WorkerViewSchema } from "../../../gen/poolmesh/v1/view_pb.js";
import { clockOffsetMs } from "../../../mesh/wire/clock-offset.js";
import { LAGGING_MS } from "../../../mesh/wire/liveness-rules.js";

/** One process under a worker id. Only the registry writes to it. */
export interface WorkerRow {
  readonly pool: string;
  readonly worker: string;
  readonly incarnation: bigint;
  /** `pool/worker/incarnation`. */
  readonly key: string;
  /** The newest heartbeat. */
  beat: Heartbeat;
  /** As shown: what the heartbeat says, or LOST. */
  state: WorkerState;
  stateSinceMs: number;
  readonly firstSeenMs: number;
  /** When the newest heartbeat came. */
  lastBeatMs: number;
  /** Silence is counted from here: the newest heartbeat, or the end of a time in which the meter could not hear. */
  quietFromMs: number;
  conflict: boolean;
  unhealthy: boolean;
  /** Counters of the heartbeat as numbers; they never fall. */
  done: number;
  failed: number;
  /** When it last took a job, was full, or was not READY. */
  tookMs: number;
  /** Offers refused before that, and when it refused the first one after it. */
  refusedBefore: bigint;
  refusesFromMs: number | undefined;
}

/** A row for the first heartbeat of a process. */
export function newRow(beat: Heartbeat, nowMs: number): WorkerRow {
  return {
    pool: beat.pool,
    worker: beat.worker,
    incarnation: beat.incarnation,
    key: `${beat.pool}/${beat.worker}/${beat.incarnation}`,
    beat,
    state: beat.state,
    stateSinceMs: nowMs,
    firstSeenMs: nowMs,
    lastBeatMs: nowMs,
    quietFromMs: nowMs,
    conflict: false,
    unhealthy: false,
    done: Number(beat.jobsDone),
    failed: Number(beat.jobsFailed),
    tookMs: nowMs,
    refusedBefore: beat.refusedTotal,
    refusesFromMs: undefined,
  };
}

/** Whether the process is there, as far as its reader knows. */
export function isLive(row: WorkerRow): boolean {
  return row.state !== WorkerState.LOST && row.state !== WorkerState.STOPPED;
}

/** Whether two heartbeats of one process differ in what counts for capacity. */
export function changesCapacity(before: Heartbeat, after: Heartbeat): boolean {
  return (
    before.busy !== after.busy ||
    before.state !== after.state ||
    before.slots !== after.slots ||
    before.jobsDone !== after.jobsDone ||
    before.jobsFailed !== after.jobsFailed
  );
}

/** Whether they differ in what a row shows, besides its age and lag. */
export function changesLook(before: Heartbeat, after: Heartbeat): boolean {
  return (
    changesCapacity(before, after) ||
    before.acceptedTotal !== after.acceptedTotal ||
    before.stuck !== after.stuck ||
    isLagging(before) !== isLagging(after)
  );
}

/** Takes a newer heartbeat of the same process. */
export function applyBeat(row: WorkerRow, beat: Heartbeat, nowMs: number): void {
  const took = beat.acceptedTotal !== row.beat.acceptedTotal;
  if (took || beat.state !== WorkerState.READY || beat.busy >= beat.slots) {
    row.tookMs = nowMs;
    row.refusedBefore = beat.refusedTotal;
    row.refusesFromMs = undefined;
  } else if (beat.refusedTotal > row.refusedBefore) {
    row.refusesFromMs ??= nowMs;
  }
  row.done = Math.max(row.done, Number(beat.jobsDone));
  row.failed = Math.max(row.failed, Number(beat.jobsFailed));
  row.beat = beat;
  row.lastBeatMs = nowMs;
  row.quietFromMs = nowMs;
}

/** Whether `labels` has all of `wanted`. */
export function includesLabels(
  labels: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, string>>,
): boolean {
  for (const key in wanted) {
    if (!Object.hasOwn(labels, key) || labels[key] !== wanted[key]) return false;
  }
  return true;
}

/** The row as it goes to clients. */
export function toWorkerView(row: WorkerRow, nowMs: number, wallMs: number): WorkerView {
  const shown = row.state === row.beat.state ? row.beat : create(HeartbeatSchema, { ...row.beat, state: row.state });
  const ageMs = Math.max(0, nowMs - row.lastBeatMs);
  return create(WorkerViewSchema, {
    heartbeat: shown,
    ageMs,
    clockOffsetMs: clockOffsetMs(row.beat, wallMs - ageMs),
    lagging: isLagging(row.beat),
    unhealthy: row.unhealthy,
    conflict: row.conflict,
    firstSeen: timestampFromMs(Math.round(wallMs - (nowMs - row.firstSeenMs))),
  });
}

function isLagging(beat: Heartbeat): boolean {
  return beat.loopLagMs > LAGGING_MS;
}
