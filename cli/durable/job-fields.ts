/** A stored job as fields of a JSON line. Pure. */
import type { JobLookup } from "../../client/durable/job-reads.js";
import { errorFields, type ResultForm, resultFields } from "../output/result-fields.js";

export function jobFields(job: JobLookup, form: ResultForm = "auto"): Record<string, unknown> {
  const { id, state, attempt, maxAttempts, worker, priority, sequence, runAt, enqueuedAt, endedAt, client, outcome } =
    job;
  const { then } = job;
  return {
    id,
    state,
    attempt,
    ...(maxAttempts === undefined ? {} : { maxAttempts }),
    worker,
    ...(priority === undefined ? {} : { priority }),
    sequence,
    ...(runAt === undefined ? {} : { runAt: runAt.toISOString() }),
    ...(enqueuedAt === undefined ? {} : { enqueuedAt: enqueuedAt.toISOString() }),
    ...(endedAt === undefined ? {} : { endedAt: endedAt.toISOString() }),
    ...(client === "" ? {} : { client }),
    ...(then === undefined ? {} : { then }),
    ...(outcome?.ok && outcome.result.next !== undefined ? { next: outcome.result.next } : {}),
    ...(outcome === undefined
      ? {}
      : outcome.ok
        ? resultFields(outcome.result.payload, form)
        : { error: errorFields(outcome.error) }),
  };
}
