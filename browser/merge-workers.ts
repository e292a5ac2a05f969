/**
 * Snapshot + changes = every worker now. Pure.
 *
 * Two processes with the same id differ in incarnation, so they are two rows. A
 * worker that did not change keeps its object, so a reader that draws rows can
 * skip it.
 */
import type { Freshness, WatchWorkersResponse, WorkerKey } from "../gen/poolmesh/v1/meter_pb.js";
import type { WorkerView } from "../gen/poolmesh/v1/view_pb.js";

/** One worker, and when this was heard. */
export interface SeenWorker {
  /** Unique among all workers of all pools. */
  readonly key: string;
  readonly view: WorkerView;
  /** When the view came, in milliseconds of the reader's monotonic clock. */
  readonly receivedAtMs: number;
}

/** The workers at one moment. */
export interface WorkersData {
  /** Version of the newest message of this stream; 0 before the first. */
  readonly version: bigint;
  /** Every worker by {@link workerKey}. */
  readonly workers: ReadonlyMap<string, SeenWorker>;
  /** What the meter says of itself; undefined before the first message. */
  readonly freshness: Freshness | undefined;
}

/** Before the first message. */
export const NO_WORKERS: WorkersData = { version: 0n, workers: new Map(), freshness: undefined };

/** The key of one row: pool, worker and incarnation. */
export function workerKey(of: Pick<WorkerKey, "pool" | "worker" | "incarnation">): string {
  return JSON.stringify([of.pool, of.worker, of.incarnation.toString()]);
}

/**
 * The next view.
 *
 * @param nowMs the reader's monotonic clock, in milliseconds
 */
export function mergeWorkers(data: WorkersData, message: WatchWorkersResponse, nowMs: number): WorkersData {
  const workers = new Map(message.snapshot ? [] : data.workers);
  for (const gone of message.removed) workers.delete(workerKey(gone));
  for (const view of message.changed) {
    if (view.heartbeat === undefined) continue;
    const key = workerKey(view.heartbeat);
    workers.set(key, { key, view, receivedAtMs: nowMs });
  }
  return { version: message.version, workers, freshness: message.freshness ?? data.freshness };
}

/** Age of a worker's last heartbeat at `nowMs` of the reader's monotonic clock, in milliseconds. */
export function heartbeatAgeMs(seen: SeenWorker, nowMs: number): number {
  return seen.view.ageMs + Math.max(0, nowMs - seen.receivedAtMs);
}
