/** How the durable lane of one pool stands, as its streams tell. */
import type { ConsumerInfo } from "@nats-io/jetstream";
import { PoolError } from "../../errors.js";
import { type DurableNames, LEVELS } from "../names.js";
import { type LanePause, pauseOf } from "../pause/lane-pause.js";
import type { LaneStore } from "../store.js";

/** How the lane stands. */
export interface LaneFigures {
  /** Jobs that wait in the stream. */
  readonly queued: number;
  /** Jobs that managers hold, and those that wait after a failure. */
  readonly delivered: number;
  /** Jobs in the stream. For a while after a broker was killed, some of them may have ended. */
  readonly stored: number;
  /** When the oldest of them was enqueued; undefined when there is none. */
  readonly oldestAt: Date | undefined;
  /** Dead letters of this pool. */
  readonly dead: number;
  /** Jobs that wait for their time, and those whose time has come and that are not in the pool's stream yet. */
  readonly scheduled: number;
  /** What of the lane is paused; undefined when nothing is. */
  readonly paused: LanePause | undefined;
}

/** A lane as it was read once. */
export interface ReadLane {
  readonly figures: LaneFigures;
  /** The consumers of its jobs, one for each level, in the order of LEVELS; undefined for one that is not there. */
  readonly consumers: readonly (ConsumerInfo | undefined)[];
}

/** @returns undefined when the pool has no durable lane. @throws PoolError */
export async function laneFigures(
  store: LaneStore,
  names: DurableNames,
  pool: string,
): Promise<LaneFigures | undefined> {
  return (await readLane(store, names, pool))?.figures;
}

/** @returns undefined when the pool has no durable lane. @throws PoolError */
export async function readLane(store: LaneStore, names: DurableNames, pool: string): Promise<ReadLane | undefined> {
  const stream = names.jobsStream(pool);
  const laterStream = names.laterStream(pool);
  const [jobs, later, crons, dead, ...consumers] = await Promise.all([
    store.streamInfo(stream),
    store.streamInfo(laterStream),
    store.count(laterStream, names.everyLater("cron", pool)),
    store.count(names.deadStream, names.every("dead", pool)),
    ...LEVELS.map((level) => store.consumerInfo(stream, level)),
  ]);
  if (jobs === undefined) return undefined;
  const figures = {
    queued: consumers.reduce((sum, consumer) => sum + (consumer?.num_pending ?? 0), 0),
    delivered: consumers.reduce((sum, consumer) => sum + (consumer?.num_ack_pending ?? 0), 0),
    stored: jobs.state.messages,
    oldestAt: jobs.state.messages === 0 ? undefined : new Date(jobs.state.first_ts),
    dead,
    scheduled: Math.max(0, (later?.state.messages ?? 0) - crons),
    paused: pauseOf(consumers),
  };
  return { figures, consumers };
}

/** The one text for a pool without a lane, whoever says it. @param hint what to do about it */
export function noLane(pool: string, hint = ""): PoolError {
  return new PoolError("unknown_pool", `pool ${pool} has no durable lane${hint}`, { field: "pool" });
}
