/**
 * Stores one job for later.
 *
 * Decided here: an id is that of one job, wherever it stands. The places are read in
 * the order in which a job passes them; then the job is stored over none of its subject,
 * which the stream checks. A caller that repeats a request in doubt hears of the job that
 * it has stored, by the nonce of the request, and later by the job itself. A job whose outcome is
 * kept under its id does not run, so it is not stored either.
 */
import { checkNotItself } from "../../../../mesh/durable/after/then.js";
import { enqueueRefusal, isFenced } from "../../../../mesh/durable/answers.js";
import {
  type EnqueueParts,
  liveJob,
  type NewJob,
  type StoredJob,
  sameLater,
} from "../../../../mesh/durable/enqueue.js";
import { DURABLE_RESERVE_BYTES, encodeDurableJob } from "../../../../mesh/durable/job.js";
import { findLater } from "../../../../mesh/durable/later/find-later.js";
import { LEVELS, NATS_HEADER } from "../../../../mesh/durable/names.js";
import { sequenceOf } from "../../../../mesh/durable/outcome.js";
import type { StreamMessage } from "../../../../mesh/durable/publisher.js";
import { PoolError } from "../../../../mesh/errors.js";
import { delay } from "../../../../mesh/link/runtime.js";
import { HEADER } from "../../../../mesh/wire/headers.js";
import type { LaterQuota } from "./later-quota.js";

/** A job for later. */
export interface NewLaterJob extends NewJob {
  /** When it may run, milliseconds since the epoch. */
  readonly runAt: number;
  /** Names the request: one that is repeated has the same. */
  readonly nonce: string;
}

/** What it works with. */
export interface ScheduleParts extends EnqueueParts {
  readonly quota: LaterQuota;
  /** Makes the stream that is gone. @throws PoolError */
  readonly restore: () => Promise<void>;
}

/** What the headers of a schedule take besides, in bytes. */
const SCHEDULE_RESERVE_BYTES = 1_024;
const ACK_LIMIT_MS = 2_000;
const RETRY_MS = 250;

/** The largest payload of a job for later, in bytes. */
export function laterPayloadLimit(bus: { readonly maxPayloadBytes: number }): number {
  return bus.maxPayloadBytes - DURABLE_RESERVE_BYTES - SCHEDULE_RESERVE_BYTES;
}

/** @throws PoolError why it is not stored; with `maybeExecuted` when it may be stored all the same */
export async function scheduleJob(parts: ScheduleParts, given: NewLaterJob): Promise<StoredJob> {
  const { bus, publisher, quota, restore } = parts;
  const { runtime } = bus;
  checkNotItself(given.pool, given.id, given.job.then);
  refuseTooLarge(bus, given);
  const endAtMs = runtime.now() + given.limitMs;
  let hasRoom = false;
  for (;;) {
    const there = await alreadyThere(parts, given);
    if (there !== undefined) return there;
    if (!hasRoom) await quota.take(given.payload.length);
    hasRoom = true;
    const leftMs = Math.max(1, Math.min(ACK_LIMIT_MS, endAtMs - runtime.now()));
    const answer = await publisher.publish(toMessage(parts, given), leftMs);
    if (answer.kind === "stored") return { id: given.id, sequence: 0, duplicate: false, runAt: new Date(given.runAt) };
    // Somebody was quicker, or a repeated message finds itself: what is there is read again.
    const mayPass = isFenced(answer) || answer.kind !== "refused";
    if (!mayPass || runtime.now() + RETRY_MS >= endAtMs) throw enqueueRefusal(answer, given.pool);
    await delay(runtime, RETRY_MS);
    if (answer.kind === "absent") await restore();
  }
}

/** The job of this id, if there is one already. @throws PoolError `duplicate_job` when it is another one */
async function alreadyThere(parts: EnqueueParts, given: NewLaterJob): Promise<StoredJob | undefined> {
  const { names, store } = parts;
  const { pool, id, job } = given;
  const later = await findLater(parts, pool, id);
  if (later !== undefined) return sameLater(later, given);
  for (const level of LEVELS) {
    const live = await liveJob(parts, given, level);
    if (live !== undefined) return live;
  }
  const outcome = await store.last(names.outcomesStream, names.outcome(pool, id));
  if (outcome === undefined || outcome.sequence <= job.afterOutcome) return undefined;
  return { id, sequence: sequenceOf(outcome.headers), duplicate: false };
}

function toMessage(
  { names }: EnqueueParts,
  { pool, id, job, level, runAt, nonce, payload }: NewLaterJob,
): StreamMessage {
  const headers = encodeDurableJob(job);
  headers.append(HEADER.runAt, String(runAt));
  headers.append(HEADER.priority, level);
  headers.append(NATS_HEADER.schedule, `@at ${new Date(runAt).toISOString()}`);
  headers.append(NATS_HEADER.scheduleTarget, names.due(pool, id));
  headers.append(NATS_HEADER.messageId, `${id}.${nonce}`);
  headers.append(NATS_HEADER.expectedStream, names.laterStream(pool));
  headers.append(NATS_HEADER.expectedLastSubjectSequence, "0");
  return { subject: names.later(pool, id), headers, payload };
}

function refuseTooLarge(bus: EnqueueParts["bus"], { payload }: NewLaterJob): void {
  const limit = laterPayloadLimit(bus);
  if (payload.length <= limit) return;
  const message = `payload: ${payload.length} bytes, a job for later may have ${limit}`;
  throw new PoolError("payload_too_large", message, { field: "payload" });
}
