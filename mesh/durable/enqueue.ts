/**
 * Stores one job: published until the stream has acknowledged it.
 *
 * Decided here: a publish without an answer is repeated, and is stored once: the
 * stream has one live job an id. A job that has ended meanwhile is stored again,
 * so a repeated job also says that its outcome must be looked for. An id that is
 * taken by a live job with the same payload is that job. Used by clients and by the
 * manager's enqueue subject.
 */
import { PoolError, toPoolError } from "../errors.js";
import type { Bus } from "../link/bus.js";
import { delay } from "../link/runtime.js";
import { HEADER, type Priority } from "../wire/headers.js";
import { checkNotItself } from "./after/then.js";
import { enqueueRefusal, isTaken, type PublishAnswer } from "./answers.js";
import { type BatchPlace, encodePlace } from "./batches/batch-place.js";
import { type DurableJob, durablePayloadLimit, encodeDurableJob } from "./job.js";
import { findLater, type LaterJob } from "./later/find-later.js";
import { type DurableNames, LEVELS, NATS_HEADER } from "./names.js";
import type { StreamMessage, StreamPublisher } from "./publisher.js";
import { isOff, type LaneStore } from "./store.js";

/** A job to store. */
export interface NewJob {
  readonly pool: string;
  readonly id: string;
  /** Its caller chose the id, so other jobs may have it. */
  readonly isNamed: boolean;
  /** Whether a live job may have the id at another level, or one that waits for its time; default: it may. */
  readonly mayBeElsewhere?: (() => Promise<boolean>) | undefined;
  readonly level: Priority;
  readonly payload: Uint8Array;
  readonly job: DurableJob;
  /** How long to try, in milliseconds. */
  readonly limitMs: number;
}

/** A job that is stored. */
export interface StoredJob {
  readonly id: string;
  /** Its sequence in the pool's stream; 0 for one that waits for its time. */
  readonly sequence: number;
  /** A live job with this id and payload was there already: it is this one. */
  readonly duplicate: boolean;
  /** When it may run, for one that waits for its time. */
  readonly runAt?: Date;
}

/** What it works with. */
export interface EnqueueParts {
  readonly bus: Bus;
  readonly names: DurableNames;
  readonly store: LaneStore;
  readonly publisher: StreamPublisher;
}

/** How long to try by default, in milliseconds: longer than an election among brokers. */
export const ENQUEUE_TIMEOUT_MS = 15_000;
/**
 * How long an acknowledgement may take, once the job has reached the broker, before the job is published again, and the
 * wait between two tries, in milliseconds.
 */
const ACK_LIMIT_MS = 2_000;
const RETRY_MS = 250;
/**
 * How long nobody takes the job until the broker is asked whether there is such a stream, in milliseconds: a manager
 * that has just started is still making it.
 */
const ABSENT_LIMIT_MS = 3_000;

/** @throws PoolError why it is not stored; with `maybeExecuted` when it may be stored all the same */
export async function enqueue(parts: EnqueueParts, given: NewJob): Promise<StoredJob> {
  const { bus, names, publisher } = parts;
  const { runtime } = bus;
  bus.requireConnected();
  checkNotItself(given.pool, given.id, given.job.then);
  refuseTooLarge(bus, given);
  const begunAtMs = runtime.now();
  const mayBeElsewhere = given.isNamed && (await given.mayBeElsewhere?.()) !== false;
  const elsewhere = mayBeElsewhere ? await liveElsewhere(parts, given) : undefined;
  if (elsewhere !== undefined) return elsewhere;
  const messageId = `${given.id}.${runtime.newId()}`;
  let maybeStored = false;
  for (;;) {
    const leftMs = given.limitMs - (runtime.now() - begunAtMs);
    const message = jobMessage(names, given, messageId, maybeStored);
    let answer: PublishAnswer | PoolError;
    try {
      answer = await publisher.publish(message, Math.max(1, Math.min(ACK_LIMIT_MS, leftMs)), leftMs);
    } catch (thrown) {
      answer = toPoolError(thrown);
    }
    if (answer instanceof PoolError) {
      if (!maybeStored) throw answer;
    } else if (answer.kind === "stored") {
      return { id: given.id, sequence: answer.sequence, duplicate: false };
    } else if (isTaken(answer)) {
      const live = await liveJob(parts, given, given.level);
      if (live !== undefined) return given.isNamed ? live : { ...live, duplicate: false };
    } else if (answer.kind === "silent") maybeStored = true;
    else if (!(await mayPass(parts, given, answer, runtime.now() - begunAtMs))) {
      throw enqueueRefusal(answer, given.pool);
    }
    if (runtime.now() - begunAtMs + RETRY_MS >= given.limitMs) {
      if (!maybeStored && !(answer instanceof PoolError) && answer.kind === "absent") throw noLeader();
      throw enqueueRefusal(maybeStored || answer instanceof PoolError ? { kind: "silent" } : answer, given.pool);
    }
    await delay(runtime, RETRY_MS);
  }
}

