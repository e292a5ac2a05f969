/** What commands of the durable lane ask: at the broker, or behind a manager. */
import type { BatchOptions } from "../../client/durable/batches/batch-options.js";
import type { CronChange, CronOptions } from "../../client/durable/crons.js";
import type { DeadFilter, DeadLetter } from "../../client/durable/dead-letters.js";
import type { JobPage, JobPageOptions } from "../../client/durable/job-list.js";
import type { JobLookup } from "../../client/durable/job-reads.js";
import type { BatchStatus } from "../../mesh/durable/batches/batch-status.js";
import type { BatchPage, BatchPageOptions } from "../../mesh/durable/batches/read-batches.js";
import type { ShownCron } from "../../mesh/durable/later/cron.js";
import type { Limit } from "../../mesh/durable/limits/limit.js";
import type { LanePause } from "../../mesh/durable/pause/lane-pause.js";
import type { LanesView } from "../../mesh/durable/shown/lanes-view.js";

/** A batch to enqueue from the command line. */
export type NewBatchOptions = BatchOptions & { readonly id: string };

/** The batches of one pool, at the broker or behind a manager. Each rejects with a PoolError. */
export interface BatchSource {
  list(options: BatchPageOptions): Promise<BatchPage>;
  get(id: string): Promise<BatchStatus>;
  enqueue(payloads: AsyncIterable<Uint8Array>, options: NewBatchOptions): Promise<BatchStatus>;
}

/** The cron schedules of one pool, at the broker or behind a manager. Each rejects with a PoolError. */
export interface CronSource {
  list(): Promise<ShownCron[]>;
  set(payload: Uint8Array, options: CronOptions): Promise<CronChange>;
  remove(name: string): Promise<void>;
}

/** A dead letter; its payload is undefined where it was not asked for, or may not be read. */
export type ShownLetter = Omit<DeadLetter, "payload"> & { readonly payload: Uint8Array | undefined };

/** The dead letters of one pool, in their stream or behind a manager. Each rejects with a PoolError. */
export interface DeadSource {
  list(filter: DeadFilter): AsyncIterable<ShownLetter>;
  get(id: string): Promise<ShownLetter | undefined>;
  retry(id: string): Promise<unknown>;
  purge(id: string): Promise<void>;
  /** @throws PoolError `unknown_pool` when the pool has no durable lane */
  requireLane(): Promise<void>;
}

/** The limits of one pool, at the broker or behind a manager. Each rejects with a PoolError. */
export interface LimitSource {
  list(): Promise<Limit[]>;
  set(limit: Limit): Promise<void>;
  remove(target: string): Promise<void>;
}

/** What can be asked. Each rejects with a PoolError. */
export interface LaneSource {
  page(pool: string, options: JobPageOptions): Promise<JobPage>;
  lookup(pool: string, id: string): Promise<JobLookup>;
  /** @param pool undefined for all pools, and the streams that they share */
  lanes(pool: string | undefined): Promise<LanesView>;
  /** @param forMs undefined until it is resumed */
  pause(pool: string, forMs: number | undefined): Promise<LanePause>;
  resume(pool: string): Promise<void>;
}
