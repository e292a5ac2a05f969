/**
 * Snapshot + changes = the capacity of all pools now. Pure.
 *
 * A snapshot replaces everything, also after a reconnect. A change replaces only
 * the pools that it names. A view that was given to a reader is never changed.
 */
import type { Freshness, WatchCapacityResponse } from "../gen/poolmesh/v1/meter_pb.js";
import type { PoolCapacity } from "../gen/poolmesh/v1/view_pb.js";

/** The capacity of the pools at one moment. */
export interface CapacityData {
  /** Version of the newest message of this stream; 0 before the first. */
  readonly version: bigint;
  /** Every pool by name. */
  readonly pools: ReadonlyMap<string, PoolCapacity>;
  /** All of them added up; undefined before the first message. */
  readonly total: PoolCapacity | undefined;
  /** What the meter says of itself; undefined before the first message. */
  readonly freshness: Freshness | undefined;
  /** When the newest message came, in milliseconds of the reader's monotonic clock. */
  readonly receivedAtMs: number;
}

/** Before the first message. */
export const NO_CAPACITY: CapacityData = {
  version: 0n,
  pools: new Map(),
  total: undefined,
  freshness: undefined,
  receivedAtMs: 0,
};

/**
 * The next view.
 *
 * @param nowMs the reader's monotonic clock, in milliseconds
 */
export function mergeCapacity(data: CapacityData, message: WatchCapacityResponse, nowMs: number): CapacityData {
  const pools = new Map(message.snapshot ? [] : data.pools);
  for (const name of message.removed) pools.delete(name);
  for (const pool of message.pools) pools.set(pool.pool, pool);
  return {
    version: message.version,
    pools,
    total: message.total ?? data.total,
    freshness: message.freshness ?? data.freshness,
    receivedAtMs: nowMs,
  };
}
