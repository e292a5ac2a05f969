/**
 * Cron schedules: what they say, and how they are stored. Pure.
 *
 * Decided here: five fields are those of crontab, and get second 0. Whether a
 * pattern and a time zone are any is decided by the broker, which reads them; "Local" is
 * refused, since it would be the zone of whichever broker fires.
 */
import type { MsgHdrs } from "nats";
import { CronOverlap } from "../../../gen/poolmesh/v1/durable_pb.js";
import { PoolError } from "../../errors.js";
import { HEADER, type Priority } from "../../wire/headers.js";
import { isName } from "../../wire/subjects.js";
import type { HeaderReader } from "../../wire/wire-headers.js";
import { encodeThen, type ThenStep } from "../after/then.js";
import { type DurableJob, decodeDurableJob, durableDefaults } from "../job.js";
import { LEVELS } from "../names.js";
import type { Stored } from "../store.js";

/** What to do when a schedule fires while its last job has not ended. */
export type Overlap = "skip" | "allow";

/** The message's value of each. */
export const PROTO_OVERLAPS: Readonly<Record<Overlap, CronOverlap>> = {
  skip: CronOverlap.SKIP,
  allow: CronOverlap.ALLOW,
};

/** When, and what then. */
export interface CronTime {
  /** Up to 40 letters, digits, `_` and `-`. */
  readonly name: string;
  /** Six fields: second, minute, hour, day of month, month, day of week; or "@every 90s", "@daily". */
  readonly schedule: string;
  /** An IANA name such as "Europe/Berlin"; "" for UTC. */
  readonly timeZone: string;
  readonly overlap: Overlap;
}

/** A cron schedule as it is kept. */
export interface Cron extends CronTime {
  readonly priority: Priority;
  /** What its jobs say of themselves. */
  readonly job: DurableJob;
  readonly payload: Uint8Array;
}

/** Room for what is put after the name in the ids of jobs. */
const MAX_NAME = 40;
const MAX_SCHEDULE = 256;
const MACROS = /^@(yearly|annually|monthly|weekly|daily|midnight|hourly)$/;

/** @throws PoolError `invalid_argument` */
export function checkCron(said: { readonly [K in keyof CronTime]?: unknown }): CronTime {
  const { name, schedule, timeZone = "", overlap = "skip" } = said;
  if (overlap !== "skip" && overlap !== "allow") throw refused("overlap", 'use "skip" or "allow"');
  const named = checkCronName(name);
  const time = { name: named, schedule: checkSchedule(schedule), timeZone: checkTimeZone(timeZone), overlap } as const;
  if (time.timeZone !== "" && time.schedule.startsWith("@every")) {
    throw refused("timeZone", "an interval is the same everywhere: leave it out with @every");
  }
  return time;
}

/** @throws PoolError `invalid_argument` */
export function checkCronName(name: unknown): string {
  if (isName(name) && name.length <= MAX_NAME) return name;
  throw refused("name", `use up to ${MAX_NAME} letters, digits, "_" and "-", a letter or digit first`);
}

function checkSchedule(schedule: unknown): string {
  const hint = 'use six fields from seconds on, such as "0 30 6 * * mon-fri", five as in crontab, or "@every 90s"';
  if (typeof schedule !== "string" || schedule.length > MAX_SCHEDULE) throw refused("schedule", hint);
  const fields = schedule.trim().split(/[ \t]+/);
  const text = fields.join(" ");
  if (MACROS.test(text) || /^@every [0-9a-z.µ]+$/.test(text)) return text;
  if (!/^[0-9A-Za-z*,/?#-]+( [0-9A-Za-z*,/?#-]+){4,5}$/.test(text)) throw refused("schedule", hint);
  return fields.length === 5 ? `0 ${text}` : text;
}

function checkTimeZone(timeZone: unknown): string {
  const isOne = typeof timeZone === "string" && /^([A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*)?$/.test(timeZone);
  if (isOne && timeZone.length <= 64 && timeZone.toLowerCase() !== "local") return timeZone;
  throw refused("timeZone", 'use a name such as "Europe/Berlin"; without one it is UTC');
}

/** Each firing makes another job, so each needs another next job. @throws PoolError `invalid_argument` */
export function checkCronThen(then: readonly ThenStep[]): void {
  const named = then.find(({ id }) => id !== undefined);
  if (named === undefined) return;
  const message = `use pools without ids: ${encodeThen([named])} would run once, and not after each firing`;
  throw refused("then", message);
}

/** Writes what is said of the time, for a manager or for the stream. */
export function encodeCron(
  headers: MsgHdrs,
  { name, schedule, timeZone, overlap }: CronTime,
  priority: Priority,
): void {
  headers.append(HEADER.cronName, name);
  headers.append(HEADER.schedule, schedule);
  if (timeZone !== "") headers.append(HEADER.timeZone, timeZone);
  if (overlap !== "skip") headers.append(HEADER.overlap, overlap);
  if (priority !== "normal") headers.append(HEADER.priority, priority);
}

/** What a message says of the time. @throws PoolError `invalid_argument` */
export function decodeCronTime(headers: HeaderReader | undefined): CronTime {
  const said = (name: string): string | undefined => headers?.get(name) || undefined;
  return checkCron({
    name: said(HEADER.cronName),
    schedule: said(HEADER.schedule),
    timeZone: said(HEADER.timeZone),
    overlap: said(HEADER.overlap),
  });
}

/** A stored schedule, or what it has fired. One whose headers are wrong shows what can be read. */
export function toCron({ headers, payload }: Pick<Stored, "headers" | "payload">): Cron {
  const said = (name: string): string => headers?.get(name) ?? "";
  let job = durableDefaults();
  try {
    job = decodeDurableJob(headers, job.timeoutMs, "");
  } catch {
    // A manager buries what it fires, and says why.
  }
  return {
    name: said(HEADER.cronName),
    schedule: said(HEADER.schedule),
    timeZone: said(HEADER.timeZone),
    overlap: said(HEADER.overlap) === "allow" ? "allow" : "skip",
    priority: LEVELS.find((level) => level === said(HEADER.priority)) ?? "normal",
    job,
    payload,
  };
}

/** A schedule as people and programs read it. */
export type ShownCron = Omit<Cron, "payload"> & { readonly payloadBytes: number };

export function toShown({ payload, ...cron }: Cron): ShownCron {
  return { ...cron, payloadBytes: payload.length };
}

/** Its fields in a JSON line, without what is as by default. */
export function cronFields({ name, schedule, timeZone, overlap, priority, job, payloadBytes }: ShownCron): object {
  return {
    name,
    schedule,
    ...(timeZone === "" ? {} : { timeZone }),
    overlap,
    priority,
    timeoutMs: job.timeoutMs,
    maxAttempts: job.maxAttempts,
    ...(job.idempotent ? {} : { idempotent: false }),
    ...(job.client === "" ? {} : { client: job.client }),
    ...(job.then.length === 0 ? {} : { then: job.then.map(({ pool }) => pool) }),
    payloadBytes,
  };
}

function refused(field: string, why: string): PoolError {
  return new PoolError("invalid_argument", `${field}: ${why}`, { field });
}
