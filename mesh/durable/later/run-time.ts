/**
 * When a job for later may run: as its caller says it, as it travels, and as an instant. Pure.
 *
 * Decided here: a time from now becomes an instant where the job is stored, so the
 * clock of who enqueues does not matter. The broker's clock says when the instant has come.
 */
import type { MsgHdrs } from "nats";
import { PoolError } from "../../errors.js";
import { HEADER } from "../../wire/headers.js";
import type { HeaderReader } from "../../wire/wire-headers.js";

/** An instant, milliseconds since the epoch; or a time from when it is stored, milliseconds. */
export type RunTime = { readonly at: number } | { readonly delayMs: number };

const YEAR_MS = 365 * 86_400_000;
/** How far ahead a job may be stored, in milliseconds: ten years. */
export const MAX_AHEAD_MS = 10 * YEAR_MS;
/** An instant that has passed longer ago is taken for a mistake, such as seconds in the place of milliseconds. */
const MAX_PAST_MS = YEAR_MS;

/**
 * What a caller says.
 *
 * @param runAt a Date, milliseconds since the epoch, or a text as RFC 3339 has it
 * @param wallNowMs milliseconds since the epoch
 * @returns undefined for a job that says nothing
 * @throws PoolError `invalid_argument`
 */
export function checkRunTime(runAt: unknown, delayMs: unknown, wallNowMs: number): RunTime | undefined {
  if (runAt !== undefined && delayMs !== undefined) throw refused("runAt", "use runAt or delayMs, not both");
  if (delayMs !== undefined) return { delayMs: checkDelayMs("delayMs", delayMs) };
  return runAt === undefined ? undefined : { at: checkInstant("runAt", toMs(runAt), wallNowMs) };
}

/** The instant, milliseconds since the epoch. @param wallNowMs where the job is stored */
export function instantOf(time: RunTime, wallNowMs: number): number {
  return "at" in time ? time.at : wallNowMs + time.delayMs;
}

/** Writes it for the manager that is to store the job. */
export function encodeRunTime(headers: MsgHdrs, time: RunTime): void {
  if ("at" in time) headers.append(HEADER.runAt, String(time.at));
  else headers.append(HEADER.delayMs, String(time.delayMs));
}

/** What a message says. @throws PoolError `invalid_argument` with the header as its field */
export function decodeRunTime(headers: HeaderReader | undefined, wallNowMs: number): RunTime | undefined {
  const runAt = headers?.get(HEADER.runAt) ?? "";
  const delayMs = headers?.get(HEADER.delayMs) ?? "";
  if (runAt !== "" && delayMs !== "") throw refused(HEADER.runAt, `use it or ${HEADER.delayMs}, not both`);
  if (delayMs !== "") return { delayMs: checkDelayMs(HEADER.delayMs, wholeNumber(delayMs)) };
  if (runAt === "") return undefined;
  const at = /^\d+$/.test(runAt) ? wholeNumber(runAt) : toMs(runAt);
  return { at: checkInstant(HEADER.runAt, at, wallNowMs) };
}

/** The instant of a stored job, milliseconds since the epoch; undefined for any other message. */
export function storedInstant(headers: HeaderReader | undefined): number | undefined {
  const at = wholeNumber(headers?.get(HEADER.runAt) ?? "");
  return Number.isNaN(at) ? undefined : at;
}

function checkDelayMs(field: string, delayMs: unknown): number {
  if (typeof delayMs === "number" && delayMs >= 0 && delayMs <= MAX_AHEAD_MS) return Math.ceil(delayMs);
  throw refused(field, `use a number of milliseconds from 0 to ${MAX_AHEAD_MS} (ten years)`);
}

function checkInstant(field: string, at: number, wallNowMs: number): number {
  if (at >= wallNowMs - MAX_PAST_MS && at <= wallNowMs + MAX_AHEAD_MS) return Math.ceil(at);
  const how = 'a Date, milliseconds since the epoch, or a time with its zone such as "2026-12-24T18:00:00Z"';
  throw refused(field, `use ${how}, at most a year ago and ten years ahead`);
}

/** With its zone: a text without one would mean another instant on another machine. */
const RFC3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)$/;

/** NaN for what is none. */
function toMs(value: unknown): number {
  if (value instanceof Date) return value.getTime();
  if (typeof value === "number") return value;
  return typeof value === "string" && RFC3339.test(value) ? Date.parse(value.replace(" ", "T")) : Number.NaN;
}

function wholeNumber(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
}

function refused(field: string, why: string): PoolError {
  return new PoolError("invalid_argument", `${field}: ${why}`, { field });
}
