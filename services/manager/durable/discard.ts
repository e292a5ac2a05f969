/**
 * Ends a stored job that nobody holds, because its caller cancels it.
 *
 * Decided here: the outcome first, then the job is deleted. A manager that pulls it
 * in between runs it in vain: its outcome is refused by the fence. A job that waits for its
 * time, and whose time comes in between, finds its outcome before it runs.
 */
import { enqueueRefusal, isFenced } from "../../../mesh/durable/answers.js";
import type { EnqueueParts } from "../../../mesh/durable/enqueue.js";
import { decodeDurableJob } from "../../../mesh/durable/job.js";
import { findLater } from "../../../mesh/durable/later/find-later.js";
import { LEVELS, NATS_HEADER } from "../../../mesh/durable/names.js";
import { encodeOutcome, sequenceOf } from "../../../mesh/durable/outcome.js";
import { jobCanceled, PoolError } from "../../../mesh/errors.js";
import { DEFAULT_TIMEOUT_MS, type Outcome } from "../../../mesh/job/job.js";
import { forgetPayload } from "../../../mesh/objects/forget-payload.js";
import type { LaneBatches } from "./batches/lane-batches.js";

const ACK_LIMIT_MS = 3_000;

/** What it works with. */
export interface DiscardParts extends EnqueueParts {
  readonly manager: string;
  readonly batches: Pick<LaneBatches, "count">;
}

/** @throws PoolError `not_found` when no live job has this id */
export async function discard(
  { bus, names, store, publisher, manager, batches }: DiscardParts,
  pool: string,
  id: string,
): Promise<void> {
  // In the order in which a job passes them.
  const later = await findLater({ names, store }, pool, id);
  const found = await Promise.all(
    LEVELS.map((level) => store.last(names.jobsStream(pool), names.job(pool, level, id))),
  );
  const queued = found.find((each) => each !== undefined);
  const before = await store.last(names.outcomesStream, names.outcome(pool, id));
  const job = queued ?? later;
  if (job === undefined) throw notLive();
  // A job that waits has no sequence in the pool's stream yet.
  const sequence = queued?.sequence ?? 0;
  const isOver =
    queued === undefined
      ? (before?.sequence ?? 0) > decodeDurableJob(job.headers, DEFAULT_TIMEOUT_MS, bus.inboxPrefix).afterOutcome
      : sequenceOf(before?.headers) >= queued.sequence;
  if (isOver) throw notLive();
  const endedAt = bus.runtime.wallNow();
  const {
    notify,
    client,
    batch,
    enqueuedAt = endedAt,
  } = decodeDurableJob(job.headers, DEFAULT_TIMEOUT_MS, bus.inboxPrefix);
  const error = jobCanceled();
  const outcome: Outcome = { ok: false, id, error, worker: "", attempt: 0 };
  const facts = { sequence, manager, attempt: 0, enqueuedAt, endedAt, client };
  const { headers, payload } = encodeOutcome(outcome, facts);
  headers.append(NATS_HEADER.expectedLastSubjectSequence, String(before?.sequence ?? 0));
  const answer = await publisher.publish({ subject: names.outcome(pool, id), headers, payload }, ACK_LIMIT_MS);
  // It has just ended by itself.
  if (isFenced(answer)) throw notLive();
  if (answer.kind !== "stored") throw enqueueRefusal(answer, pool);
  const isCounted = batch === undefined || (await batches.count(pool, batch, outcome)) === undefined;
  // A job that is not counted stays: whoever gets it finds its outcome, and counts it then.
  if (isCounted)
    await store.delete(queued === undefined ? names.laterStream(pool) : names.jobsStream(pool), job.sequence);
  forgetPayload(store, pool, { id, payload: job.payload });
  if (notify !== undefined) bus.publish(notify, payload, { headers: encodeOutcome(outcome, facts).headers });
}

function notLive(): PoolError {
  return new PoolError("not_found", "nobody has a live job with this id", { field: "job" });
}
