/** A manager's job as fields of a JSON line, and as lines for a person. Pure. */
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { duration } from "../../browser/format.js";
import { stateWord } from "../../browser/job-words.js";
import { type JobBytes, type JobView, JobViewState } from "../../gen/poolmesh/v1/job_pb.js";
import { keyOf, PROTO_PRIORITIES } from "../../mesh/job/proto-priorities.js";
import { plainText } from "../../mesh/plain-text.js";
import { fromErrorDetail } from "../../mesh/wire/connect-errors.js";
import { type Fact, factLines } from "../output/facts.js";
import { utf8Text } from "../output/json-text.js";
import type { Style } from "../output/output.js";
import { errorFields, inputFields, type ResultForm, resultFields, roundMs } from "../output/result-fields.js";

/** The colour of each word of a state or an event. */
export const WORD_STYLES: Readonly<Record<string, Style>> = {
  parked: "yellow",
  running: "cyan",
  accepted: "cyan",
  succeeded: "green",
  failed: "red",
  refused: "yellow",
  revoked: "yellow",
};

export function viewFields(job: JobView, form: ResultForm = "auto"): Record<string, unknown> {
  const { error, payload, result } = job;
  const isOver = error !== undefined || job.state === JobViewState.SUCCEEDED;
  return {
    id: job.jobId,
    pool: job.pool,
    state: stateWord(job.state),
    manager: job.manager,
    ...(job.worker === "" ? {} : { worker: job.worker }),
    attempt: job.attempt,
    priority: keyOf(PROTO_PRIORITIES, job.priority) ?? "normal",
    ...(job.client === "" ? {} : { client: job.client }),
    ...(job.idempotent ? { idempotent: true } : {}),
    ...(job.durable ? { durable: true } : {}),
    submittedAt: iso(job.submittedAt),
    sentAt: iso(job.sentAt),
    endedAt: iso(job.endedAt),
    deadlineAt: iso(job.deadlineAt),
    waitMs: roundMs(job.waitMs),
    runMs: roundMs(job.runMs),
    totalMs: roundMs(job.totalMs),
    payloadBytes: Number(job.payloadBytes),
    ...(isOver && error === undefined ? { resultBytes: Number(job.resultBytes) } : {}),
    ...(payload === undefined
      ? {}
      : { ...inputFields(payload.bytes), ...(payload.truncated ? { inputCut: true } : {}) }),
    ...(result === undefined
      ? {}
      : { ...resultFields(result.bytes, form), ...(result.truncated ? { resultCut: true } : {}) }),
    ...(error === undefined ? {} : { error: errorFields(fromErrorDetail(error)) }),
    ...(job.traceparent === "" ? {} : { traceparent: job.traceparent }),
  };
}

/**
 * What there is to say of a job, one fact a line.
 *
 * @param nowMs wall clock, milliseconds since the epoch
 * @param room characters in a line
 */
export function viewLines(job: JobView, nowMs: number, room: number): string[] {
  const { error, payload, result } = job;
  const rows: Fact[] = [["job", job.jobId]];
  const add = (label: string, text: string): unknown => text && rows.push([label, plainText(text, 2_000)]);
  const ago = (at: Timestamp | undefined): string =>
    at === undefined ? "" : `${iso(at)}, ${duration(nowMs - timestampDate(at).getTime())} ago`;
  add("pool", job.pool);
  add("state", error === undefined ? stateWord(job.state) : `failed: ${error.reason}`);
  add("attempt", job.attempt === 0 ? "none yet" : String(job.attempt));
  add("worker", job.worker);
  add("manager", job.manager);
  add("priority", keyOf(PROTO_PRIORITIES, job.priority) ?? "");
  add("client", job.client);
  add("submitted", ago(job.submittedAt));
  add("waited", duration(job.waitMs));
  if (job.attempt > 0 && job.state !== JobViewState.PARKED)
    add(job.endedAt === undefined ? "runs for" : "ran", duration(job.runMs));
  add("ended", ago(job.endedAt));
  add("payload", shown(payload, job.payloadBytes));
  if (job.state === JobViewState.SUCCEEDED) add("result", shown(result, job.resultBytes));
  if (error !== undefined) {
    add("message", error.message);
    add("code", error.code);
    if (error.maybeExecuted) add("it ran", "perhaps");
  }
  add("trace", job.traceparent);
  return factLines(rows, room);
}

function shown(bytes: JobBytes | undefined, all: bigint): string {
  const size = `${all} ${all === 1n ? "byte" : "bytes"}`;
  const text = bytes === undefined ? undefined : utf8Text(bytes.bytes);
  if (bytes === undefined || text === undefined) return size;
  return `${plainText(text, 1_000) || "(empty)"}${bytes.truncated ? ` … (${size})` : ""}`;
}

function iso(at: Timestamp | undefined): string | undefined {
  return at === undefined ? undefined : timestampDate(at).toISOString();
}
