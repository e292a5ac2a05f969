/**
 * Ends a stored job that nobody holds, because its caller cancels it.
 *
 * Decided here: the outcome first, then the job is deleted. A manager that pulls it
 * in between runs it in vain: its outcome is refused by the fence.
 */
import { enqueueRefusal, isFenced } from "../../../mesh/durable/answers.js";
import type { EnqueueParts } from "../../../mesh/durable/enqueue.js";
import { decodeDurableJob } from "../../../mesh/durable/job.js";
import { LEVELS, NATS_HEADER } from "../../../mesh/durable/names.js";
import { encodeOutcome, sequenceOf } from "../../../mesh/durable/outcome.js";
import { PoolError } from "../../../mesh/errors.js";
import { DEFAULT_TIMEOUT_MS, type Outcome } from "../../../mesh/job/job.js";

const ACK_LIMIT_MS = 3_000;

/** @throws PoolError `not_found` when no live job has this id */
export async function discard(
  { bus, names, store, publisher, manager }: EnqueueParts & { readonly manager: string },
  pool: string,
  id: string,
): Promise<void> {
  const stream = names.jobsStream(pool);
  const found = await Promise.all(LEVELS.map((level) => store.last(stream, names.job(pool, level, id))));
  const job = found.find((each) => each !== undefined);
  const before = await store.last(names.outcomesStream, names.outcome(pool, id));
  if (job === undefined || sequenceOf(before?.headers) >= job.sequence) throw notLive();
  const endedAt = bus.runtime.wallNow();
  const { notify, client, enqueuedAt = endedAt } = decodeDurableJob(job.headers, DEFAULT_TIMEOUT_MS, bus.inboxPrefix);
  const error = new PoolError("canceled", "the caller canceled the job");
  const outcome: Outcome = { ok: false, id, error, worker: "", attempt: 0 };
  const facts = { sequence: job.sequence, manager, attempt: 0, enqueuedAt, endedAt, client };
  const { headers, payload } = encodeOutcome(outcome, facts);
  headers.append(NATS_HEADER.expectedLastSubjectSequence, String(before?.sequence ?? 0));
  const answer = await publisher.publish({ subject: names.outcome(pool, id), headers, payload }, ACK_LIMIT_MS);
  // It has just ended by itself.
  if (isFenced(answer)) throw notLive();
  if (answer.kind !== "stored") throw enqueueRefusal(answer, pool);
  await store.delete(stream, job.sequence);
  if (notify !== undefined) bus.publish(notify, payload, { headers: encodeOutcome(outcome, facts).headers });
}

function notLive(): PoolError {
  return new PoolError("not_found", "nobody has a live job with this id", { field: "job" });
}
