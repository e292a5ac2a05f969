/** Submit options become a checked job specification: the one gate for every door. */
import { PoolError } from "../errors.js";
import { checkName } from "../names.js";
import {
  checkClient,
  checkPriority,
  checkTimeoutMs,
  checkTraceHeader,
  type JobHeaders,
  type Priority,
} from "../wire/headers.js";
import { jobRefusal } from "../wire/payload-limit.js";
import type { SubmitOptions } from "./job.js";

/** A job that is checked and has its defaults filled in. */
export interface JobSpec {
  readonly id: string;
  /** Names this submission when its caller chose the id; "" when the id was made for it and is its own. */
  readonly nonce: string;
  readonly payload: Uint8Array;
  readonly timeoutMs: number;
  readonly idempotent: boolean;
  readonly priority: Priority;
  readonly wait: boolean;
  /** Whose share of the parked queue it counts for; "" for nobody's. */
  readonly client: string;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  /** Attempts that belong to managers which had this job before; 0 for a new job. */
  readonly attemptsBefore: number;
}

/**
 * How many attempts belong to one manager. A client that gives a job to another
 * manager begins at the next block, so that no attempt is ever made twice.
 */
export const ATTEMPTS_PER_MANAGER = 1_000;

/**
 * Checks options and fills in defaults.
 *
 * @param defaultTimeoutMs for a job that names none, milliseconds
 * @param limitBytes what the broker takes beside our headers, as payloadLimit() says
 * @param newId makes the id of a job that names none
 * @throws PoolError `invalid_argument` naming the field, `payload_too_large`
 */
export function toJobSpec(
  payload: Uint8Array,
  options: SubmitOptions | JobHeaders,
  defaultTimeoutMs: number,
  limitBytes: number,
  newId: () => string,
): JobSpec {
  const id = "id" in options ? options.id : (options as JobHeaders).jobId;
  const traceparent = options.traceparent;
  const tracestate = options.tracestate;
  checkPayload(payload);
  const refusal = jobRefusal(payload, options, limitBytes);
  if (refusal !== undefined) throw refusal;
  const { nonce: said, clockMs } = options as JobHeaders;
  // A client of ours says a nonce when its caller chose the id; without one the id is its own.
  const nonce = said ?? (id === undefined || clockMs !== undefined ? "" : newId());
  return {
    nonce,
    id: id === undefined ? newId() : checkName("job", id),
    payload,
    timeoutMs: options.timeoutMs === undefined ? defaultTimeoutMs : checkTimeoutMs(options.timeoutMs),
    idempotent: options.idempotent ?? false,
    priority: options.priority === undefined ? "normal" : checkPriority(options.priority),
    wait: options.wait ?? true,
    client: options.client === undefined || options.client === "" ? "" : checkClient(options.client),
    traceparent: traceparent === undefined ? undefined : checkTraceHeader("traceparent", traceparent),
    tracestate: tracestate === undefined ? undefined : checkTraceHeader("tracestate", tracestate),
    attemptsBefore: ((options as JobHeaders).attempt ?? 1) - 1,
  };
}

function checkPayload(payload: unknown): void {
  if (!(payload instanceof Uint8Array)) {
    throw new PoolError("invalid_argument", "payload: use a Uint8Array or a string", { field: "payload" });
  }
}
