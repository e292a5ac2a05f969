/** Messages of DurableService to options, and back. Pure. */
import { create } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { EnqueueOptions } from "../../../../client/durable/enqueue-options.js";
import type { JobLookup } from "../../../../client/durable/job-reads.js";
import { JOB_STATES } from "../../../../client/durable/job-states.js";
import {
  type EnqueueRequest,
  type JobOutcome,
  JobOutcomeSchema,
  JobState,
  type JobStatus,
  JobStatusSchema,
  type NextJob,
  NextJobSchema,
  PayloadForm,
} from "../../../../gen/poolmesh/v1/durable_pb.js";
import { Priority as ProtoPriority, type SubmitResponse } from "../../../../gen/poolmesh/v1/manager_pb.js";
import { PoolError } from "../../../../mesh/errors.js";
import { JobResult, type Outcome } from "../../../../mesh/job/job.js";
import { keyOf, PROTO_PRIORITIES } from "../../../../mesh/job/proto-priorities.js";
import { toErrorDetail } from "../../../../mesh/wire/connect-errors.js";
import { type Form, toPriority, toResponse } from "../rpc-messages.js";

/** The forms that are tried for a payload, the first that fits. */
const FORMS: Readonly<Record<PayloadForm, readonly Form[]>> = {
  [PayloadForm.UNSPECIFIED]: ["json", "text"],
  [PayloadForm.BYTES]: [],
  [PayloadForm.TEXT]: ["text"],
  [PayloadForm.JSON]: ["json"],
};

/** What a request says; what it leaves out has its default. @throws PoolError `invalid_argument` */
export function toEnqueueOptions(request: EnqueueRequest): EnqueueOptions {
  const { backoff, jobId, client, traceparent, tracestate, idempotent, keepOutcome, runAt, delayMs, then } = request;
  return {
    priority: toPriority(request.priority),
    rerun: request.rerun,
    ...(jobId === "" ? {} : { id: jobId }),
    ...(request.timeoutMs === 0n ? {} : { timeoutMs: Number(request.timeoutMs) }),
    ...(request.maxAttempts === 0 ? {} : { maxAttempts: request.maxAttempts }),
    ...(backoff === undefined ? {} : { backoff: { baseMs: Number(backoff.baseMs), capMs: Number(backoff.capMs) } }),
    ...(request.expiresInMs === 0n ? {} : { expiresInMs: Number(request.expiresInMs) }),
    ...(idempotent === undefined ? {} : { idempotent }),
    ...(keepOutcome === undefined ? {} : { keepOutcome }),
    ...(runAt === undefined ? {} : { runAt: timestampDate(runAt) }),
    ...(delayMs === 0n ? {} : { delayMs: Number(delayMs) }),
    ...(then.length === 0 ? {} : { then: then.map(({ pool, jobId: id }) => ({ pool, ...(id === "" ? {} : { id }) })) }),
    ...(client === "" ? {} : { client }),
    ...(request.concurrencyKey === "" ? {} : { concurrencyKey: request.concurrencyKey }),
    ...(traceparent === "" ? {} : { traceparent }),
    ...(tracestate === "" ? {} : { tracestate }),
  };
}

/** A state as its message names it; undefined for any. @throws PoolError `invalid_argument` */
export function fromState(state: JobState): JobLookup["state"] | undefined {
  if (state === JobState.UNSPECIFIED) return undefined;
  const known = keyOf(JOB_STATES, state);
  if (known !== undefined && known !== "ended") return known;
  throw new PoolError("invalid_argument", "state: use one of a job that has not ended", { field: "state" });
}

export function toJobStatus(job: JobLookup): JobStatus {
  const { id, state, attempt, maxAttempts = 0, worker, priority, sequence, runAt, enqueuedAt, endedAt, client } = job;
  const { then = [], outcome } = job;
  const next = outcome?.ok ? outcome.result.next : undefined;
  return create(JobStatusSchema, {
    jobId: id,
    state: JOB_STATES[state],
    attempt,
    maxAttempts,
    worker,
    priority: priority === undefined ? ProtoPriority.UNSPECIFIED : PROTO_PRIORITIES[priority],
    sequence: BigInt(sequence),
    ...(runAt === undefined ? {} : { runAt: timestampFromDate(runAt) }),
    ...(enqueuedAt === undefined ? {} : { enqueuedAt: timestampFromDate(enqueuedAt) }),
    ...(endedAt === undefined ? {} : { endedAt: timestampFromDate(endedAt) }),
    client,
    then: then.map((step) => toNextJob(step)),
    ...(next === undefined ? {} : { next: toNextJob(next) }),
  });
}

function toNextJob({ pool, id = "" }: { readonly pool: string; readonly id: string | undefined }): NextJob {
  return create(NextJobSchema, { pool, jobId: id });
}

export function toJobOutcome(outcome: Outcome, form: PayloadForm): JobOutcome {
  const said: JobOutcome["outcome"] = outcome.ok
    ? { case: "result", value: inForm(outcome.result, form) }
    : { case: "error", value: toErrorDetail(outcome.error) };
  return create(JobOutcomeSchema, { outcome: said });
}

/** A payload in the form that is asked for, or as bytes where it has no such form. */
export function toInput(payload: Uint8Array, form: PayloadForm): SubmitResponse["output"] {
  return inForm(new JobResult("", payload, "", 0, 0, 0), form).output;
}

function inForm(result: JobResult, form: PayloadForm): SubmitResponse {
  const forms = FORMS[form];
  if (forms === undefined) throw new PoolError("invalid_argument", "form: unknown", { field: "form" });
  for (const each of forms) {
    const response = toResponse(each, result);
    if (response.output.case === each) return response;
  }
  return toResponse("payload", result);
}
