/**
 * Finds a job that waits for its time.
 *
 * Decided here: the places are read in the order in which a job passes them, so one
 * that moves meanwhile is not missed: later, due, and then the pool's stream of jobs,
 * which is for the caller to read. The stream's leader is asked, always: most pools have no such
 * stream, which an old broker tells nobody who asks any replica.
 */
import type { DurableNames } from "../names.js";
import type { LaneStore, Stored } from "../store.js";
import { storedInstant } from "./run-time.js";

/** A job that waits for its time, or whose time has just come. */
export interface LaterJob extends Stored {
  /** When it may run, milliseconds since the epoch. */
  readonly runAt: number;
}

/** Where it looks. */
export interface LaterPlaces {
  readonly names: DurableNames;
  readonly store: LaneStore;
}

/**
 * The job as it stands; undefined when none waits under this id, and for a pool without such a stream.
 *
 * @throws PoolError
 */
export async function findLater(
  { names, store }: LaterPlaces,
  pool: string,
  id: string,
): Promise<LaterJob | undefined> {
  const stream = names.laterStream(pool);
  return toLater((await store.last(stream, names.later(pool, id))) ?? (await store.last(stream, names.due(pool, id))));
}

/** A message of the stream of jobs for later. */
export function toLater(stored: Stored | undefined): LaterJob | undefined {
  return stored === undefined ? undefined : { ...stored, runAt: storedInstant(stored.headers) ?? 0 };
}
