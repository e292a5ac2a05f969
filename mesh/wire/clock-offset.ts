/** A worker's wall clock and a reader's: how far apart they are, and what that means for its times. For people to see: nothing is decided by it. Pure. */
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

/**
 * How long the worker was up when it sent this, in milliseconds. By its own clock at both ends: its clock may be off.
 *
 * @param nowMs the reader's wall clock, milliseconds since the epoch, for a worker that does not tell its clock
 * @returns undefined when it does not say when it started, or its clock was set back since
 */
export function uptimeMs(beat: Pick<Heartbeat, "sentAtMs" | "startedAt">, nowMs = 0): number | undefined {
  const { seconds = 0n, nanos = 0 } = beat.startedAt ?? {};
  if (seconds <= 0n) return undefined;
  const startedMs = Number(seconds) * 1_000 + Math.floor(nanos / 1e6);
  const sentMs = beat.sentAtMs === 0n ? nowMs : Number(beat.sentAtMs);
  return sentMs < startedMs ? undefined : sentMs - startedMs;
}
