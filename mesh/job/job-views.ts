/**
 * Jobs as managers show them: their order, pages of them, and several managers' answers as one. Pure.
 *
 * Decided here: the newest submission comes first, and a place in that order is what a
 * page token names. So pages neither repeat nor miss a job, whatever comes and goes
 * between them. A job that two managers tell of is told once.
 */
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { JobOrder, type JobQueryAnswer, type JobView, JobViewState } from "../../gen/poolmesh/v1/job_pb.js";
import { PoolError } from "../errors.js";
import { isName } from "../wire/subjects.js";

/** Jobs of a page: at most, and unless told otherwise. */
export const MAX_PAGE = 1_000;
export const DEFAULT_PAGE = 100;

/** A place in the order of a list. */
export interface Place {
  /** When the job was submitted, microseconds since the epoch. */
  readonly atUs: number;
  readonly pool: string;
  readonly id: string;
}

/** Negative when `a` comes before `b`. */
export function comparePlaces(a: Place, b: Place): number {
  return b.atUs - a.atUs || compareText(a.pool, b.pool) || compareText(a.id, b.id);
}

/** An instant as a message has it. @param ms since the epoch, to the microsecond */
export function toTimestamp(ms: number): Timestamp {
  const timestamp = timestampFromMs(Math.floor(ms));
  timestamp.nanos += Math.round((ms - Math.floor(ms)) * 1_000) * 1_000;
  if (timestamp.nanos < 1_000_000_000) return timestamp;
  return { ...timestamp, seconds: timestamp.seconds + 1n, nanos: timestamp.nanos - 1_000_000_000 };
}

/** Microseconds since the epoch; 0 for none. */
export function toMicros(timestamp: Timestamp | undefined): number {
  return timestamp === undefined ? 0 : Number(timestamp.seconds) * 1e6 + Math.round(timestamp.nanos / 1_000);
}

export function placeOf({ submittedAt, pool, jobId }: JobView): Place {
  return { atUs: toMicros(submittedAt), pool, id: jobId };
}

/** The page that begins after a place. */
export function toPageToken({ atUs, pool, id }: Place): string {
  return Buffer.from(`1.${atUs}.${pool}.${id}`).toString("base64url");
}

/** Where the last page ended; undefined for the first one. @throws PoolError `invalid_argument` */
export function fromPageToken(token: string): Place | undefined {
  if (token === "") return undefined;
  const text = token.length <= 512 ? Buffer.from(token, "base64url").toString("latin1") : "";
  const [version, at = "", pool, id, ...rest] = text.split(".");
  const atUs = /^\d{1,16}$/.test(at) ? Number(at) : Number.NaN;
  const isOurs = version === "1" && rest.length === 0 && Number.isSafeInteger(atUs);
  if (isOurs && isName(pool) && isName(id)) return { atUs, pool, id };
  throw new PoolError("invalid_argument", "page_token: use the next_page_token of the last page", {
    field: "page_token",
  });
}

/** How many jobs a page has. @throws PoolError `invalid_argument` */
export function toPageSize(size: number): number {
  if (size <= MAX_PAGE) return size === 0 ? DEFAULT_PAGE : size;
  throw new PoolError("invalid_argument", `page_size: use a number from 1 to ${MAX_PAGE}`, { field: "page_size" });
}

/** Whether a job has not ended. */
export function isLive({ state }: Pick<JobView, "state">): boolean {
  return state !== JobViewState.SUCCEEDED && state !== JobViewState.FAILED;
}

/**
 * Several managers' answers as one page.
 *
 * A manager that has more to tell knows nothing of what comes after its last job, so
 * the page ends there at the latest.
 */
export function mergePages(
  answers: readonly Pick<JobQueryAnswer, "jobs" | "more">[],
  pageSize: number,
  order = JobOrder.UNSPECIFIED,
): { readonly jobs: JobView[]; readonly next: string } {
  if (order === JobOrder.SLOWEST) return { jobs: slowestFirst(answers).slice(0, pageSize), next: "" };
  const ends = answers.flatMap(({ jobs, more }) => {
    const last = more ? jobs.at(-1) : undefined;
    return last === undefined ? [] : [placeOf(last)];
  });
  const end = ends.sort(comparePlaces)[0];
  const placed = answers.flatMap(({ jobs }) => jobs.map((job) => ({ job, place: placeOf(job) })));
  placed.sort((a, b) => comparePlaces(a.place, b.place));
  const known = end === undefined ? placed : placed.filter(({ place }) => comparePlaces(place, end) <= 0);
  const page = known.slice(0, pageSize);
  const hasMore = end !== undefined || known.length > page.length;
  const last = page.at(-1)?.place;
  return { jobs: eachOnce(page.map(({ job }) => job)), next: hasMore && last !== undefined ? toPageToken(last) : "" };
}

/** The slowest come first; there is one page of them. */
function slowestFirst(answers: readonly Pick<JobQueryAnswer, "jobs">[]): JobView[] {
  return eachOnce(answers.flatMap(({ jobs }) => jobs)).sort((a, b) => b.totalMs - a.totalMs || compareNewest(a, b));
}

/** Of several jobs with one id the one that is live, else the newest. */
export function chooseJob(jobs: readonly JobView[]): JobView | undefined {
  return [...jobs].sort((a, b) => Number(isLive(b)) - Number(isLive(a)) || compareNewest(a, b))[0];
}

/** A client that gives a job to another manager may be told of by both for a moment. */
function eachOnce(jobs: readonly JobView[]): JobView[] {
  const told = new Map<string, JobView>();
  for (const job of jobs) {
    const key = keyOf(job);
    const before = told.get(key);
    told.set(key, before === undefined ? job : (chooseJob([before, job]) as JobView));
  }
  return jobs.filter((job) => told.get(keyOf(job)) === job);
}

/** A submission. Each delivery of the durable lane is one of its own. */
function keyOf(job: JobView): string {
  const { pool, jobId, submission, durable, manager } = job;
  return `${pool} ${jobId} ${submission}${durable ? ` ${manager} ${numberOf(job)}` : ""}`;
}

function compareNewest(a: JobView, b: JobView): number {
  return numberOf(b) - numberOf(a) || comparePlaces(placeOf(a), placeOf(b));
}

/** Of an older manager its attempt is the number. */
function numberOf({ attemptNumber, attempt }: JobView): number {
  return attemptNumber || attempt;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
