/** How lanes stand and how full their streams are, as one answer: for operators at the broker, and for those over HTTP. */
import type { DurableNames } from "../names.js";
import type { LanePause } from "../pause/lane-pause.js";
import type { LaneStore } from "../store.js";
import { noLane, type ReadLane, readLane } from "./figures.js";
import { lanePools, poolStreamsStatus, type StreamStatus, sharedStreamsStatus } from "./stream-status.js";

/** How the lane of one pool stands. */
export interface LaneLine {
  readonly pool: string;
  readonly queued: number;
  readonly delivered: number;
  readonly dead: number;
  readonly scheduled: number;
  readonly oldestAt: Date | undefined;
  readonly paused: LanePause | undefined;
  /** Jobs that managers hold until their limits let them run, as they tell; undefined where that is not known. */
  readonly limited?: number | undefined;
}

/** Lanes, and their streams. */
export interface LanesView {
  readonly lanes: readonly LaneLine[];
  readonly streams: readonly StreamStatus[];
}

/**
 * Reads it.
 *
 * @param pool undefined for all pools, and the streams that they share
 * @param hint what to do about a pool without a lane, such as "; start a manager"
 * @throws PoolError `unknown_pool` for a pool without a lane, `bus_unavailable`
 */
export async function readLanes(
  store: LaneStore,
  names: DurableNames,
  pool: string | undefined,
  hint = "",
): Promise<LanesView> {
  const pools = pool === undefined ? await lanePools(store, names) : [pool];
  const laneOf = async (each: string): Promise<ReadLane & { readonly pool: string }> => {
    const lane = await readLane(store, names, each);
    if (lane === undefined) throw noLane(each, hint);
    return { pool: each, ...lane };
  };
  const read = await Promise.all(pools.map(laneOf));
  const lanes = read.map(({ pool: each, figures }): LaneLine => ({ pool: each, ...figures }));
  const ofPools = read.map(({ pool: each, consumers }) => poolStreamsStatus(store, names, each, consumers));
  const own = (await Promise.all(ofPools)).flat();
  const shared = pool === undefined ? await sharedStreamsStatus(store, names) : [];
  return { lanes, streams: [...own, ...shared] };
}
