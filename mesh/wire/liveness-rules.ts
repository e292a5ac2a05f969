/**
 * When a sender of heartbeats is taken for gone: the one rule of managers and
 * meters, for workers and for managers.
 *
 * Pure. Silence is counted by the reader's own monotonic clock. Who may judge at
 * all (a good connection, no stall of its own) is the reader's matter.
 */

/** A sender that says no interval of its own sends a heartbeat every second. */
const DEFAULT_INTERVAL_MS = 1_000;
/** The bounds of an interval, in milliseconds: what a sender says beyond them is taken for the bound. */
const MIN_INTERVAL_MS = 100;
const MAX_INTERVAL_MS = 60_000;
/** A sender is LOST after this many of its own intervals without a sign of life. */
export const LOST_AFTER_INTERVALS = 3;
/** An event loop that was late by more than this is lagging, in milliseconds. */
export const LAGGING_MS = 200;

/** Which process sent a heartbeat, and which of its heartbeats it is. */
export interface HeartbeatOrder {
  /** Higher for every later start under the same id. */
  readonly incarnation: bigint;
  /** Rises with every heartbeat of a process. */
  readonly seq: bigint;
}

/** The time between two heartbeats of a sender, in milliseconds. @param saidMs what it says; 0 for nothing */
export function intervalMs(saidMs: number): number {
  return Math.min(MAX_INTERVAL_MS, Math.max(MIN_INTERVAL_MS, saidMs || DEFAULT_INTERVAL_MS));
}

/** The silence after which a sender is LOST, in milliseconds: 300 to 180,000. @param saidMs as {@link intervalMs} */
export function lostAfterMs(saidMs: number): number {
  return LOST_AFTER_INTERVALS * intervalMs(saidMs);
}

/** Whether a heartbeat is newer than the newest known one: a later process, or a later one of the same process. */
export function isNewer(heartbeat: HeartbeatOrder, known: HeartbeatOrder): boolean {
  if (heartbeat.incarnation !== known.incarnation) return heartbeat.incarnation > known.incarnation;
  return heartbeat.seq > known.seq;
}

/** A sender as {@link hasReplaced} looks at it. */
export interface KnownSender extends HeartbeatOrder {
  readonly heartbeatIntervalMs: number;
  /** When its last heartbeat came, monotonic milliseconds. */
  readonly beatAtMs: number;
  /** The last heartbeat of a process that says it is an earlier one. */
  rival: HeartbeatOrder | undefined;
}

/**
 * Whether a process that says it is an earlier one has the id now: it was started while its clock was set back. The
 * known one sends no heartbeats any more, and this one goes on.
 */
export function hasReplaced({ incarnation, seq }: HeartbeatOrder, known: KnownSender, nowMs: number): boolean {
  if (incarnation >= known.incarnation) return false;
  const { rival } = known;
  known.rival = { incarnation, seq };
  const goesOn = rival?.incarnation === incarnation && seq > rival.seq;
  return goesOn && nowMs - known.beatAtMs > lostAfterMs(known.heartbeatIntervalMs);
}
