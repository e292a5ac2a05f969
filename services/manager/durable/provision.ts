/**
 * Creates the streams and consumers that are missing.
 *
 * Decided here: what is there stays as it is. A setting that differs is reported
 * and never changed: an operator may have set it on purpose.
 */
import type { ConsumerInfo, StreamInfo } from "@nats-io/jetstream";
import type { DurableNames } from "../../../mesh/durable/names.js";
import { LEVELS } from "../../../mesh/durable/names.js";
import type { LaneStore } from "../../../mesh/durable/store.js";
import {
  ackWaitMs,
  type ConsumerSettings,
  differences,
  jobsStream,
  levelConsumer,
  type StreamSettings,
  sharedStreams,
} from "../../../mesh/durable/streams.js";
import { PoolError } from "../../../mesh/errors.js";
import type { Logger } from "../../../mesh/process/log.js";

/** Where, and who hears of what differs. */
export interface Provisioning {
  readonly store: LaneStore;
  readonly names: DurableNames;
  /** Copies of each stream in a cluster. */
  readonly replicas: number;
  readonly log: Logger;
}

/** The streams that all pools share. @throws PoolError */
export async function provisionShared(parts: Provisioning): Promise<void> {
  for (const settings of sharedStreams(parts.names, parts.replicas)) await ensureStream(parts, settings);
}

/**
 * The stream of one pool's jobs and its consumers.
 *
 * @returns how long a job may be held without a sign of life, in milliseconds
 * @throws PoolError
 */
export async function provisionPool(parts: Provisioning, pool: string): Promise<number> {
  const settings = jobsStream(parts.names, pool, parts.replicas);
  await ensureStream(parts, settings);
  let waitMs = Number.POSITIVE_INFINITY;
  for (const level of LEVELS) {
    const consumer = await ensureConsumer(parts, settings.name, levelConsumer(parts.names, pool, level));
    waitMs = Math.min(waitMs, ackWaitMs(consumer));
  }
  return waitMs;
}

/** @returns its settings as the broker has them. @throws PoolError */
export async function ensureStream(
  { store, log }: Provisioning,
  settings: StreamSettings,
): Promise<StreamInfo["config"]> {
  const found = await store.streamInfo(settings.name);
  if (found === undefined) {
    const added = await creating(settings.name, () => store.addStream(settings));
    report(log, settings.name, differences(settings, added.config), "the broker does not know a setting");
    log.info({ stream: settings.name }, "stream created");
    return added.config;
  }
  report(
    log,
    settings.name,
    differences(settings, found.config),
    "a stream differs from what is expected; it is left as it is",
  );
  return found.config;
}

/** @throws PoolError */
export async function ensureConsumer(
  { store, log }: Provisioning,
  stream: string,
  settings: ConsumerSettings,
): Promise<ConsumerInfo> {
  const name = settings.durable_name;
  const found = await store.consumerInfo(stream, name);
  if (found === undefined) return creating(`${stream}.${name}`, () => store.addConsumer(stream, settings));
  report(log, `${stream}.${name}`, differences(settings, found.config), "a consumer differs from what is expected");
  return found;
}

function report(log: Logger, what: string, different: readonly string[], message: string): void {
  if (different.length > 0) log.warn({ stream: what, differences: different }, message);
}

/** Two managers that start together may create the same stream: that is no failure. */
async function creating<T>(what: string, create: () => Promise<T>): Promise<T> {
  try {
    return await create();
  } catch (thrown) {
    const text = thrown instanceof Error ? thrown.message : String(thrown);
    const isSpace = /insufficient|no suitable peers/.test(text);
    const why = isSpace ? "; its max_bytes is reserved: the broker needs more storage" : "";
    throw new PoolError("bus_unavailable", `${what} could not be created: ${text}${why}`, { cause: thrown });
  }
}