/** A payload that leaves no room for headers, its own and those of its outcome. @throws PoolError */
function refuseTooLarge(bus: Bus, { payload, job }: NewJob): void {
  const limit = durablePayloadLimit(bus, job.then);
  if (payload.length <= limit) return;
  const message = `payload: ${payload.length} bytes, the durable lane takes ${limit}; see largePayloads`;
  throw new PoolError("payload_too_large", message, { field: "payload" });
}

/**
 * Whether nobody takes the job only for a while: the brokers elect a leader of its stream.
 *
 * @throws PoolError when the broker has no JetStream
 */
async function mayPass(
  { names, store }: EnqueueParts,
  { pool, level, id }: NewJob,
  answer: Exclude<PublishAnswer, { kind: "stored" }>,
  sinceMs: number,
): Promise<boolean> {
  if (answer.kind !== "absent") return false;
  if (sinceMs < ABSENT_LIMIT_MS) return true;
  try {
    return await store.hasStream(names.jobsStream(pool), names.job(pool, level, id));
  } catch (thrown) {
    if (isOff(thrown)) throw thrown;
    return true;
  }
}

function noLeader(): PoolError {
  const message = "the stream of this pool has no leader among the brokers";
  return new PoolError("bus_unavailable", message, { retryAfterMs: RETRY_MS });
}

/**
 * The message that the stream stores.
 *
 * A stream that remembers a message id of each job costs the broker a fifth of a job (docs/adr/0066). It is said where
 * nothing else tells a repeat from a new job: of a named id, which may be somebody else's, and of a job whose outcome
 * is not kept. Of the others a live job with this id is this one, and one that has ended has an outcome.
 *
 * @param isRepeated it may be stored already
 */
function jobMessage(
  names: DurableNames,
  { pool, level, id, payload, job, isNamed }: NewJob,
  messageId: string,
  isRepeated: boolean,
): StreamMessage {
  const headers = encodeDurableJob(job, job.check || isNamed || isRepeated);
  if (isNamed || !job.keepOutcome) headers.append(NATS_HEADER.messageId, messageId);
  headers.append(NATS_HEADER.expectedStream, names.jobsStream(pool));
  return { subject: names.job(pool, level, id), payload, headers };
}

/** A live job with this id at another level, or one that waits for its time. @throws PoolError `duplicate_job` */
async function liveElsewhere(parts: EnqueueParts, given: NewJob): Promise<StoredJob | undefined> {
  const others = LEVELS.filter((level) => level !== given.level);
  const waiting = findLater(parts, given.pool, given.id).catch(() => undefined);
  const found = await Promise.all(others.map((level) => liveJob(parts, given, level)));
  const later = await waiting;
  return found.find((each) => each !== undefined) ?? (later && sameLater(later, given));
}

/** The receipt of a job that waits for its time, if its payload is the same. @throws PoolError `duplicate_job` */
export function sameLater({ payload, runAt }: LaterJob, given: Pick<NewJob, "id" | "payload">): StoredJob {
  requireSame(payload, given.payload);
  return { id: given.id, sequence: 0, duplicate: true, runAt: new Date(runAt) };
}

function requireSame(live: Uint8Array, payload: Uint8Array): void {
  if (Buffer.compare(live, payload) === 0) return;
  throw new PoolError("duplicate_job", "a job with this id is live and has another payload", { field: "job" });
}

/** A live job that its batch does not count would never end there. */
function requireSameBatch(live: string, batch: BatchPlace | undefined): void {
  if (batch === undefined || live === encodePlace(batch)) return;
  const message = "a job with this id is live and is none of this batch, or of another place in it";
  throw new PoolError("duplicate_job", message, { field: "job" });
}

/** The live job with this id, if its payload is the same. @throws PoolError `duplicate_job` */
export async function liveJob(
  { names, store }: Pick<EnqueueParts, "names" | "store">,
  { pool, id, payload, job }: Pick<NewJob, "pool" | "id" | "payload"> & { readonly job?: Pick<DurableJob, "batch"> },
  level: Priority,
): Promise<StoredJob | undefined> {
  const stored = await store.lastShown(names.jobsStream(pool), names.job(pool, level, id)).catch(() => undefined);
  if (stored === undefined) return undefined;
  requireSame(stored.payload, payload);
  requireSameBatch(stored.headers?.get(HEADER.batch) ?? "", job?.batch);
  return { id, sequence: stored.sequence, duplicate: true };
}
