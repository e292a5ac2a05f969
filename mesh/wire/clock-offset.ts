/** How far a worker's wall clock is from a reader's, for people to see. Nothing is decided by it. Pure. */
import type { Heartbeat } from "../../gen/poolmesh/v1/heartbeat_pb.js";

/** A clock that is off by more than this is shown, in milliseconds; less may be the heartbeat's way. */
export const CLOCK_OFF_MS = 2_000;

/**
 * How far the worker's clock is ahead, in milliseconds; 0 for a worker that does not tell its clock.
 *
 * @param receivedAtMs the reader's wall clock when the heartbeat came, milliseconds since the epoch
 */
export function clockOffsetMs({ sentAtMs }: Pick<Heartbeat, "sentAtMs">, receivedAtMs: number): number {
  return sentAtMs === 0n ? 0 : Number(sentAtMs) - receivedAtMs;
}
