/**
 * What a watcher knows of its way to the meter.
 *
 * Transitions: connecting → live ⇄ stale → disconnected → connecting. "stale"
 * is the meter's own word for itself (it is cut off from the broker); the
 * other three are this side's judgement. Nothing here opens a connection.
 */
import type { Freshness } from "../gen/poolmesh/v1/meter_pb.js";
import type { PoolError } from "../mesh/errors.js";

/** The way to the meter now. */
export type Connection =
  | { readonly state: "connecting" /** 1 for the first try. */; readonly attempt: number }
  | { readonly state: "live" }
  | { readonly state: "stale" /** Age of the values when they came, in milliseconds. */; readonly staleAgeMs: number }
  | {
      readonly state: "disconnected";
      /** The try that failed; 1 for the first. */
      readonly attempt: number;
      /** Time until the next try, in milliseconds; infinite when no try can help. */
      readonly retryInMs: number;
      readonly error: PoolError;
    };

/** What the meter's freshness makes of an open stream. */
export function connectionOf(freshness: Freshness | undefined): Connection {
  if (freshness?.stale !== true) return { state: "live" };
  return { state: "stale", staleAgeMs: Math.max(0, freshness.staleAgeMs) };
}
