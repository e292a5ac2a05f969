/**
 * What happens to jobs, as it travels on `pool.P.event.*`: one JSON object a message, for people and programs alike. Pure.
 *
 * Decided here: the names of its fields, and which events a filter means.
 */
import { create } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type ErrorDetail, ErrorDetailSchema } from "../../gen/poolmesh/v1/error_pb.js";
import {
  type JobEvent,
  JobEventKind,
  JobEventSchema,
  type JobFilter,
  JobViewState,
} from "../../gen/poolmesh/v1/job_pb.js";
import { isName } from "../wire/subjects.js";
import { parseJson } from "./codec.js";
import { toTimestamp } from "./job-views.js";
import { keyOf } from "./proto-priorities.js";

/** The word of each kind: the last token of its subject. */
export const EVENT_WORDS = {
  submitted: JobEventKind.SUBMITTED,
  parked: JobEventKind.PARKED,
  sent: JobEventKind.SENT,
  refused: JobEventKind.REFUSED,
  accepted: JobEventKind.ACCEPTED,
  revoked: JobEventKind.REVOKED,
  succeeded: JobEventKind.SUCCEEDED,
  failed: JobEventKind.FAILED,
} as const;
/** What happened to a job, in one word. */
export type EventWord = keyof typeof EVENT_WORDS;

/** An event, and what was left out before it. */
export interface ToldEvent {
  readonly event: JobEvent;
  /** One job of so many is told. */
  readonly oneIn: number;
  /** Events of this manager that were not told, since the last one that was. */
  readonly dropped: number;
}

/** The state in which an event leaves its job. */
const STATE_AFTER: Partial<Record<JobEventKind, JobViewState>> = {
  [JobEventKind.PARKED]: JobViewState.PARKED,
  [JobEventKind.SENT]: JobViewState.SENT,
  [JobEventKind.ACCEPTED]: JobViewState.RUNNING,
  [JobEventKind.SUCCEEDED]: JobViewState.SUCCEEDED,
  [JobEventKind.FAILED]: JobViewState.FAILED,
};
/** Larger messages are no events of ours, in bytes. */
const MAX_BYTES = 16_384;

export function wordOf(kind: JobEventKind): EventWord | undefined {
  return keyOf(EVENT_WORDS, kind as (typeof EVENT_WORDS)[EventWord]);
}

/** An event as one line of JSON. What is empty is left out. */
export function encodeEvent({ event, oneIn, dropped }: ToldEvent): string {
  const { kind, at, pool, jobId, manager, worker, attempt, client, error } = event;
  const isEnd = kind === JobEventKind.SUCCEEDED || kind === JobEventKind.FAILED;
  return JSON.stringify({
    event: wordOf(kind),
    at: at === undefined ? undefined : timestampDate(at).toISOString(),
    pool,
    job: jobId,
    manager,
    worker: worker || undefined,
    attempt: attempt || undefined,
    client: client || undefined,
    ...(isEnd ? { waitMs: event.waitMs, runMs: event.runMs, totalMs: event.totalMs } : {}),
    payloadBytes: Number(event.payloadBytes) || undefined,
    resultBytes: Number(event.resultBytes) || undefined,
    error: error === undefined ? undefined : toErrorFields(error),
    oneIn: oneIn > 1 ? oneIn : undefined,
    dropped: dropped || undefined,
  });
}

/** Reads an event; undefined for what is none. */
export function decodeEvent(payload: Uint8Array): ToldEvent | undefined {
  const said = payload.length <= MAX_BYTES ? parse(payload) : undefined;
  const word = textOf(said?.event);
  const kind = Object.hasOwn(EVENT_WORDS, word) ? EVENT_WORDS[word as EventWord] : undefined;
  const atMs = Date.parse(textOf(said?.at));
  if (said === undefined || kind === undefined || Number.isNaN(atMs)) return undefined;
  const { pool, job: jobId, manager } = said;
  if (!isName(pool) || !isName(jobId) || !isName(manager)) return undefined;
  const event = create(JobEventSchema, {
    ...{ kind, at: toTimestamp(atMs), pool, jobId, manager },
    worker: textOf(said.worker),
    attempt: countOf(said.attempt),
    client: textOf(said.client),
    ...{ waitMs: timeOf(said.waitMs), runMs: timeOf(said.runMs), totalMs: timeOf(said.totalMs) },
    payloadBytes: BigInt(countOf(said.payloadBytes)),
    resultBytes: BigInt(countOf(said.resultBytes)),
    ...(isFields(said.error) ? { error: fromErrorFields(said.error) } : {}),
  });
  return { event, oneIn: Math.max(1, countOf(said.oneIn)), dropped: countOf(said.dropped) };
}

/** Whether a filter means an event. @param onlyClient undefined for the jobs of anybody */
export function isMeantEvent(event: JobEvent, filter: JobFilter | undefined, onlyClient: string | undefined): boolean {
  if (onlyClient !== undefined && event.client !== onlyClient) return false;
  if (filter === undefined) return true;
  const { pool, states, jobIdPrefix, reason, client, worker } = filter;
  const state = STATE_AFTER[event.kind];
  if (pool !== "" && event.pool !== pool) return false;
  if (states.length > 0 && (state === undefined || !states.includes(state))) return false;
  if (!event.jobId.startsWith(jobIdPrefix)) return false;
  if (reason !== "" && event.error?.reason !== reason) return false;
  if (client !== "" && event.client !== client) return false;
  return worker === "" || event.worker === worker;
}

type Fields = Readonly<Record<string, unknown>>;

function toErrorFields({ reason, code, message, retryable, maybeExecuted }: ErrorDetail): Fields {
  return { reason, code: code || undefined, message, retryable, maybeExecuted: maybeExecuted || undefined };
}

function fromErrorFields({ reason, code, message, retryable, maybeExecuted }: Fields): ErrorDetail {
  return create(ErrorDetailSchema, {
    ...{ reason: textOf(reason), code: textOf(code), message: textOf(message) },
    ...{ retryable: retryable === true, maybeExecuted: maybeExecuted === true },
  });
}

function parse(payload: Uint8Array): Fields | undefined {
  try {
    const said = parseJson(Buffer.from(payload).toString());
    return isFields(said) ? said : undefined;
  } catch {
    return undefined;
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function countOf(value: unknown): number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value < 2 ** 31 ? value : 0;
}

function timeOf(value: unknown): number {
  return typeof value === "number" && value >= 0 && Number.isFinite(value) ? value : 0;
}
