/**
 * The Connect edge of the error catalogue. Kept apart from the NATS edge, so
 * that a browser can read our errors without a NATS client.
 */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type ErrorDetail, ErrorDetailSchema } from "../../gen/poolmesh/v1/error_pb.js";
import {
  isJobCode,
  isReason,
  PoolError,
  type PoolErrorOptions,
  type Reason,
  safeMessage,
  toPoolError,
} from "../errors.js";

/** Which job an error ended, and what is known of it. */
export interface FailedJobFacts {
  readonly jobId: string;
  /** Who ran it last; "" when nobody did. */
  readonly worker: string;
  /** The attempt that ended it; 0 when there was none. */
  readonly attempt: number;
  /** From submit to the attempt that ended it, and to its end, in milliseconds. */
  readonly waitMs: number;
  readonly totalMs: number;
}

const factsOf = new WeakMap<PoolError, FailedJobFacts>();

/** An error of one job: a copy, since one error may end several jobs. */
export function asJobError(error: PoolError, facts: FailedJobFacts): PoolError {
  const copy = new PoolError(error.reason, error.message, error as PoolErrorOptions);
  factsOf.set(copy, facts);
  return copy;
}

/** The job of an error that came over Connect; undefined when the error is not of a job, or its manager does not say. */
export function jobFactsOf(error: PoolError): FailedJobFacts | undefined {
  return factsOf.get(error);
}

/** An error as a message of a stream of outcomes. */
export function toErrorDetail(error: PoolError): ErrorDetail {
  return create(ErrorDetailSchema, {
    ...factsOf.get(error),
    reason: error.reason,
    message: safeMessage(error.message),
    retryable: error.retryable,
    retryAfterMs: Math.ceil(error.retryAfterMs ?? 0),
    maybeExecuted: error.maybeExecuted,
    field: error.field ?? "",
    utilization: error.utilization ?? 0,
    parked: error.parked ?? 0,
    code: error.jobCode ?? "",
  });
}

/** The other way round, for clients. */
export function fromErrorDetail(detail: ErrorDetail): PoolError {
  const options: PoolErrorOptions = { retryable: detail.retryable, maybeExecuted: detail.maybeExecuted };
  if (detail.retryAfterMs > 0) options.retryAfterMs = detail.retryAfterMs;
  if (detail.field !== "") options.field = detail.field;
  if (isJobCode(detail.code)) options.jobCode = detail.code;
  if (detail.reason === "pool_full") {
    options.utilization = detail.utilization;
    options.parked = detail.parked;
  }
  const error = new PoolError(isReason(detail.reason) ? detail.reason : "internal", detail.message, options);
  const { jobId, worker, attempt, waitMs, totalMs } = detail;
  if (jobId !== "") factsOf.set(error, { jobId, worker, attempt, waitMs, totalMs });
  return error;
}

/**
 * Any thrown value as a ConnectError that bears an ErrorDetail. Clients print a
 * code before its message, so the message names the reason only where the code
 * is called differently.
 */
export function toConnectError(thrown: unknown): ConnectError {
  if (thrown instanceof ConnectError) return thrown;
  const error = toPoolError(thrown);
  const message = safeMessage(error.message);
  const text = nameOf(error.code) === error.reason ? message : `${error.reason}: ${message}`;
  return new ConnectError(text, error.code, undefined, [{ desc: ErrorDetailSchema, value: toErrorDetail(error) }]);
}

/** A code as clients print it: `InvalidArgument` → `invalid_argument`. */
function nameOf(code: Code): string {
  return Code[code].replace(/[A-Z]/g, (letter, at) => `${at === 0 ? "" : "_"}${letter.toLowerCase()}`);
}

/** A Connect error as a PoolError; without our detail its code decides. */
export function fromConnectError(thrown: unknown): PoolError {
  const error = ConnectError.from(thrown);
  const detail = error.findDetails(ErrorDetailSchema)[0];
  if (detail !== undefined) return fromErrorDetail(detail);
  return new PoolError(reasonOf(error.code), error.rawMessage, { cause: error });
}

function reasonOf(code: Code): Reason {
  switch (code) {
    case Code.InvalidArgument:
      return "invalid_argument";
    case Code.DeadlineExceeded:
      return "deadline_exceeded";
    case Code.Canceled:
      return "canceled";
    case Code.Unauthenticated:
      return "unauthenticated";
    case Code.PermissionDenied:
      return "permission_denied";
    case Code.NotFound:
      return "not_found";
    case Code.Unavailable:
      return "bus_unavailable";
    default:
      return "internal";
  }
}
