/**
 * Reads where stored jobs stand, out of their streams and from the managers that have them.
 *
 * Decided here: a live job wins over an outcome only when it is to run after it. Used by clients, by managers for their
 * callers over HTTP, and by operators.
 */

import type { ThenStep } from "../../mesh/durable/after/then.js";
import { decodeHeldJob, type HeldJob } from "../../mesh/durable/held-job.js";
import { type DurableJob, decodeDurableJob } from "../../mesh/durable/job.js";
import { findLater, type LaterJob } from "../../mesh/durable/later/find-later.js";
import { type DurableNames, LEVELS } from "../../mesh/durable/names.js";
import { decodeOutcome, type OutcomeFacts } from "../../mesh/durable/outcome.js";
import type { LaneStore, Stored } from "../../mesh/durable/store.js";
import { PoolError } from "../../mesh/errors.js";
import { DEFAULT_TIMEOUT_MS, type Outcome } from "../../mesh/job/job.js";
import type { Bus } from "../../mesh/link/bus.js";
import type { Inbox } from "../../mesh/link/inbox.js";
import { HEADER, type Priority } from "../../mesh/wire/headers.js";
import { notFound } from "./outcome-wait.js";

/** Where a durable job stands. */
export interface JobLookup {
  readonly id: string;
  /**
   * "scheduled": it waits for its time. "held": at a manager, for a slot. "limited": there until its limits let
   * it run. "retrying": it failed and is not yet due. "ended": it has its outcome.
   */
  readonly state: "scheduled" | "queued" | "held" | "limited" | "running" | "retrying" | "ended";
  /** The delivery; 1 for the first, 0 while it is queued or waits for its time. */
  readonly attempt: number;
  /** Failures until it is a dead letter; undefined for one that has ended, or whose headers are wrong. */
  readonly maxAttempts?: number;
  /** Who runs it or ran it; "" for nobody. */
  readonly worker: string;
  /** Its level; undefined for one that has ended. */
  readonly priority?: Priority;
  /** Its sequence in the pool's stream; 0 while it waits for its time. */
  readonly sequence: number;
  /** When it may run; only while it waits for its time. */
  readonly runAt?: Date;
  /** Undefined when its sender does not say. */
  readonly enqueuedAt?: Date;
  readonly endedAt?: Date;
  /** Whose job it is; "" when it does not say. */
  readonly client: string;
  /** The jobs that follow it, in their order; undefined when none does, and for one that has ended. */
  readonly then?: readonly ThenStep[];
  /** Once it has ended; the job that follows is `next` of its result. */
  readonly outcome?: Outcome;
}

/** A live job in its stream. */
export interface LiveJob {
  readonly id: string;
  readonly level: Priority;
  readonly sequence: number;
  /** When it may run, milliseconds since the epoch; only while it waits for its time. */
  readonly runAt?: number;
  /** What it says of itself; undefined when its headers are wrong. */
  readonly job: DurableJob | undefined;
}

/** An outcome in its stream. */
export interface EndedJob {
  readonly outcome: Outcome;
  readonly facts: OutcomeFacts;
  /** The outcome's own sequence. */
  readonly sequence: number;
}

/** What the streams have of an id. */
export interface FoundJob {
  readonly live: LiveJob | undefined;
  /** With `live`: the outcome of an earlier job of the id. */
  readonly ended: EndedJob | undefined;
}

/** What it works with. */
export interface JobReadsParts {
  readonly pool: string;
  readonly bus: Bus;
  readonly inbox: Inbox;
  readonly names: DurableNames;
  readonly store: LaneStore;
}

/** How long the manager that holds a job has to say so, in milliseconds. */
const HELD_LIMIT_MS = 150;

export class JobReads {
  readonly #parts: JobReadsParts;

  constructor(parts: JobReadsParts) {
    this.#parts = parts;
  }

  /** What the streams have of an id. @throws PoolError `invalid_argument`, `bus_unavailable` */
  async find(id: string): Promise<FoundJob> {
    const found = await this.#findNow(id);
    if (found.live !== undefined) return found;
    const waiting = await findLater(this.#parts, this.#parts.pool, id);
    // Its time has just come, perhaps: then it is in the pool's stream by now.
    if (waiting === undefined) return found.ended === undefined ? this.#findNow(id) : found;
    const later = this.laterToLive(waiting);
    // A job that is canceled while it waits has its outcome before it is deleted.
    return isAnsweredBy(later, found.ended) ? found : { live: later, ended: found.ended };
  }

  async #findNow(id: string): Promise<FoundJob> {
    const { pool, names, store } = this.#parts;
    const stream = names.jobsStream(pool);
    // In this order: an outcome is stored before its job is deleted.
    const looks = await Promise.all(LEVELS.map((level) => store.lastShown(stream, names.job(pool, level, id))));
    const live = looks.flatMap((stored) => (stored === undefined ? [] : [this.toLive(stored)]))[0];
    const stored = await store.lastShown(names.outcomesStream, names.outcome(pool, id));
    const ended = stored === undefined ? undefined : toEnded(id, stored);
    return { live: live !== undefined && isAnsweredBy(live, ended) ? undefined : live, ended };
  }

