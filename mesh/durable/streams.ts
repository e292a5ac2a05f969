/**
 * The streams and consumers of the durable lane, as they are created. Pure.
 *
 * Decided here: every setting that the lane relies on, and which of a stream's
 * settings count as a difference. Not decided here: who creates them
 * (services/manager/durable/provision.ts).
 */
import type { ConsumerConfig, ConsumerInfo, StreamConfig } from "@nats-io/jetstream";
import { toPoolError } from "../errors.js";
import type { Priority } from "../wire/headers.js";
import { type DurableNames, LEVELS } from "./names.js";

/** A stream to create. */
export type StreamSettings = Partial<StreamConfig> & { readonly name: string };
/** A consumer to create. */
export type ConsumerSettings = Partial<ConsumerConfig> & { readonly durable_name: string; readonly ack_wait: number };

/** How long a job may be held without a sign of life before it is delivered again, in milliseconds. */
export const ACK_WAIT_MS = 30_000;
const NANOS = 1e6;
const GIB = 2 ** 30;
/** The consumer of jobs whose time has come. */
export const DUE = "due";
/** How long a due job may be on its way before it is delivered again, in milliseconds. To move it twice does no harm. */
const DUE_ACK_WAIT_MS = 10_000;
const HOUR_MS = 3_600_000;

/** The stream of one pool's jobs: at most one live job an id, and it refuses what is too much. */
export function jobsStream(names: DurableNames, pool: string, replicas: number): StreamSettings {
  return settings({
    name: names.jobsStream(pool),
    subjects: LEVELS.map((level) => names.jobsOf(pool, level)),
    retention: "workqueue",
    num_replicas: replicas,
    discard: "new",
    max_msgs_per_subject: 1,
    discard_new_per_subject: true,
    max_msgs: 1_000_000,
    max_bytes: GIB,
    duplicate_window: 120_000 * NANOS,
    allow_direct: true,
  });
}

/**
 * The stream of one pool's jobs that wait for their time. The broker publishes each of them again when it has come,
 * from `later` to `due`. Cron schedules are there, too: `cron` and `fired`. Such a stream cannot refuse what is too much: managers count.
 */
export function laterStream(names: DurableNames, pool: string, replicas: number): StreamSettings {
  return settings({
    name: names.laterStream(pool),
    subjects: (["later", "due", "cron", "fired"] as const).map((kind) => names.everyLater(kind, pool)),
    retention: "workqueue",
    num_replicas: replicas,
    discard: "old",
    max_msgs_per_subject: 1,
    duplicate_window: 120_000 * NANOS,
    allow_direct: true,
    allow_msg_schedules: true,
  });
}

/** The consumer of jobs whose time has come, and of what cron schedules fire. All managers pull from it. */
export function dueConsumer(names: DurableNames, pool: string): ConsumerSettings {
  const filter = { filter_subjects: [names.everyLater("due", pool), names.everyLater("fired", pool)] };
  return { ...pulled(DUE, filter), ack_wait: DUE_ACK_WAIT_MS * NANOS };
}

/** The streams that all pools of a mesh share. */
export function sharedStreams(names: DurableNames, replicas: number): StreamSettings[] {
  const shared = {
    retention: "limits",
    num_replicas: replicas,
    discard: "old",
    max_msgs_per_subject: 1,
    allow_direct: true,
  };
  return [
    settings({
      ...shared,
      name: names.outcomesStream,
      subjects: [names.every("outcome")],
      max_age: 24 * HOUR_MS * NANOS,
      max_msgs: 1_000_000,
      max_bytes: 4 * GIB,
      republish: names.republish,
    }),
    settings({
      ...shared,
      name: names.deadStream,
      subjects: [names.every("dead")],
      max_age: 30 * 24 * HOUR_MS * NANOS,
      max_msgs: 100_000,
      max_bytes: GIB,
    }),
    settings({
      ...shared,
      name: names.claimsStream,
      subjects: [names.every("claim")],
      max_age: 30 * 24 * HOUR_MS * NANOS,
    }),
  ];
}

/** The stream of all pools' limits, and of who has leave to run by them. Made with the first limit. */
export function limitsStream(names: DurableNames, replicas: number): StreamSettings {
  return settings({
    name: names.limitsStream,
    subjects: [names.every("limits")],
    retention: "limits",
    num_replicas: replicas,
    discard: "new",
    max_msgs_per_subject: 1,
    max_msgs: 1_000_000,
    max_bytes: GIB / 4,
    allow_direct: true,
    republish: names.limitsRepublish,
  });
}

