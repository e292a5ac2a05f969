/** Messages of ManagerService to jobs and back. Pure. */
import { create, fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import {
  Priority as ProtoPriority,
  type SubmitRequest,
  type SubmitResponse,
  SubmitResponseSchema,
} from "../../../gen/poolmesh/v1/manager_pb.js";
import { PoolError } from "../../../mesh/errors.js";
import { json, text } from "../../../mesh/job/codec.js";
import type { JobResult, SubmitOptions } from "../../../mesh/job/job.js";
import { jsonLoss } from "../../../mesh/job/json-form.js";
import { keyOf, PROTO_PRIORITIES } from "../../../mesh/job/proto-priorities.js";
import type { Priority } from "../../../mesh/wire/headers.js";
import { checkTimeoutMs } from "../../../mesh/wire/headers.js";

type Input = SubmitRequest["input"];

/** The form in which a caller gives its input. */
export type Form = Input["case"];

/**
 * The payload bytes of a request, whichever form its caller chose.
 *
 * @throws PoolError `invalid_argument` when it has no input: a mistyped field must not run a job on nothing
 */
export function toPayload(input: Input): Uint8Array {
  switch (input.case) {
    case "payload":
      return input.value;
    case "text":
      return text.encode(input.value);
    case "json":
      return json.encode(toJsonValue(input.value));
    default:
      throw new PoolError("invalid_argument", 'input: missing; a job without one says "payload": ""', {
        field: "input",
      });
  }
}

/** A Value may hold what JSON has not: 1e400 is Infinity in it, and one over gRPC may hold nothing at all. */
export function toJsonValue(value: Value): JsonValue {
  if (hasLostMember(value)) {
    throw new PoolError("invalid_argument", `json: a member called ${LOST} gets lost; send it as text or payload`, {
      field: "json",
    });
  }
  try {
    return toJson(ValueSchema, value);
  } catch (cause) {
    const message = "json: a number is beyond a double, or a value is missing; send it as text or payload";
    throw new PoolError("invalid_argument", message, { field: "json", cause });
  }
}

/** A member of this name is lost where an object is filled by assignment, as the protobuf library does. */
const LOST = "__proto__";

/** Whether a struct in a Value had such a member: it has become the struct's prototype. */
function hasLostMember({ kind }: Value): boolean {
  if (kind.case === "listValue") return kind.value.values.some(hasLostMember);
  if (kind.case !== "structValue") return false;
  const { fields } = kind.value;
  return Object.getPrototypeOf(fields) !== Object.prototype || Object.values(fields).some(hasLostMember);
}

/** Whether a value has such a member. */
function wouldLoseMember(value: JsonValue): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.hasOwn(value, LOST) || Object.values(value).some(wouldLoseMember);
}

/**
 * The options of a request.
 *
 * @param callTimeoutMs what is left of the call's own deadline, if it has one; the job's is never later
 * @throws PoolError `invalid_argument`
 */
export function toSubmitOptions(request: SubmitRequest, callTimeoutMs?: number): SubmitOptions {
  const options: SubmitOptions = { idempotent: request.idempotent, wait: !request.noWait };
  const timeoutMs = timeoutOf(request, callTimeoutMs);
  if (timeoutMs !== undefined) options.timeoutMs = timeoutMs;
  if (request.jobId !== "") options.id = request.jobId;
  if (request.client !== "") options.client = request.client;
  if (request.traceparent !== "") options.traceparent = request.traceparent;
  if (request.tracestate !== "") options.tracestate = request.tracestate;
  options.priority = toPriority(request.priority);
  return options;
}

/** A result in the form in which its job came; one that has no such form comes as bytes. */
export function toResponse(form: Form, result: JobResult): SubmitResponse {
  const { id, worker, attempt } = result;
  const [waitMs, totalMs] = [toMicroseconds(result.waitMs), toMicroseconds(result.totalMs)];
  return create(SubmitResponseSchema, { jobId: id, worker, attempt, waitMs, totalMs, output: toOutput(form, result) });
}

/** Milliseconds to three places. */
export function toMicroseconds(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}

function toOutput(form: Form, result: JobResult): SubmitResponse["output"] {
  try {
    if (form === "text") return { case: "text", value: result.text() };
    if (form === "json") {
      const value = (result.json() ?? null) as JsonValue;
      // 1e400 is valid JSON, and Infinity as a double, which has no JSON form
      if (jsonLoss(value) === undefined && !wouldLoseMember(value))
        return { case: "json", value: fromJson(ValueSchema, value) };
    }
  } catch {
    // Falls through: the bytes are the truth.
  }
  return { case: "payload", value: result.payload };
}

/** @throws PoolError `invalid_argument` */
export function toPriority(priority: ProtoPriority): Priority {
  const known = priority === ProtoPriority.UNSPECIFIED ? "normal" : keyOf(PROTO_PRIORITIES, priority);
  if (known !== undefined) return known;
  throw new PoolError("invalid_argument", "priority: unknown", { field: "priority" });
}

function timeoutOf(request: SubmitRequest, callTimeoutMs: number | undefined): number | undefined {
  const asked = request.timeoutMs === 0n ? undefined : checkTimeoutMs(Number(request.timeoutMs));
  if (callTimeoutMs === undefined) return asked;
  return Math.max(1, Math.min(asked ?? Number.POSITIVE_INFINITY, callTimeoutMs));
}
