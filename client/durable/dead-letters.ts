/**
 * The dead letters of one pool: jobs that were given up, with why.
 *
 * Decided here: a retried dead letter is deleted only after its job is stored
 * again, so that it is never in neither place. Its new run is over the outcome of its
 * death, and the same retry twice is one job.
 */
import { enqueueRefusal, isTaken } from "../../mesh/durable/answers.js";
import { decodeDurableJob, encodeDurableJob } from "../../mesh/durable/job.js";
import { findLater } from "../../mesh/durable/later/find-later.js";
import { type DurableNames, LEVELS, NATS_HEADER } from "../../mesh/durable/names.js";
import { decodeDeath, jobHeadersOf, sequenceOf } from "../../mesh/durable/outcome.js";
import type { StreamPublisher } from "../../mesh/durable/publisher.js";
import type { LaneStore, Stored } from "../../mesh/durable/store.js";
import { PoolError } from "../../mesh/errors.js";
import { DEFAULT_TIMEOUT_MS } from "../../mesh/job/job.js";
import type { Bus } from "../../mesh/link/bus.js";
import { HEADER, type Priority } from "../../mesh/wire/headers.js";
import { checkName } from "../../mesh/wire/subjects.js";

/** A job that was given up. */
export interface DeadLetter {
  readonly id: string;
  /** Its own sequence in the stream of dead letters. */
  readonly sequence: number;
  /** Why it was given up. */
  readonly error: PoolError;
  /** How often the job was delivered. */
  readonly attempt: number;
  /** The level that it was enqueued at. */
  readonly priority: Priority;
  readonly diedAt: Date;
  /** Whose job it was; "" when it does not say. */
  readonly client: string;
  readonly payload: Uint8Array;
}

/** Which dead letters. Without anything: all. */
export interface DeadFilter {
  /** Of these jobs. */
  readonly ids?: readonly string[];
  /** Given up for this reason. */
  readonly reason?: string;
  /** Given up at least so long ago, in milliseconds. */
  readonly olderThanMs?: number;
  /** At most so many, 1 to 100,000; default 1,000. */
  readonly limit?: number;
  /** Only those stored after the one with this sequence: where the last list ended. */
  readonly after?: number;
}

/** What it works with. */
export interface DeadLettersParts {
  readonly pool: string;
  readonly bus: Bus;
  readonly names: DurableNames;
  readonly store: LaneStore;
  readonly publisher: StreamPublisher;
}

const DEFAULT_LIMIT = 1_000;
const MAX_LIMIT = 100_000;
const ACK_LIMIT_MS = 5_000;

export class DeadLetters {
  readonly #parts: DeadLettersParts;

  constructor(parts: DeadLettersParts) {
    this.#parts = parts;
  }

