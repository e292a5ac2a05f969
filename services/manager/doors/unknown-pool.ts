/**
 * Which pools are pools, and which are names that somebody mistyped. Pure.
 *
 * A pool is known when its operator named it, when a worker has sent a heartbeat
 * for it, or when a worker has answered one of its jobs. A job for any other name
 * does not wait, unless its caller says that it may; the name is told to nobody,
 * unless a job waits for it.
 */
import type { Reason } from "../../../mesh/errors.js";
import { nearest } from "../../../mesh/process/config.js";

/** What is known of a pool. */
export interface PoolFacts {
  /** The pool is in the manager's configuration. */
  readonly isNamed: boolean;
  /** Whether any worker has ever sent a heartbeat for it. */
  readonly everHeard: boolean;
  /** Jobs that have ended, by how. */
  readonly outcomes: ReadonlyMap<Reason | "ok", unknown>;
  /** Jobs that have not ended. */
  readonly liveJobs: number;
}

/** Outcomes that only a worker can have brought about. */
const FROM_A_WORKER: readonly (Reason | "ok")[] = ["ok", "job_failed", "job_rejected", "worker_lost"];

/** Whether there is, or ever was, somebody behind the name. */
export function isKnownPool({ isNamed, everHeard, outcomes }: PoolFacts): boolean {
  return isNamed || everHeard || FROM_A_WORKER.some((each) => outcomes.has(each));
}

/** Whether the pool is shown: in heartbeats, on the page, in metrics. */
export function isShownPool(facts: PoolFacts): boolean {
  return facts.liveJobs > 0 || isKnownPool(facts);
}

/**
 * Whether a job waits when nobody can take it now.
 *
 * @param asked what its caller says: `noWait`, and `waitForPool` for a pool that is not there yet
 */
export function mayWait(facts: PoolFacts, asked: { readonly noWait: boolean; readonly waitForPool: boolean }): boolean {
  return !asked.noWait && (asked.waitForPool || isKnownPool(facts));
}

/** Names that a mistyped one is compared with: comparing is quick, and anybody can cause it. */
const MOST_COMPARED = 100;

/** The name that was perhaps meant; undefined when none is near. */
export function nearPool(name: string, pools: Iterable<string>): string | undefined {
  const compared: string[] = [];
  for (const each of pools) {
    if (each !== name && compared.push(each) === MOST_COMPARED) break;
  }
  return nearest(name, compared);
}
