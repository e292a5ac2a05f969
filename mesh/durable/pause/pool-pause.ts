/**
 * Pauses a pool's durable lane: its consumers bring nothing until they are resumed.
 *
 * Decided here: the broker keeps the pause, so it outlives managers and the broker's
 * process. A pool has a consumer for each level, and all are paused; to do so again in doubt is safe.
 */
import { PoolError } from "../../errors.js";
import type { Priority } from "../../wire/headers.js";
import { isTooOld, NEEDS, unsupported } from "../broker-needs.js";
import { type DurableNames, LEVELS } from "../names.js";
import { noLane } from "../shown/figures.js";
import type { LaneStore } from "../store.js";
import { endOf, FOR_EVER, type LanePause } from "./lane-pause.js";

/** Where. */
export interface PauseParts {
  readonly names: DurableNames;
  readonly store: LaneStore;
  /** Of the broker that this part is connected to. */
  readonly brokerVersion: string | undefined;
}

/** The longest pause with an end: ten years, in milliseconds. */
export const MAX_PAUSE_MS = 10 * 365 * 86_400_000;
/**
 * Pauses all levels.
 *
 * @param forMs how long, in milliseconds; undefined until it is resumed
 * @param wallNowMs milliseconds since the epoch
 * @throws PoolError `invalid_argument`, also for a broker without pauses; `unknown_pool`, `bus_unavailable`
 */
export async function pausePool(
  parts: PauseParts,
  pool: string,
  forMs: number | undefined,
  wallNowMs: number,
): Promise<LanePause> {
  if (forMs !== undefined && !(typeof forMs === "number" && forMs >= 1 && forMs <= MAX_PAUSE_MS)) {
    throw new PoolError("invalid_argument", `forMs: use a number from 1 to ${MAX_PAUSE_MS}`, { field: "forMs" });
  }
  const until = forMs === undefined ? FOR_EVER : new Date(wallNowMs + forMs);
  const paused = await change(parts, pool, (level) =>
    parts.store.pauseConsumer(parts.names.jobsStream(pool), level, until),
  );
  // A broker that does not know the request may answer all the same: what counts is what it says.
  if (paused.every((each) => !each)) throw unsupported("pool", NEEDS.pauses, parts.brokerVersion);
  return { levels: LEVELS.filter((_, i) => paused[i]), until: endOf(until) };
}

/** Resumes all levels; also when none is paused. @throws PoolError `invalid_argument`, `unknown_pool`, `bus_unavailable` */
export async function resumePool(parts: PauseParts, pool: string): Promise<void> {
  await change(parts, pool, (level) => parts.store.pauseConsumer(parts.names.jobsStream(pool), level, new Date(0)));
}

/** An old broker would not answer at all, so it is not asked. */
async function change(
  { brokerVersion }: PauseParts,
  pool: string,
  work: (level: Priority) => Promise<boolean | undefined>,
): Promise<boolean[]> {
  if (isTooOld(brokerVersion, NEEDS.pauses)) throw unsupported("pool", NEEDS.pauses, brokerVersion);
  const changed = await Promise.all(LEVELS.map(work));
  return changed.map((each) => {
    if (each === undefined) throw noLane(pool);
    return each;
  });
}
