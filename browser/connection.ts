/**
 * What a watcher knows of its connection to the meter.
 *
 * Transitions: connecting → live ⇄ stale → disconnected → connecting. The meter
 * itself says that it is stale (it is cut off from the broker). The watcher
 * decides the other three states. Nothing here opens a connection.
 */
import type { Freshness } from "../gen/poolmesh/v1/meter_pb.js";
import type { PoolError } from "../mesh/errors.js";

/** The connection to the meter now. */
export type Connection =
  | { readonly state: "connecting" /** 1 for the first try. */; readonly attempt: number }
  | { readonly state: "live" }
  | { readonly state: "stale" /** Age of the values when they came, in milliseconds. */; readonly staleAgeMs: number }
  | {
      readonly state: "disconnected";
      /** The attempt that failed; 1 for the first. */
      readonly attempt: number;
      /** Time until the next attempt, in milliseconds; infinite when no attempt can help. */
      readonly retryInMs: number;
      readonly error: PoolError;
    };

/** The state of an open stream, by the meter's freshness. */
export function connectionOf(freshness: Freshness | undefined): Connection {
  if (freshness?.stale !== true) return { state: "live" };
  return { state: "stale", staleAgeMs: Math.max(0, freshness.staleAgeMs) };
}
