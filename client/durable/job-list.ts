/**
 * The jobs of a pool that have not ended, page by page, in the order in which they were stored.
 *
 * Decided here: a page ends when it is full, at the end of the stream, or when
 * reading it has taken long; so a page may be short although there are more.
 */
import { toLater } from "../../mesh/durable/later/find-later.js";
import { LEVELS } from "../../mesh/durable/names.js";
import { noLane } from "../../mesh/durable/shown/figures.js";
import { checkPageSize, type JobLookup, JobReads, type JobReadsParts, type LiveJob, toLookup } from "./job-reads.js";

/** Which jobs, and how many. */
export interface JobPageOptions {
  /** Only jobs in this state. Without it: all but those that wait for their time, which are in a list of their own. */
  readonly state?: JobLookup["state"];
  /** At most so many, 1 to 1,000; default 100. */
  readonly limit?: number;
  /** Only those stored after the one with this sequence: `next` of the last page. */
  readonly after?: number;
  /** Only jobs of this client; undefined for those of anybody. */
  readonly onlyClient?: string | undefined;
  /** Gives up; what was read is the page. */
  readonly signal?: AbortSignal;
}

/** One page. */
export interface JobPage {
  readonly jobs: readonly JobLookup[];
  /** `after` of the next page; undefined at the end. */
  readonly next: number | undefined;
}

const DEFAULT_LIMIT = 100;
/** A page that takes longer ends where it is, in milliseconds. */
const PAGE_LIMIT_MS = 2_000;
/** Jobs whose managers are asked at once. */
const ASKED_AT_ONCE = 64;

/** @throws PoolError `unknown_pool` when the pool has no durable lane, `invalid_argument`, `bus_unavailable` */
export async function listJobs(parts: JobReadsParts, options: JobPageOptions): Promise<JobPage> {
  const { pool, bus, names, store } = parts;
  const { state, after = 0, signal } = options;
  const limit = checkPageSize("limit", options.limit ?? DEFAULT_LIMIT);
  const isMeant = ({ job }: LiveJob): boolean => options.onlyClient === undefined || job?.client === options.onlyClient;
  if (state === "scheduled") return listLater(parts, limit, after, signal, isMeant);
  const stream = names.jobsStream(pool);
  if ((await store.streamInfo(stream)) === undefined) throw noLane(pool);
  const reads = new JobReads(parts);
  const isUntouched = await untouched(parts);
  const endAtMs = bus.runtime.now() + PAGE_LIMIT_MS;
  const jobs: JobLookup[] = [];
  let from = after + 1;
  for (let batch: LiveJob[] = []; ; batch = []) {
    let isAtEnd = false;
    // Of a full stream few may be in the state that is asked for.
    while (batch.length < Math.min(ASKED_AT_ONCE, limit - jobs.length) && !isAtEnd) {
      const stored = await store.next(stream, names.everyJob(pool), from);
      isAtEnd = stored === undefined;
      if (stored === undefined) break;
      from = stored.sequence + 1;
      const job = reads.toLive(stored);
      if (isMeant(job)) batch.push(job);
      if (bus.runtime.now() >= endAtMs || signal?.aborted) break;
    }
    const standings = batch.map((job) => (isUntouched(job) ? toLookup(job, undefined) : reads.liveStanding(job)));
    for (const job of await Promise.all(standings)) if (state === undefined || job.state === state) jobs.push(job);
    if (isAtEnd) return { jobs, next: undefined };
    if (jobs.length >= limit || bus.runtime.now() >= endAtMs || signal?.aborted) return { jobs, next: from - 1 };
  }
}

/** Those that wait for their time, and those whose time has just come. */
async function listLater(
  parts: JobReadsParts,
  limit: number,
  after: number,
  signal: AbortSignal | undefined,
  isMeant: (job: LiveJob) => boolean,
): Promise<JobPage> {
  const { pool, bus, names, store } = parts;
  if ((await store.streamInfo(names.jobsStream(pool))) === undefined) throw noLane(pool);
  if ((await store.streamInfo(names.laterStream(pool))) === undefined) return { jobs: [], next: undefined };
  const reads = new JobReads(parts);
  const endAtMs = bus.runtime.now() + PAGE_LIMIT_MS;
  const jobs: JobLookup[] = [];
  for (let from = after + 1; ; ) {
    const job = toLater(await store.nextDecisive(names.laterStream(pool), names.allLater(pool), from));
    if (job === undefined) return { jobs, next: undefined };
    from = job.sequence + 1;
    const live = reads.laterToLive(job);
    if (names.isLaterJob(job.subject) && isMeant(live)) jobs.push(toLookup(live, undefined));
    if (jobs.length >= limit || bus.runtime.now() >= endAtMs || signal?.aborted) return { jobs, next: from - 1 };
  }
}

/** Tells the jobs that were never delivered: nobody needs to be asked for them. */
async function untouched({ pool, names, store }: JobReadsParts): Promise<(job: LiveJob) => boolean> {
  const stream = names.jobsStream(pool);
  const infos = await Promise.all(LEVELS.map((level) => store.consumerInfo(stream, level)));
  const delivered = new Map(LEVELS.map((level, i) => [level, infos[i]?.delivered.stream_seq ?? 0]));
  return ({ level, sequence }) => sequence > (delivered.get(level) ?? 0);
}
