/** How full the streams of the lane are, and in what they differ from how they are made. */
import type { ConsumerInfo } from "@nats-io/jetstream";
import { type DurableNames, LEVELS } from "../names.js";
import type { LaneStore } from "../store.js";
import { allSharedStreams, differences, levelConsumer, poolStreams, type StreamSettings } from "../streams.js";

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
  /**
   * Settings that are not as Poolmesh makes them, such as "max_msgs: 1000000 expected, 5000 found"; those of a consumer of the
   * stream with its name, such as "normal ack_wait: …".
   */
  readonly differences: readonly string[];
}

/** The pools that have a stream of jobs, by name. @throws PoolError */
export async function lanePools(store: LaneStore, names: DurableNames): Promise<string[]> {
  const pools = (await store.streamNames()).map((stream) => names.poolOfStream(stream));
  return pools.filter((pool) => pool !== undefined).sort();
}

/**
 * The streams of one pool, as far as they are there.
 *
 * @param consumers those of its jobs, one for each level; undefined for one that is not there
 * @throws PoolError
 */
export async function poolStreamsStatus(
  store: LaneStore,
  names: DurableNames,
  pool: string,
  consumers: readonly (ConsumerInfo | undefined)[],
): Promise<StreamStatus[]> {
  const ofConsumers = LEVELS.flatMap((level, i) => {
    const config = consumers[i]?.config;
    if (config === undefined) return [];
    return differences(levelConsumer(names, pool, level), config).map((each) => `${level} ${each}`);
  });
  const statuses = await statusesOf(store, poolStreams(names, pool, 1));
  return statuses.map((status) =>
    status.name === names.jobsStream(pool)
      ? { ...status, differences: [...status.differences, ...ofConsumers] }
      : status,
  );
}

/** The streams that all pools share, as far as they are there. @throws PoolError */
export async function sharedStreamsStatus(store: LaneStore, names: DurableNames): Promise<StreamStatus[]> {
  return statusesOf(store, allSharedStreams(names, 1));
}

async function statusesOf(store: LaneStore, all: readonly StreamSettings[]): Promise<StreamStatus[]> {
  const found = await Promise.all(all.map((settings) => statusOf(store, settings)));
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
