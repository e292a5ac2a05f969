/**
 * The job that a firing of a cron schedule makes.
 *
 * Decided here: with "skip" all its jobs have one id, the schedule's name, and a firing while one is live makes
 * none; each runs over the outcome of the one before. A firing is as old as its message, so one that comes
 * twice is known by the outcome of its first job. With "allow" each firing has an id of its own.
 */

import { type DurableJob, encodeDurableJob } from "../../../../mesh/durable/job.js";
import { toCron } from "../../../../mesh/durable/later/cron.js";
import type { LaterPlaces } from "../../../../mesh/durable/later/find-later.js";
import { LEVELS } from "../../../../mesh/durable/names.js";
import { decodeOutcome } from "../../../../mesh/durable/outcome.js";
import type { HeaderReader } from "../../../../mesh/wire/wire-headers.js";

/** A firing as it was delivered. */
export interface Firing {
  /** The schedule's. */
  readonly name: string;
  readonly headers: HeaderReader | undefined;
  readonly payload: Uint8Array;
  readonly sequence: number;
  /** When the stream stored it, nanoseconds since the epoch. */
  readonly storedAt: string;
}

/** A job to store. */
export interface FiredJob {
  readonly id: string;
  readonly headers: ReturnType<typeof encodeDurableJob>;
}

/** A number has no room for nanoseconds since the epoch: these digits are left out for milliseconds. */
const NANO_DIGITS = 6;

/** @returns undefined when the firing makes no job. @throws PoolError */
export async function firedJob(places: LaterPlaces, pool: string, firing: Firing): Promise<FiredJob | undefined> {
  const { names, store } = places;
  const { name, headers, payload, sequence } = firing;
  const { overlap, job } = toCron({ headers, payload });
  const enqueuedAt = Number(firing.storedAt.slice(0, -NANO_DIGITS));
  if (overlap === "allow") return toJob(`${name}-${sequence}`, job, enqueuedAt, 0);
  // In this order: an outcome is stored before its job is deleted.
  const stream = names.jobsStream(pool);
  const live = await Promise.all(LEVELS.map((level) => store.last(stream, names.job(pool, level, name))));
  if (live.some((each) => each !== undefined)) return undefined;
  const stored = await store.last(names.outcomesStream, names.outcome(pool, name));
  const last = stored && decodeOutcome(name, stored.headers, stored.payload);
  if (last !== undefined && last.facts.enqueuedAt >= enqueuedAt) return undefined;
  return toJob(name, job, enqueuedAt, stored?.sequence ?? 0);
}

function toJob(id: string, job: DurableJob, enqueuedAt: number, afterOutcome: number): FiredJob {
  return { id, headers: encodeDurableJob({ ...job, enqueuedAt, afterOutcome, check: true }) };
}
