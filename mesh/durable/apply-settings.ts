/**
 * Gives streams and consumers of the lane the settings that Poolmesh makes them with, where an operator wishes it.
 *
 * Managers never do this by themselves: a setting that differs may have been set on purpose. What is missing is made by
 * managers, and not here. The broker says what it does not change, such as where a stream is stored.
 */
import { toPoolError } from "../errors.js";
import { type DurableNames, LEVELS } from "./names.js";
import { lanePools } from "./shown/stream-status.js";
import type { LaneStore } from "./store.js";
import {
  allSharedStreams,
  type Difference,
  DUE,
  differing,
  dueConsumer,
  levelConsumer,
  poolStreams,
} from "./streams.js";

/** What became of the settings of one stream, or of one consumer ("STREAM.CONSUMER"), that differed. */
export interface AppliedSettings {
  readonly name: string;
  /** Empty when they could not be read. */
  readonly differences: readonly Difference[];
  /** Why they are as before; undefined when they are set. */
  readonly refusal: string | undefined;
}

/** One stream or consumer. */
interface Part {
  readonly name: string;
  readonly wanted: object;
  /** Undefined when it is not there. */
  readonly found: () => Promise<object | undefined>;
  readonly update: (changes: Record<string, unknown>) => Promise<void>;
}

/**
 * Sets what differs, one stream or consumer after the other.
 *
 * @param pool undefined for all pools, and the streams that they share
 * @returns what differed; empty when nothing did
 * @throws PoolError `bus_unavailable` when the broker cannot be asked
 */
export async function applySettings(
  store: LaneStore,
  names: DurableNames,
  pool: string | undefined,
): Promise<AppliedSettings[]> {
  const pools = pool === undefined ? await lanePools(store, names) : [pool];
  const shared = pool === undefined ? allSharedStreams(names, 1).map((settings) => streamPart(store, settings)) : [];
  const applied: AppliedSettings[] = [];
  for (const part of [...pools.flatMap((each) => poolParts(store, names, each)), ...shared]) {
    const one = await apply(part);
    if (one !== undefined) applied.push(one);
  }
  return applied;
}

async function apply({ name, wanted, found, update }: Part): Promise<AppliedSettings | undefined> {
  let differences: Difference[] = [];
  try {
    const before = await found();
    if (before === undefined) return undefined;
    differences = differing(wanted, before);
    if (differences.length === 0) return undefined;
    await update(Object.fromEntries(differences.map((each) => [each.key, each.wanted])));
    // A broker may leave out what it does not know.
    const left = differing(wanted, (await found()) ?? {});
    const refusal = left.length === 0 ? undefined : `the broker does not set ${left.map(({ key }) => key).join(", ")}`;
    return { name, differences, refusal };
  } catch (thrown) {
    return { name, differences, refusal: toPoolError(thrown).message };
  }
}

function poolParts(store: LaneStore, names: DurableNames, pool: string): Part[] {
  return [
    ...poolStreams(names, pool, 1).map((settings) => streamPart(store, settings)),
    ...LEVELS.map((level) => consumerPart(store, names.jobsStream(pool), level, levelConsumer(names, pool, level))),
    consumerPart(store, names.laterStream(pool), DUE, dueConsumer(names, pool)),
  ];
}

function streamPart(store: LaneStore, wanted: { readonly name: string }): Part {
  const { name } = wanted;
  return {
    name,
    wanted,
    found: async () => (await store.streamInfo(name))?.config,
    update: (changes) => store.updateStream(name, changes),
  };
}

function consumerPart(store: LaneStore, stream: string, consumer: string, wanted: object): Part {
  return {
    name: `${stream}.${consumer}`,
    wanted,
    found: async () => (await store.consumerInfo(stream, consumer))?.config,
    update: (changes) => store.updateConsumer(stream, consumer, changes),
  };
}
