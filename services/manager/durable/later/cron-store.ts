/**
 * Sets and removes the cron schedules of a pool.
 *
 * Decided here: what is the same already stays untouched, so that whoever sets its schedules at
 * each start does not begin an interval anew each time. What is set is set over what was read, which the
 * stream checks, so two who set at once do not undo each other unseen.
 */
import type { CronChange } from "../../../../client/durable/crons.js";
import { thenBytes } from "../../../../mesh/durable/after/then.js";
import { enqueueRefusal, isFenced, type PublishAnswer } from "../../../../mesh/durable/answers.js";
import type { EnqueueParts } from "../../../../mesh/durable/enqueue.js";
import { encodeDurableJob } from "../../../../mesh/durable/job.js";
import { type Cron, checkCronName, checkCronThen, encodeCron } from "../../../../mesh/durable/later/cron.js";
import { MAX_CRONS } from "../../../../mesh/durable/later/list-crons.js";
import { NATS_HEADER } from "../../../../mesh/durable/names.js";
import type { Stored } from "../../../../mesh/durable/store.js";
import { PoolError } from "../../../../mesh/errors.js";
import { eachHeader, type HeaderReader } from "../../../../mesh/wire/wire-headers.js";
import { laterPayloadLimit } from "./schedule-job.js";

const ACK_LIMIT_MS = 5_000;
const BAD_PATTERN = 10_189;
const BAD_TIME_ZONE = 10_223;

/** @throws PoolError `invalid_argument`, `payload_too_large`, `pool_full`, `duplicate_job` when somebody else has just changed it */
export async function setCron(parts: EnqueueParts, pool: string, cron: Cron): Promise<CronChange> {
  const { names, store, publisher, bus } = parts;
  checkCronThen(cron.job.then);
  const limit = laterPayloadLimit(bus) - thenBytes(cron.job.then);
  if (cron.payload.length > limit) {
    const message = `payload: ${cron.payload.length} bytes, that of a cron schedule may have ${limit}`;
    throw new PoolError("payload_too_large", message, { field: "payload" });
  }
  const stream = names.laterStream(pool);
  const subject = names.cron(pool, cron.name);
  const before = await store.last(stream, subject);
  const headers = toHeaders(parts, pool, cron);
  if (before !== undefined && isSame(before, headers, cron.payload)) return "unchanged";
  if (before === undefined && (await store.count(stream, names.everyLater("cron", pool))) >= MAX_CRONS) {
    throw new PoolError("pool_full", `the pool has ${MAX_CRONS} cron schedules, the limit`, { field: "name" });
  }
  headers.append(NATS_HEADER.expectedLastSubjectSequence, String(before?.sequence ?? 0));
  const answer = await publisher.publish({ subject, payload: cron.payload, headers }, ACK_LIMIT_MS);
  if (answer.kind !== "stored") throw refusal(answer, pool);
  return before === undefined ? "created" : "changed";
}

/** Jobs that it has made already go on. @throws PoolError `not_found`, `invalid_argument`, `bus_unavailable` */
export async function removeCron({ names, store }: EnqueueParts, pool: string, name: string): Promise<void> {
  const stream = names.laterStream(pool);
  const stored = await store.last(stream, names.cron(pool, checkCronName(name)));
  if (stored === undefined || !(await store.delete(stream, stored.sequence))) {
    throw new PoolError("not_found", `pool ${pool} has no cron schedule of the name ${name}`, { field: "name" });
  }
}

function toHeaders({ names }: EnqueueParts, pool: string, cron: Cron): ReturnType<typeof encodeDurableJob> {
  const headers = encodeDurableJob({ ...cron.job, enqueuedAt: undefined, expiresAt: undefined, notify: undefined });
  encodeCron(headers, cron, cron.priority);
  headers.append(NATS_HEADER.schedule, cron.schedule);
  if (cron.timeZone !== "") headers.append(NATS_HEADER.scheduleTimeZone, cron.timeZone);
  headers.append(NATS_HEADER.scheduleTarget, names.fired(pool, cron.name));
  headers.append(NATS_HEADER.expectedStream, names.laterStream(pool));
  return headers;
}

/** Our own headers say all of it; those of NATS follow from them, and the broker adds some. */
function isSame(before: Stored, wanted: HeaderReader, payload: Uint8Array): boolean {
  return Buffer.compare(before.payload, payload) === 0 && ownText(before.headers) === ownText(wanted);
}

function ownText(headers: HeaderReader | undefined): string {
  const lines: string[] = [];
  if (headers === undefined) return "";
  eachHeader(headers, (name, value) => {
    if (name.startsWith("Pool-")) lines.push(`${name}: ${value}`);
  });
  return lines.sort().join("\n");
}

function refusal(answer: Exclude<PublishAnswer, { kind: "stored" }>, pool: string): PoolError {
  if (isFenced(answer)) {
    const message = "somebody else has just changed this cron schedule: look at it and set it again";
    return new PoolError("duplicate_job", message, { field: "name" });
  }
  if (answer.kind !== "refused") return enqueueRefusal(answer, pool);
  const { code, text } = answer;
  if (code === BAD_PATTERN) {
    const message = `schedule: the broker does not take it (${text}); six fields from seconds on, or @every of a second at least`;
    return new PoolError("invalid_argument", message, { field: "schedule" });
  }
  if (code === BAD_TIME_ZONE) {
    const message = `timeZone: the broker does not know it (${text}); use an IANA name such as "Europe/Berlin"`;
    return new PoolError("invalid_argument", message, { field: "timeZone" });
  }
  return enqueueRefusal(answer, pool);
}
