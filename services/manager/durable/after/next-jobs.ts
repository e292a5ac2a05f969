/**
 * Enqueues the job that follows a stored job.
 *
 * Decided here: the outcome of the first job is stored, then the next job is stored with that
 * outcome's result as its payload, then the first job is acknowledged. So whoever gets the first job again
 * enqueues the same next job: it has the same id and the same payload, and an id is stored once. A next
 * job that cannot be stored for a while is tried again; one whose pool does not exist becomes a dead letter.
 */

import { nextJob } from "../../../../mesh/durable/after/then.js";
import { isTaken, type PublishAnswer } from "../../../../mesh/durable/answers.js";
import { type DurableJob, encodeDurableJob } from "../../../../mesh/durable/job.js";
import { type DurableNames, LEVELS, NATS_HEADER } from "../../../../mesh/durable/names.js";
import { encodeDeath, encodeOutcome } from "../../../../mesh/durable/outcome.js";
import type { StreamPublisher } from "../../../../mesh/durable/publisher.js";
import type { LaneStore } from "../../../../mesh/durable/store.js";
import { PoolError, toPoolError } from "../../../../mesh/errors.js";
import type { NextJob } from "../../../../mesh/job/job.js";
import type { Bus } from "../../../../mesh/link/bus.js";
import type { Logger } from "../../../../mesh/process/log.js";
import type { Priority } from "../../../../mesh/wire/headers.js";
import { isReference } from "../../../../mesh/wire/payloads.js";

/** What it works with. */
export interface NextJobsParts {
  /** The pool of the first job. */
  readonly pool: string;
  /** This manager's id. */
  readonly manager: string;
  readonly bus: Bus;
  readonly names: DurableNames;
  readonly store: LaneStore;
  readonly publisher: StreamPublisher;
  readonly log: Logger;
}

/** A job to store because others have ended. */
export interface FollowingJob {
  readonly ref: NextJob;
  readonly level: Priority;
  readonly payload: Uint8Array;
  readonly job: DurableJob;
  /** What it follows, for the log and the message id, such as "adder.invoice-7.12". */
  readonly origin: string;
  /** When that ended, milliseconds since the epoch. */
  readonly endedAt: number;
}

/** A job that has a result. */
export interface FirstJob {
  readonly id: string;
  readonly level: Priority;
  readonly job: DurableJob;
  /** Of the job whose outcome is stored. */
  readonly sequence: number;
  readonly result: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly endedAt: number;
}

const ACK_LIMIT_MS = 2_000;
/** When a job is tried again that could not be stored, and one whose pool is full or has no stream, in milliseconds. */
const AGAIN_MS = 1_000;
const LATER_MS = 5_000;
/** How long the next pool may have no stream until the next job is given up, in milliseconds. */
const ABSENT_LIMIT_MS = 600_000;

export class NextJobs {
  readonly #parts: NextJobsParts;

  constructor(parts: NextJobsParts) {
    this.#parts = parts;
  }

  /** Enqueues what follows a job. @returns when to try again, milliseconds; undefined when it is done */
  follow({ id, level, job, sequence, result, endedAt }: FirstJob): Promise<number | undefined> {
    const { pool } = this.#parts;
    const ref = nextJob(pool, id, sequence, job.then);
    if (ref === undefined) return Promise.resolve(undefined);
    const next: DurableJob = {
      ...job,
      then: job.then.slice(1),
      batch: undefined,
      enqueuedAt: endedAt,
      keepOutcome: true,
      check: true,
      afterOutcome: 0,
      notify: undefined,
    };
    return this.store({ ref, level, payload: result, job: next, origin: `${pool}.${id}.${sequence}`, endedAt });
  }