  /** Oldest first. @throws PoolError */
  async *list(filter: DeadFilter = {}): AsyncGenerator<DeadLetter> {
    const { limit = DEFAULT_LIMIT } = filter;
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
      throw new PoolError("invalid_argument", `limit: use a whole number from 1 to ${MAX_LIMIT}`, { field: "limit" });
    }
    let given = 0;
    for await (const { letter, isMeant } of this.scan(filter)) {
      if (!isMeant) continue;
      yield letter;
      given += 1;
      if (given >= limit) return;
    }
  }

  /** All that are looked at for a list, without its limit, and whether each is meant. @throws PoolError */
  async *scan(filter: DeadFilter): AsyncGenerator<{ readonly letter: DeadLetter; readonly isMeant: boolean }> {
    for await (const letter of filter.ids === undefined ? this.#all(filter.after) : this.#named(filter.ids)) {
      yield { letter, isMeant: this.#isMeant(letter, filter) };
    }
  }

  /** @returns undefined when there is none of this id. @throws PoolError */
  async get(id: string): Promise<DeadLetter | undefined> {
    const { pool, names, store } = this.#parts;
    const stored = await store.last(names.deadStream, names.dead(pool, checkName("job", id)));
    return stored === undefined ? undefined : toLetter(stored);
  }

  /**
   * Stores the job again, as it was; its attempts begin anew.
   *
   * @throws PoolError `not_found`, `duplicate_job` when a job with this id is live, `pool_full`, `bus_unavailable`
   */
  async retry(id: string): Promise<{ readonly id: string; readonly sequence: number }> {
    const { pool, names, store, publisher, bus } = this.#parts;
    const stored = await store.last(names.deadStream, names.dead(pool, checkName("job", id)));
    if (stored === undefined) throw notDead();
    await this.#refuseLive(id);
    const outcome = await store.last(names.outcomesStream, names.outcome(pool, id));
    // It was run again already, and only its deletion was missed.
    if (sequenceOf(outcome?.headers) > sequenceOf(stored.headers)) {
      await store.delete(names.deadStream, stored.sequence);
      throw notDead();
    }
    const job = decodeDurableJob(jobHeadersOf(stored.headers), DEFAULT_TIMEOUT_MS, bus.inboxPrefix);
    const enqueuedAt = bus.runtime.wallNow();
    const headers = encodeDurableJob({ ...job, enqueuedAt, check: true, afterOutcome: outcome?.sequence ?? 0 });
    headers.append(NATS_HEADER.messageId, `${id}.retry.${stored.sequence}`);
    headers.append(NATS_HEADER.expectedStream, names.jobsStream(pool));
    const subject = names.job(pool, toLetter(stored).priority, id);
    const answer = await publisher.publish({ subject, payload: stored.payload, headers }, ACK_LIMIT_MS);
    if (answer.kind !== "stored") throw isTaken(answer) ? isLive() : enqueueRefusal(answer, pool);
    await store.delete(names.deadStream, stored.sequence);
    return { id, sequence: answer.sequence };
  }

  /** Deletes one. @throws PoolError `not_found` */
  async purge(id: string): Promise<void> {
    const { pool, names, store } = this.#parts;
    const stored = await store.last(names.deadStream, names.dead(pool, checkName("job", id)));
    if (stored === undefined || !(await store.delete(names.deadStream, stored.sequence))) throw notDead();
  }

  async #refuseLive(id: string): Promise<void> {
    const { pool, names, store } = this.#parts;
    const stream = names.jobsStream(pool);
    const found = await Promise.all(LEVELS.map((level) => store.last(stream, names.job(pool, level, id))));
    if (found.some((job) => job !== undefined) || (await findLater({ names, store }, pool, id))) throw isLive();
  }

  async *#named(ids: readonly string[]): AsyncGenerator<DeadLetter> {
    for (const id of ids) {
      const letter = await this.get(id);
      if (letter !== undefined) yield letter;
    }
  }

  async *#all(after = 0): AsyncGenerator<DeadLetter> {
    const { pool, names, store } = this.#parts;
    const subject = names.every("dead", pool);
    for (let from = after + 1; ; ) {
      const stored = await store.next(names.deadStream, subject, from);
      if (stored === undefined) return;
      yield toLetter(stored);
      from = stored.sequence + 1;
    }
  }

  #isMeant({ error, diedAt }: DeadLetter, { reason, olderThanMs = 0 }: DeadFilter): boolean {
    if (reason !== undefined && error.reason !== reason) return false;
    return this.#parts.bus.runtime.wallNow() - diedAt.getTime() >= olderThanMs;
  }
}

function toLetter({ subject, sequence, headers, payload }: Stored): DeadLetter {
  const id = subject.slice(subject.lastIndexOf(".") + 1);
  if (headers === undefined) throw new PoolError("internal", "a dead letter without headers");
  const { error, attempt, priority, diedAt } = decodeDeath(headers);
  const level = LEVELS.find((each) => each === priority) ?? "normal";
  const client = headers.get(HEADER.client);
  return { id, sequence, error, attempt, priority: level, diedAt: new Date(diedAt), client, payload };
}

function notDead(): PoolError {
  return new PoolError("not_found", "no dead letter has this id", { field: "job" });
}

function isLive(): PoolError {
  return new PoolError("duplicate_job", "a job with this id is live", { field: "job" });
}
