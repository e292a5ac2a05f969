/**
 * An error as NATS headers. As a Connect error: connect-errors.ts.
 *
 * Every door uses these functions, so
 * an error has the same reason and the same words whichever way it leaves or
 * comes in.
 */
import type { MsgHdrs } from "nats";
import {
  CATALOGUE,
  isJobCode,
  isReason,
  PoolError,
  type PoolErrorOptions,
  type Reason,
  safeMessage,
} from "../errors.js";
import { HEADER } from "./headers.js";
import type { HeaderReader } from "./wire-headers.js";

const encoder = new TextEncoder();

/** Adds an error to a reply's headers: our reason, and ADR-32's text and number. */
export function writeErrorHeaders(h: MsgHdrs, error: PoolError): void {
  h.append(HEADER.error, error.reason);
  h.append(HEADER.serviceError, safeMessage(error.message) || error.reason);
  h.append(HEADER.serviceErrorCode, String(CATALOGUE[error.reason].number));
  if (error.retryAfterMs !== undefined) h.append(HEADER.retryAfterMs, String(Math.ceil(error.retryAfterMs)));
  if (error.maybeExecuted) h.append(HEADER.maybeExecuted, "1");
  if (error.jobCode !== undefined) h.append(HEADER.errorCode, error.jobCode);
  if (error.field !== undefined) h.append(HEADER.field, safeMessage(error.field));
  if (error.utilization !== undefined) h.append(HEADER.utilization, error.utilization.toFixed(3));
  if (error.parked !== undefined) h.append(HEADER.parked, String(error.parked));
}

/** An error as the payload of a reply: for a person at the `nats` CLI; programs read the headers. */
export function errorText(error: PoolError): Uint8Array {
  return encoder.encode(`${error.reason}: ${safeMessage(error.message)}`);
}

/** Reads an error from a reply's headers; a stranger's error is `job_failed`. */
export function readErrorHeaders(h: HeaderReader): PoolError {
  const said = h.get(HEADER.error);
  const reason: Reason = isReason(said) ? said : "job_failed";
  const options: PoolErrorOptions = {};
  const retryAfterMs = h.get(HEADER.retryAfterMs);
  if (/^\d{1,10}$/.test(retryAfterMs)) options.retryAfterMs = Number(retryAfterMs);
  if (h.get(HEADER.maybeExecuted) === "1") options.maybeExecuted = true;
  const jobCode = h.get(HEADER.errorCode);
  if (isJobCode(jobCode)) options.jobCode = jobCode;
  const field = h.get(HEADER.field);
  if (field !== "") options.field = field;
  const utilization = Number(h.get(HEADER.utilization) || Number.NaN);
  if (utilization >= 0 && utilization <= 1) options.utilization = utilization;
  const parked = h.get(HEADER.parked);
  if (/^\d{1,10}$/.test(parked)) options.parked = Number(parked);
  return new PoolError(reason, safeMessage(h.get(HEADER.serviceError)) || reason, options);
}
