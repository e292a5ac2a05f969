/** One job as it is shown: a message of a live one, and of one that has ended. Pure. */
import { create } from "@bufbuild/protobuf";
import {
  type JobBytes,
  JobBytesSchema,
  type JobView,
  JobViewSchema,
  JobViewState,
} from "../../../gen/poolmesh/v1/job_pb.js";
import type { PoolError } from "../../../mesh/errors.js";
import { isDurable } from "../../../mesh/job/job.js";
import { toTimestamp } from "../../../mesh/job/job-views.js";
import { PROTO_PRIORITIES } from "../../../mesh/job/proto-priorities.js";
import { toErrorDetail } from "../../../mesh/wire/connect-errors.js";
import { type EndedJob, type Shown, shown } from "./history.js";
import type { Job } from "./job.js";

/** By whom and when jobs are shown. */
export interface ShowingManager {
  readonly manager: string;
  /** Monotonic milliseconds. */
  readonly nowMs: number;
  /** The wall clock less the monotonic one, milliseconds. */
  readonly wallOffsetMs: number;
}

/** An error's message is cut where it is longer, in characters. */
const MAX_MESSAGE = 512;

/** Where a live job stands. */
export function liveState({ state, attempt }: Job): JobViewState {
  if (state === "parked") return JobViewState.PARKED;
  return attempt?.state === "accepted" ? JobViewState.RUNNING : JobViewState.SENT;
}

/** Where an ended job stands. */
export function endedState({ error }: Pick<EndedJob, "error">): JobViewState {
  return error === undefined ? JobViewState.SUCCEEDED : JobViewState.FAILED;
}

/** @param payloads whether the beginning of its payload is shown */
export function showLive(job: Job, pool: string, by: ShowingManager, payloads: boolean): JobView {
  const { spec, attempt, submittedAtMs } = job;
  const sentAtMs = job.state === "parked" ? undefined : attempt?.sentAtMs;
  const at = (ms: number) => toTimestamp(ms + by.wallOffsetMs);
  return create(JobViewSchema, {
    pool,
    jobId: job.id,
    state: liveState(job),
    manager: by.manager,
    worker: attempt?.worker ?? "",
    attempt: attempt?.count ?? 0,
    attemptNumber: attempt?.number ?? 0,
    priority: PROTO_PRIORITIES[spec.priority],
    client: spec.client,
    idempotent: spec.idempotent,
    durable: isDurable(spec),
    submittedAt: at(submittedAtMs),
    ...(sentAtMs === undefined ? {} : { sentAt: at(sentAtMs) }),
    deadlineAt: at(job.deadlineAtMs),
    ...timesOf(submittedAtMs, sentAtMs, by.nowMs),
    payloadBytes: BigInt(spec.payload.length),
    ...(payloads ? { payload: toBytes(shown(spec.payload)) } : {}),
    traceparent: spec.traceparent ?? "",
    submission: spec.nonce,
  });
}

/** @param payloads whether the beginnings of its payload and result are shown, if they are remembered */
export function showEnded(job: EndedJob, pool: string, by: ShowingManager, payloads: boolean): JobView {
  const { submittedAtMs, endedAtMs, error, payload, result } = job;
  const sentAtMs = Number.isNaN(job.sentAtMs) ? undefined : job.sentAtMs;
  const at = (ms: number) => toTimestamp(ms + by.wallOffsetMs);
  return create(JobViewSchema, {
    pool,
    jobId: job.id,
    state: endedState(job),
    manager: by.manager,
    worker: job.worker,
    attempt: job.attempt,
    attemptNumber: job.attemptNumber,
    priority: PROTO_PRIORITIES[job.priority],
    client: job.client,
    idempotent: job.idempotent,
    durable: job.durable,
    submittedAt: at(submittedAtMs),
    ...(sentAtMs === undefined ? {} : { sentAt: at(sentAtMs) }),
    endedAt: at(endedAtMs),
    ...timesOf(submittedAtMs, sentAtMs, endedAtMs),
    ...(error === undefined ? {} : { error: errorOf(error) }),
    payloadBytes: BigInt(job.payloadBytes),
    resultBytes: BigInt(job.resultBytes),
    ...(payloads && payload !== undefined ? { payload: toBytes(payload) } : {}),
    ...(payloads && result !== undefined ? { result: toBytes(result) } : {}),
    traceparent: job.traceparent ?? "",
    submission: job.nonce,
  });
}

/** Durations to the microsecond. @param untilMs the end, or now */
export function timesOf(
  submittedAtMs: number,
  sentAtMs: number | undefined,
  untilMs: number,
): Pick<JobView, "waitMs" | "runMs" | "totalMs"> {
  const sentMs = sentAtMs ?? untilMs;
  return {
    waitMs: micros(sentMs - submittedAtMs),
    runMs: micros(untilMs - sentMs),
    totalMs: micros(untilMs - submittedAtMs),
  };
}

/** An error as it is shown in lists and events. */
export function errorOf(error: PoolError): ReturnType<typeof toErrorDetail> {
  const detail = toErrorDetail(error);
  if (detail.message.length > MAX_MESSAGE) detail.message = `${detail.message.slice(0, MAX_MESSAGE - 1)}…`;
  return detail;
}

function toBytes({ bytes, truncated }: Shown): JobBytes {
  return create(JobBytesSchema, { bytes, truncated });
}

function micros(ms: number): number {
  return Math.round(Math.max(0, ms) * 1_000) / 1_000;
}
