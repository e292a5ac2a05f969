/**
 * Creates the streams and consumers that are missing.
 *
 * Decided here: what is there stays as it is. A setting that differs is reported
 * and never changed: an operator may have set it on purpose.
 */
import type { ConsumerInfo, StreamInfo } from "@nats-io/jetstream";
import type { DurableNames } from "../../../mesh/durable/names.js";
import { LEVELS } from "../../../mesh/durable/names.js";
import { isOff, isWithoutAnswer, type LaneStore } from "../../../mesh/durable/store.js";
import {
  ackWaitMs,
  type ConsumerSettings,
  differences,
  jobsStream,
  levelConsumer,
  type StreamSettings,
  sharedStreams,
} from "../../../mesh/durable/streams.js";
import { PoolError, toPoolError } from "../../../mesh/errors.js";
import { delay, type Runtime } from "../../../mesh/link/runtime.js";
import type { Logger } from "../../../mesh/process/log.js";

/** Where, and who hears of what differs. */
export interface Provisioning {
  readonly store: LaneStore;
  readonly names: DurableNames;
  /** Copies of each stream in a cluster. */
  readonly replicas: number;
  readonly log: Logger;
}

/** How long a start tries when it does not wait, and how long it waits after each failure, in milliseconds. */
export const START_LIMIT_MS = 15_000;
const RETRY_MS = 1_000;

/** How patient a start is. */
export interface Patience {
  readonly runtime: Pick<Runtime, "after" | "now">;
  readonly log: Logger;
  /** A service waits for its store as it waits for its broker: a cluster that has just been switched on needs an election. */
  readonly waits: boolean;
  /** Whether it is stopped meanwhile. */
  readonly isOver: () => boolean;
}

/**
 * Tries until the streams are there. What does not pass by itself, such as a broker without JetStream, is thrown at once;
 * what may pass, such as a broker without space, after {@link START_LIMIT_MS}. No answer is waited out by who waits.
 *
 * @throws PoolError `bus_unavailable`
 */
export async function untilProvisioned(
  { runtime, log, waits, isOver }: Patience,
  provision: () => Promise<void>,
): Promise<void> {
  const endAtMs = runtime.now() + START_LIMIT_MS;
  for (let told = ""; ; ) {
    try {
      return await provision();
    } catch (thrown) {
      const isLate = runtime.now() >= endAtMs && !(waits && isWithoutAnswer(thrown));
      if (isOff(thrown) || isLate || isOver()) throw thrown;
      const { message } = toPoolError(thrown);
      if (message !== told) log.warn({ reason: message }, "waiting for the broker's store");
      told = message;
      await delay(runtime, RETRY_MS);
    }
  }
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