  /** Stores a job once. @returns when to try again, milliseconds; undefined when it is done */
  async store(following: FollowingJob): Promise<number | undefined> {
    const { bus } = this.#parts;
    const { ref, endedAt } = following;
    try {
      if (isReference(following.payload)) return await this.#bury(following, notPassedOn());
      const answer = await this.#publish(following);
      if (answer.kind === "stored") return undefined;
      if (isTaken(answer)) return await this.#onTaken(following);
      const isGivenUp = answer.kind === "absent" && bus.runtime.wallNow() - endedAt >= ABSENT_LIMIT_MS;
      if (isGivenUp) return await this.#bury(following, noSuchPool(ref.pool));
      this.#tell(following, textOf(answer));
      return answer.kind === "silent" ? AGAIN_MS : LATER_MS;
    } catch (thrown) {
      this.#tell(following, toPoolError(thrown).message);
      return AGAIN_MS;
    }
  }

  #publish({ ref, level, payload, job, origin }: FollowingJob): Promise<PublishAnswer> {
    const { names, publisher } = this.#parts;
    const headers = encodeDurableJob(job);
    headers.append(NATS_HEADER.messageId, `${ref.id}.after.${origin}`);
    headers.append(NATS_HEADER.expectedStream, names.jobsStream(ref.pool));
    return publisher.publish({ subject: names.job(ref.pool, level, ref.id), payload, headers }, ACK_LIMIT_MS);
  }

  /** A live job has the id: this one, enqueued before; or another one, to which its caller gave the same id. */
  async #onTaken({ ref, payload, origin }: FollowingJob): Promise<undefined> {
    const { names, store, log } = this.#parts;
    const stream = names.jobsStream(ref.pool);
    const found = await Promise.all(LEVELS.map((level) => store.last(stream, names.job(ref.pool, level, ref.id))));
    const live = found.find((each) => each !== undefined);
    if (live === undefined || Buffer.compare(live.payload, payload) === 0) return undefined;
    log.warn({ pool: ref.pool, job: ref.id, after: origin }, "another live job has the id of the job that follows");
    return undefined;
  }

  /** The dead letter first, as for every job; then its outcome, which those hear who wait for the end of the chain. */
  async #bury({ ref, level, payload, job, origin }: FollowingJob, error: PoolError): Promise<number | undefined> {
    const { names, publisher, manager, bus, log } = this.#parts;
    const diedAt = bus.runtime.wallNow();
    const death = encodeDeath(encodeDurableJob(job), error, {
      sequence: 0,
      attempt: 0,
      manager,
      priority: level,
      diedAt,
    });
    const subject = names.dead(ref.pool, ref.id);
    const dead = await publisher.publish({ subject, payload, headers: death }, ACK_LIMIT_MS);
    if (dead.kind !== "stored") return LATER_MS;
    const { enqueuedAt = diedAt, client } = job;
    const facts = { sequence: 0, manager, attempt: 0, enqueuedAt, endedAt: diedAt, client };
    const outcome = encodeOutcome({ ok: false, id: ref.id, error, worker: "", attempt: 0 }, facts);
    outcome.headers.append(NATS_HEADER.expectedLastSubjectSequence, "0");
    const told = await publisher.publish({ subject: names.outcome(ref.pool, ref.id), ...outcome }, ACK_LIMIT_MS);
    if (told.kind === "silent" || told.kind === "absent") return LATER_MS;
    log.warn(
      { pool: ref.pool, job: ref.id, after: origin, reason: error.reason },
      "a job that follows was given up: dead letter",
    );
    return undefined;
  }

  #tell({ ref, origin }: FollowingJob, why: string): void {
    const about = { pool: ref.pool, job: ref.id, after: origin, why };
    this.#parts.log.warn(about, "a job that follows is not stored yet; it is tried again");
  }
}

/** The object belongs to the job that made it. */
function notPassedOn(): PoolError {
  const message = "a result over the broker's limit is not passed on to the job that follows";
  return new PoolError("payload_too_large", message, { field: "then" });
}

function noSuchPool(pool: string): PoolError {
  return new PoolError("unknown_pool", `pool ${pool}, which was to run what follows, has no durable lane`, {
    field: "then",
  });
}

function textOf(answer: Exclude<PublishAnswer, { kind: "stored" }>): string {
  if (answer.kind === "refused") return `${answer.text} (${answer.code})`;
  return answer.kind === "absent" ? "its stream is not there" : "no acknowledgement in time";
}
