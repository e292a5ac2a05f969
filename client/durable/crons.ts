/**
 * The cron schedules of one pool, for operators.
 *
 * Decided here: a manager sets and removes them, since it makes the stream and counts; they are read from the
 * stream itself.
 */
import { encodeDurableJob } from "../../mesh/durable/job.js";
import { type Cron, checkCron, checkCronName, encodeCron, type Overlap } from "../../mesh/durable/later/cron.js";
import { listCrons } from "../../mesh/durable/later/list-crons.js";
import type { DurableNames } from "../../mesh/durable/names.js";
import type { LaneStore } from "../../mesh/durable/store.js";
import { checkPayload } from "../../mesh/job/codec.js";
import { DEFAULT_TIMEOUT_MS, type Payload, toBytes } from "../../mesh/job/job.js";
import type { Bus } from "../../mesh/link/bus.js";
import { Inbox } from "../../mesh/link/inbox.js";
import { HEADER } from "../../mesh/wire/headers.js";
import { wireHeaders } from "../../mesh/wire/wire-headers.js";
import { askDoor } from "./ask-door.js";
import { checkEnqueueOptions, type EnqueueOptions } from "./enqueue-options.js";

/** What its jobs are enqueued with. The jobs that follow each of them (`then`) have no ids of their own here: a job of an id runs once. */
export type CronJobOptions = Pick<
  EnqueueOptions,
  "priority" | "timeoutMs" | "maxAttempts" | "backoff" | "idempotent" | "keepOutcome" | "client" | "then"
>;

/** A cron schedule to set. */
export type CronOptions = CronJobOptions & {
  /** Up to 40 letters, digits, `_` and `-`. With `overlap: "skip"` it is the id of the jobs, else they are `NAME-NUMBER`. */
  name: string;
  /** Six fields from seconds on, five as in crontab, or "@every 90s", "@hourly", "@daily", "@weekly", "@monthly", "@yearly". */
  schedule: string;
  /** An IANA name such as "Europe/Berlin"; default UTC. */
  timeZone?: string;
  /** What to do when it fires while its last job has not ended: no new job, or one more; default "skip". */
  overlap?: Overlap;
};

/** What became of a schedule that was set. */
export type CronChange = "created" | "changed" | "unchanged";

/** What it works with. */
export interface CronsParts {
  readonly pool: string;
  readonly bus: Bus;
  readonly names: DurableNames;
  readonly store: LaneStore;
}

/** Checks a schedule. @throws PoolError `invalid_argument` */
export function toCronSpec(payload: Payload, options: CronOptions, wallNowMs: number): Cron {
  const { name, schedule, timeZone, overlap, ...jobs } = options;
  const { job, level } = checkEnqueueOptions(jobs, DEFAULT_TIMEOUT_MS, wallNowMs);
  return {
    ...checkCron({ name, schedule, timeZone, overlap }),
    priority: level,
    job,
    payload: checkPayload(toBytes(payload)),
  };
}

export class Crons {
  readonly #parts: CronsParts;
  #inbox: Inbox | undefined;

  constructor(parts: CronsParts) {
    this.#parts = parts;
  }

  /**
   * Sets a schedule; one of the same name gives way, and one that is the same already is left alone.
   *
   * @param payload that of its jobs
   * @throws PoolError `invalid_argument` also for a broker older than nats-server 2.14, `pool_full`, `unknown_pool`, `bus_unavailable`
   */
  async set(payload: Payload, options: CronOptions): Promise<CronChange> {
    const { bus } = this.#parts;
    const cron = toCronSpec(payload, options, bus.runtime.wallNow());
    const headers = encodeDurableJob({ ...cron.job, enqueuedAt: undefined });
    headers.append(HEADER.cron, "set");
    encodeCron(headers, cron, cron.priority);
    const { change } = await this.#ask(headers, cron.payload);
    return change === "created" || change === "unchanged" ? change : "changed";
  }

  /** Its jobs go on. @throws PoolError `not_found`, `invalid_argument`, `unknown_pool`, `bus_unavailable` */
  async remove(name: string): Promise<void> {
    checkCronName(name);
    const headers = wireHeaders();
    headers.append(HEADER.cron, "remove");
    headers.append(HEADER.cronName, name);
    await this.#ask(headers, new Uint8Array());
  }

  /** By name; at most 1,000. @throws PoolError */
  list(): Promise<Cron[]> {
    return listCrons(this.#parts, this.#parts.pool);
  }

  stop(): void {
    this.#inbox?.stop();
  }

  async #ask(
    headers: ReturnType<typeof encodeDurableJob>,
    payload: Uint8Array,
  ): Promise<Readonly<Record<string, unknown>>> {
    const { pool, bus, names } = this.#parts;
    this.#inbox ??= new Inbox(bus);
    const asker = { bus, inbox: this.#inbox, pool, what: "cron schedules" };
    const said = await askDoor(asker, { subject: names.crons(pool), payload, headers });
    return (said ?? {}) as Readonly<Record<string, unknown>>;
  }
}