  /** Where a job stands. @throws PoolError `not_found` */
  async lookup(id: string): Promise<JobLookup> {
    return this.standing(id, await this.find(id));
  }

  /** The same for what was found already. @throws PoolError `not_found` */
  async standing(id: string, { live, ended }: FoundJob): Promise<JobLookup> {
    if (live !== undefined) return this.liveStanding(live);
    if (ended !== undefined) return endedStanding(id, ended);
    throw notFound();
  }

  /** Where a live job stands: who holds it says so; nobody does while it is queued. */
  async liveStanding(live: LiveJob): Promise<JobLookup> {
    return toLookup(live, live.runAt === undefined ? await this.#held(live.id) : undefined);
  }

  /** A message of the pool's stream. */
  toLive({ subject, sequence, headers }: Stored): LiveJob {
    const { id = "", level = "normal" } = this.#parts.names.readJob(subject) ?? {};
    return { id, level, sequence, job: this.#readJob(headers) };
  }

  /** A message of the stream of jobs for later. */
  laterToLive({ subject, headers, runAt }: LaterJob): LiveJob {
    const level = LEVELS.find((each) => each === headers?.get(HEADER.priority)) ?? "normal";
    return { id: this.#parts.names.idOf(subject), level, sequence: 0, runAt, job: this.#readJob(headers) };
  }

  #readJob(headers: Stored["headers"]): DurableJob | undefined {
    try {
      return decodeDurableJob(headers, DEFAULT_TIMEOUT_MS, this.#parts.bus.inboxPrefix);
    } catch {
      // A manager buries it, and says why.
      return undefined;
    }
  }

  async #held(id: string): Promise<HeldJob | undefined> {
    const { pool, names, inbox } = this.#parts;
    const question = { subject: names.lookup(pool), payload: Buffer.from(id), limitMs: HELD_LIMIT_MS };
    const answer = await inbox.ask(question);
    return answer.kind === "reply" ? decodeHeldJob(answer.msg.data) : undefined;
  }
}

/**
 * Whether an outcome is that of a live job: its own, or the kept one of an id that is used again, which a manager lets
 * stand. One that is to run again names the outcome that it runs after.
 */
function isAnsweredBy({ job }: LiveJob, ended: EndedJob | undefined): boolean {
  return ended !== undefined && ended.sequence > (job?.afterOutcome ?? 0);
}

/** A live job as it stands. @param held what its manager says; undefined when nobody has it */
export function toLookup({ id, level, sequence, runAt, job }: LiveJob, held: HeldJob | undefined): JobLookup {
  return {
    id,
    ...(held ?? { state: runAt === undefined ? "queued" : "scheduled", attempt: 0, worker: "" }),
    ...(runAt === undefined ? {} : { runAt: new Date(runAt) }),
    ...(job === undefined ? {} : { maxAttempts: job.maxAttempts }),
    ...(job === undefined || job.then.length === 0 ? {} : { then: job.then }),
    priority: level,
    sequence,
    ...(job?.enqueuedAt === undefined ? {} : { enqueuedAt: new Date(job.enqueuedAt) }),
    client: job?.client ?? "",
  };
}

function endedStanding(id: string, { outcome, facts }: EndedJob): JobLookup {
  const { attempt, worker } = outcome.ok ? outcome.result : outcome;
  const { sequence, enqueuedAt, endedAt, client } = facts;
  const times = endedAt === 0 ? {} : { enqueuedAt: new Date(enqueuedAt), endedAt: new Date(endedAt) };
  return { id, state: "ended", attempt, worker, sequence, ...times, client, outcome };
}

function toEnded(id: string, { headers, payload, sequence }: Stored): EndedJob | undefined {
  const decoded = decodeOutcome(id, headers, payload);
  return decoded === undefined ? undefined : { ...decoded, sequence };
}

/** A page is as long as it may be, in jobs. */
export const MAX_PAGE = 1_000;

/** @throws PoolError `invalid_argument` */
export function checkPageSize(field: string, size: number): number {
  if (Number.isInteger(size) && size >= 1 && size <= MAX_PAGE) return size;
  throw new PoolError("invalid_argument", `${field}: use a whole number from 1 to ${MAX_PAGE}`, { field });
}