/** How long a batch is kept after its last change: 30 days, as dead letters are. */
const BATCH_AGE_MS = 30 * 24 * HOUR_MS;

/**
 * The stream of all pools' batches. Made with the first batch. It refuses nothing: an outcome that cannot be counted
 * would hold up its job. Managers count the batches of a pool before they open one.
 */
export function batchesStream(names: DurableNames, replicas: number): StreamSettings {
  return settings({
    name: names.batchesStream,
    subjects: [names.every("batch")],
    retention: "limits",
    num_replicas: replicas,
    discard: "old",
    max_msgs_per_subject: 1,
    max_age: BATCH_AGE_MS * NANOS,
    allow_direct: true,
  });
}

/** All streams of one pool, those among them that are made with the first job that needs them. */
export function poolStreams(names: DurableNames, pool: string, replicas: number): StreamSettings[] {
  return [jobsStream(names, pool, replicas), laterStream(names, pool, replicas)];
}

/** All streams that pools share, those among them that are made with the first limit or batch. */
export function allSharedStreams(names: DurableNames, replicas: number): StreamSettings[] {
  return [...sharedStreams(names, replicas), limitsStream(names, replicas), batchesStream(names, replicas)];
}

/** The consumer of one level. All managers pull from it. */
export function levelConsumer(names: DurableNames, pool: string, level: Priority): ConsumerSettings {
  return pulled(level, { filter_subject: names.jobsOf(pool, level) });
}

function pulled(name: string, filter: Partial<ConsumerConfig>): ConsumerSettings {
  return {
    durable_name: name,
    ...filter,
    ack_policy: "explicit",
    ack_wait: ACK_WAIT_MS * NANOS,
    max_deliver: -1,
    max_ack_pending: 50_000,
    max_waiting: 64,
    // A pull that asks for more would be refused.
    max_batch: 0,
    max_expires: 0,
    max_bytes: 0,
    deliver_policy: "all",
    replay_policy: "instant",
  } as ConsumerSettings;
}

/** How long a job of this consumer may be held without a sign of life, in milliseconds. */
export function ackWaitMs({ config }: Pick<ConsumerInfo, "config">): number {
  return (config.ack_wait ?? ACK_WAIT_MS * NANOS) / NANOS;
}

/** A setting that is not as Poolmesh makes it. */
export interface Difference {
  readonly key: string;
  readonly wanted: unknown;
  readonly found: unknown;
}

/**
 * The settings that differ.
 *
 * Only what was asked for is compared: a newer broker reports settings that it made up itself. The number of
 * copies is the operator's.
 */
export function differing(wanted: object, found: object): Difference[] {
  const there = found as Record<string, unknown>;
  return Object.entries(wanted)
    .filter(([key, value]) => key !== "num_replicas" && !sameSetting(value, there[key]))
    .map(([key, value]) => ({ key, wanted: value, found: there[key] }));
}

/** The same as texts, such as "max_msgs: 1000000 expected, 5000 found"; empty when none differs. */
export function differences(wanted: object, found: object): string[] {
  return differing(wanted, found).map(
    (each) => `${each.key}: ${JSON.stringify(each.wanted)} expected, ${JSON.stringify(each.found)} found`,
  );
}

/** A broker leaves out what is false, 0 or unlimited. */
function sameSetting(wanted: unknown, found: unknown): boolean {
  if (found === undefined || found === null) return wanted === false || wanted === 0 || wanted === -1;
  if (typeof wanted !== "object" || wanted === null) return wanted === found;
  return Object.entries(wanted).every(([key, value]) => sameSetting(value, (found as Record<string, unknown>)[key]));
}

/** What a stream does not have unless it says so, since it would lose messages: they are compared too. */
const UNBOUNDED = { max_age: 0, max_msgs: -1, max_bytes: -1, max_msg_size: -1 };

/** The library's enumerations are these texts. */
function settings(all: Record<string, unknown> & { readonly name: string }): StreamSettings {
  return { storage: "file", ...UNBOUNDED, ...all } as unknown as StreamSettings;
}

/** Copies of a stream where the brokers form a cluster. */
const CLUSTER_REPLICAS = 3;

/**
 * Makes a stream with as many copies as the cluster can hold.
 *
 * @param work makes it with so many copies
 * @throws what `work` throws
 */
export async function withCopies<T>(isCluster: boolean, work: (replicas: number) => Promise<T>): Promise<T> {
  if (!isCluster) return work(1);
  try {
    return await work(CLUSTER_REPLICAS);
  } catch (thrown) {
    if (!/peers|replicas/.test(toPoolError(thrown).message)) throw thrown;
    return work(1);
  }
}
