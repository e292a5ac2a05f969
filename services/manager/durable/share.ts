/**
 * How many jobs a manager pulls, and of which level. Pure.
 *
 * Decided here: a manager holds what its workers can take soon and no more, so
 * that jobs stay in the stream, where any manager can have them. Levels that have
 * something waiting share the room as 16 : 4 : 1; a level without leaves its share
 * to the others, so nobody starves.
 */

/** What the workers and the last seconds say. */
export interface Demand {
  /** Slots of READY workers. */
  readonly capacity: number;
  /** Durable jobs that ended a second, of late. */
  readonly endedPerSecond: number;
  /** Jobs that the manager may park at most. */
  readonly parkedLimit: number;
}

const LEAST = 8;
const MOST = 512;
/** What ends within this time is held ahead, in seconds. */
const AHEAD_S = 0.1;
/** The part of the parked queue that durable jobs may fill. */
const PARKED_PART = 4;

/** How many jobs of the durable lane a manager holds of one pool. */
export function wantHeld({ capacity, endedPerSecond, parkedLimit }: Demand): number {
  const wanted = Math.max(LEAST, 2 * capacity, Math.ceil(endedPerSecond * AHEAD_S));
  return Math.max(1, Math.min(MOST, wanted, Math.floor(parkedLimit / PARKED_PART)));
}

/** One level, as far as it matters here. */
export interface LevelState {
  /** Messages that its open pull may still bring; 0 when none is open. */
  readonly asked: number;
  /** Messages that wait at the broker, as it said last. */
  readonly waiting: number;
}

const WEIGHTS = [16, 4, 1] as const;
/** A level of which nothing is known to wait is asked for so many at most. */
const PROBE = 8;

/**
 * How many to ask of each level now, in the order of the levels; 0 where a pull is open or there is no room.
 *
 * @param room jobs that may be held and are not
 */
export function shares(room: number, levels: readonly LevelState[]): number[] {
  const asked = levels.reduce((sum, level) => sum + (level.waiting > 0 ? level.asked : 0), 0);
  const free = room - asked;
  if (free <= 0) return levels.map(() => 0);
  const weight = (index: number): number => WEIGHTS[index] ?? 1;
  const total = levels.reduce((sum, level, index) => sum + (level.waiting > 0 ? weight(index) : 0), 0);
  return levels.map(({ asked: open, waiting }, index) => {
    if (open > 0) return 0;
    if (waiting === 0) return Math.max(1, Math.min(PROBE, Math.floor(free / 2)));
    return Math.max(1, Math.floor((free * weight(index)) / total));
  });
}
