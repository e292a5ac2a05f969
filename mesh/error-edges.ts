/**
 * The two edges of the error catalogue: NATS headers and Connect errors.
 *
 * Every door uses these four functions, so an error has the same reason and
 * the same words whichever way it leaves or comes in.
 */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { MsgHdrs } from "nats";
import { type ErrorDetail, ErrorDetailSchema } from "../gen/poolmesh/v1/error_pb.js";
import { CATALOGUE, isReason, PoolError, type PoolErrorOptions, type Reason, safeMessage, toPoolError } from "./errors.js";
import { HEADER } from "./headers.js";

/** Adds an error to a reply's headers: our reason, and ADR-32's text and number. */
export function writeErrorHeaders(h: MsgHdrs, error: PoolError): void {
  h.append(HEADER.error, error.reason);
  h.append(HEADER.serviceError, safeMessage(error.message) || error.reason);
  h.append(HEADER.serviceErrorCode, String(CATALOGUE[error.reason].number));
  if (error.retryAfterMs !== undefined) h.append(HEADER.retryAfterMs, String(Math.ceil(error.retryAfterMs)));
  if (error.maybeExecuted) h.append(HEADER.maybeExecuted, "1");
  if (error.field !== undefined) h.append(HEADER.field, safeMessage(error.field));
  if (error.utilization !== undefined) h.append(HEADER.utilization, error.utilization.toFixed(3));
  if (error.parked !== undefined) h.append(HEADER.parked, String(error.parked));
}

/** Reads an error from a reply's headers; a stranger's error is `job_failed`. */
export function readErrorHeaders(h: MsgHdrs): PoolError {
  const said = h.get(HEADER.error);
  const reason: Reason = isReason(said) ? said : "job_failed";
  const options: PoolErrorOptions = {};
  const retryAfterMs = h.get(HEADER.retryAfterMs);
  if (/^\d{1,10}$/.test(retryAfterMs)) options.retryAfterMs = Number(retryAfterMs);
  if (h.get(HEADER.maybeExecuted) === "1") options.maybeExecuted = true;
  const field = h.get(HEADER.field);
  if (field !== "") options.field = field;
  const utilization = Number(h.get(HEADER.utilization) || Number.NaN);
  if (utilization >= 0 && utilization <= 1) options.utilization = utilization;
  const parked = h.get(HEADER.parked);
  if (/^\d{1,10}$/.test(parked)) options.parked = Number(parked);
  return new PoolError(reason, safeMessage(h.get(HEADER.serviceError)) || reason, options);
}

/** An error as a message of a stream of outcomes. */
export function toErrorDetail(error: PoolError): ErrorDetail {
  return create(ErrorDetailSchema, {
    reason: error.reason,
    message: safeMessage(error.message),
    retryable: error.retryable,
    retryAfterMs: Math.ceil(error.retryAfterMs ?? 0),
    maybeExecuted: error.maybeExecuted,
    field: error.field ?? "",
    utilization: error.utilization ?? 0,
    parked: error.parked ?? 0,
  });
}

/** The other way round, for clients. */
export function fromErrorDetail(detail: ErrorDetail): PoolError {
  const options: PoolErrorOptions = { retryable: detail.retryable, maybeExecuted: detail.maybeExecuted };
  if (detail.retryAfterMs > 0) options.retryAfterMs = detail.retryAfterMs;
  if (detail.field !== "") options.field = detail.field;
  if (detail.reason === "pool_full") {
    options.utilization = detail.utilization;
    options.parked = detail.parked;
  }
  return new PoolError(isReason(detail.reason) ? detail.reason : "internal", detail.message, options);
}

/** Any thrown value as a ConnectError that bears an ErrorDetail. */
export function toConnectError(thrown: unknown): ConnectError {
  if (thrown instanceof ConnectError) return thrown;
  const error = toPoolError(thrown);
  return new ConnectError(`${error.reason}: ${safeMessage(error.message)}`, error.code, undefined, [
    { desc: ErrorDetailSchema, value: toErrorDetail(error) },
  ]);
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
