/** How full the streams of the lane are, and in what they differ from how they are made. */
import type { DurableNames } from "../names.js";
import type { LaneStore } from "../store.js";
import {
  batchesStream,
  differences,
  jobsStream,
  laterStream,
  limitsStream,
  type StreamSettings,
  sharedStreams,
} from "../streams.js";

/** One stream of the lane. */
export interface StreamStatus {
  readonly name: string;
  readonly messages: number;
  /** Its bound; 0 for none. */
  readonly maxMessages: number;
  readonly bytes: number;
  /** Its bound; 0 for none. */
  readonly maxBytes: number;
  /** Copies in a cluster. */
  readonly replicas: number;
  /** Settings that are not as Poolmesh makes them, such as "max_msgs: 1000000 expected, 5000 found". */
  readonly differences: readonly string[];
}

/** The pools that have a stream of jobs, by name. @throws PoolError */
export async function lanePools(store: LaneStore, names: DurableNames): Promise<string[]> {
  const pools = (await store.streamNames()).map((stream) => names.poolOfStream(stream));
  return pools.filter((pool) => pool !== undefined).sort();
}

/** The streams of one pool, as far as they are there. @throws PoolError */
export async function poolStreamsStatus(store: LaneStore, names: DurableNames, pool: string): Promise<StreamStatus[]> {
  const own = [jobsStream(names, pool, 1), laterStream(names, pool, 1)];
  const found = await Promise.all(own.map((settings) => statusOf(store, settings)));
  return found.filter((status) => status !== undefined);
}

/** The streams that all pools share, as far as they are there. @throws PoolError */
export async function sharedStreamsStatus(store: LaneStore, names: DurableNames): Promise<StreamStatus[]> {
  const shared = [...sharedStreams(names, 1), limitsStream(names, 1), batchesStream(names, 1)];
  const found = await Promise.all(shared.map((settings) => statusOf(store, settings)));
  return found.filter((status) => status !== undefined);
}

async function statusOf(store: LaneStore, wanted: StreamSettings): Promise<StreamStatus | undefined> {
  const info = await store.streamInfo(wanted.name);
  if (info === undefined) return undefined;
  const { config, state } = info;
  return {
    name: wanted.name,
    messages: state.messages,
    maxMessages: Math.max(0, config.max_msgs ?? 0),
    bytes: state.bytes,
    maxBytes: Math.max(0, config.max_bytes ?? 0),
    replicas: config.num_replicas ?? 1,
    differences: differences(wanted, config),
  };
}
