/**
 * What is wrong with a pool, and how hot it is. Pure.
 *
 * Decided here: when a pool is failing or saturated, in which words that is said, and which pool
 * comes first. The page and the terminal say the same.
 */

import { plainText } from "../mesh/plain-text.js";
import { count, duration, percent, plural } from "./format.js";

/** The figures that are looked at, as in PoolCapacity. */
export interface PoolFigures {
  readonly pool: string;
  readonly slots: number;
  readonly busy: number;
  readonly utilization: number;
  readonly parked: number;
  readonly oldestWaitMs: number;
  readonly conflicts: number;
  readonly managers: number;
  readonly endedLastMinute: bigint;
  readonly failedLastMinute: bigint;
  readonly coveringStreams: readonly string[];
  readonly workers?:
    | {
        readonly starting: number;
        readonly ready: number;
        readonly paused: number;
        readonly draining: number;
        readonly stopped: number;
        readonly lost: number;
      }
    | undefined;
}

/** One thing that is wrong. All text is safe to show on one line. */
export interface PoolWarning {
  readonly kind: "stream" | "managers" | "failing" | "lost" | "conflict" | "full" | "slots" | "draining" | "parked";
  /** Two or three words, for a list. */
  readonly short: string;
  /** A sentence or two, with what to do; empty where the list's words say all. */
  readonly text: string;
  readonly tone: "coral" | "amber";
}

/** So many failures make a pool failing from this share on; from the larger share on one is enough. */
const FAILURES = 3;
const FAILING_SHARE = 0.05;
const MOSTLY_FAILING_SHARE = 0.5;
/** A pool with parked jobs is saturated from this share of busy slots on, or when one has waited for so long, in milliseconds. */
const FULL_SHARE = 0.8;
const LONG_WAIT_MS = 1_000;

/** The share of the jobs of the last minute that failed; undefined when none has ended. */
export function failureShare(pool: Pick<PoolFigures, "endedLastMinute" | "failedLastMinute">): number | undefined {
  const ended = Number(pool.endedLastMinute);
  return ended === 0 ? undefined : Number(pool.failedLastMinute) / ended;
}

/** Whether so many jobs fail that somebody should look. */
export function isFailing(pool: Pick<PoolFigures, "endedLastMinute" | "failedLastMinute">): boolean {
  const share = failureShare(pool) ?? 0;
  return share >= MOSTLY_FAILING_SHARE || (share >= FAILING_SHARE && pool.failedLastMinute >= FAILURES);
}

/**
 * Whether jobs wait for slots. With short jobs a slot may be free at the moment at which it is looked at. All pools together
 * are not saturated: the slots of one are none for the jobs of another.
 */
export function isSaturated(pool: Pick<PoolFigures, "pool" | "slots" | "busy" | "parked" | "oldestWaitMs">): boolean {
  const { pool: name, slots, busy, parked, oldestWaitMs } = pool;
  return name !== "" && parked > 0 && slots > 0 && (busy >= slots * FULL_SHARE || oldestWaitMs >= LONG_WAIT_MS);
}

/** Everything that is wrong, the worst first. */
export function poolWarnings(pool: PoolFigures): PoolWarning[] {
  const { slots, parked, conflicts, managers } = pool;
  const counts = pool.workers;
  const warnings: PoolWarning[] = [];
  const warn = (kind: PoolWarning["kind"], tone: PoolWarning["tone"], short: string, text = ""): void => {
    warnings.push({ kind, tone, short, text });
  };
  for (const stream of pool.coveringStreams) warn("stream", "coral", "stream", streamText(plainText(stream)));
  if (managers === 0 && hasWorkers(pool)) warn("managers", "coral", "no manager", NO_MANAGER);
  if (isFailing(pool)) warn("failing", "coral", `${percent(failureShare(pool) ?? 0)} fail`, failingText(pool));
  if ((counts?.lost ?? 0) > 0) warn("lost", "coral", `${count(counts?.lost ?? 0)} lost`);
  if (conflicts > 0) warn("conflict", "coral", plural(conflicts, "conflict"));
  if (isSaturated(pool)) warn("full", "amber", "saturated", `Jobs wait for slots: ${parkedText(pool)}`);
  if (parked > 0 && slots === 0) warn("slots", "coral", "no slot", `No slot is ready, and ${parkedText(pool)}`);
  if (parked > 0) warn("parked", "amber", `${count(parked)} parked`);
  if ((counts?.draining ?? 0) > 0) warn("draining", "amber", `${count(counts?.draining ?? 0)} draining`);
  return warnings;
}

/** How much a pool wants to be looked at: 3 for one that fails its callers, 0 for one in order. */
export function severity(pool: PoolFigures): 0 | 1 | 2 | 3 {
  const { slots, parked, conflicts, managers, workers } = pool;
  if (pool.coveringStreams.length > 0 || isFailing(pool) || (managers === 0 && hasWorkers(pool))) return 3;
  const isShort = isSaturated(pool) || (parked > 0 && slots === 0);
  if (isShort || conflicts > 0 || (workers?.lost ?? 0) > 0) return 2;
  return parked > 0 || (workers?.draining ?? 0) > 0 ? 1 : 0;
}

const NO_MANAGER =
  "No manager serves it: what is submitted over NATS or HTTP is not heard. Start one with: poolmesh manager";

function streamText(stream: string): string {
  return (
    `The JetStream stream ${stream} captures its job subjects and answers in the place of workers. ` +
    "Give that stream other subjects."
  );
}

function failingText(pool: PoolFigures): string {
  return `${count(pool.failedLastMinute)} of ${plural(Number(pool.endedLastMinute), "job")} that ended in the last minute failed.`;
}

function parkedText({ parked, oldestWaitMs }: PoolFigures): string {
  return `${plural(parked, "job")} ${parked === 1 ? "is" : "are"} parked; the oldest has waited for ${duration(oldestWaitMs)}.`;
}

function hasWorkers({ workers }: PoolFigures): boolean {
  return workers !== undefined && workers.starting + workers.ready + workers.paused + workers.draining > 0;
}
