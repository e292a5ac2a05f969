/**
 * Which of a manager's jobs are meant, and which of those come first. Pure.
 *
 * Decided here: a list is made from live jobs and from those that are remembered, and
 * costs one look at each. Only the jobs of its page become messages.
 */
import type { JobFilter, JobView, JobViewState } from "../../../gen/poolmesh/v1/job_pb.js";
import { comparePlaces, type Place } from "../../../mesh/job/job-views.js";
import type { EndedJob, JobHistory } from "./history.js";
import type { Job } from "./job.js";
import { endedState, liveState, type ShowingManager, showEnded, showLive } from "./shown-job.js";

/** The jobs of one pool. */
export interface JobSource {
  readonly pool: string;
  readonly live: readonly Job[];
  readonly history: JobHistory;
}

/** What is asked for. */
export interface JobRules {
  /** Its pool is what the sources are. */
  readonly filter: Omit<JobFilter, "$typeName" | "$unknown" | "pool"> | undefined;
  /** Only jobs of this client. */
  readonly onlyClient?: string | undefined;
}

/** One page of one manager. */
export interface JobPage {
  readonly jobs: JobView[];
  readonly more: boolean;
}

/** What a filter looks at. */
interface Glimpse {
  readonly id: string;
  readonly client: string;
  readonly worker: string;
  readonly state: JobViewState;
  /** "" for one that has no error. */
  readonly reason: string;
}

/** The first jobs after a place. @param limit how many */
export function listJobs(
  sources: Iterable<JobSource>,
  rules: JobRules,
  by: ShowingManager,
  after: Place | undefined,
  limit: number,
): JobPage {
  const first = new FirstPlaces(after, limit);
  for (const { pool, live, history } of sources) {
    for (const job of live) {
      if (isMeant(glimpseLive(job), rules)) first.offer(placeAt(job, pool, by), () => showLive(job, pool, by, false));
    }
    for (const entry of history.newest()) {
      if (!isMeant(glimpseEnded(entry), rules)) continue;
      first.offer(placeAt(entry, pool, by), () => showEnded(entry, pool, by, false));
    }
  }
  return first.page();
}

/** Those that took longest, of the jobs that ended within the last minute. @param limit how many */
export function listSlowest(
  sources: Iterable<JobSource>,
  rules: JobRules,
  by: ShowingManager,
  limit: number,
): JobView[] {
  const first: JobView[] = [];
  for (const { pool, history } of sources) {
    for (const entry of history.slowest(by.nowMs)) {
      const last = first.length === limit ? first.at(-1) : undefined;
      if (last !== undefined && entry.endedAtMs - entry.submittedAtMs <= last.totalMs) continue;
      if (!isMeant(glimpseEnded(entry), rules)) continue;
      if (last !== undefined) first.pop();
      first.push(showEnded(entry, pool, by, false));
      first.sort((a, b) => b.totalMs - a.totalMs);
    }
  }
  return first;
}

/** The jobs of one id. @param payloads whether the beginnings of payloads are shown */
export function findJobs(
  sources: Iterable<JobSource>,
  id: string,
  onlyClient: string | undefined,
  by: ShowingManager,
  payloads: boolean,
): JobView[] {
  const found: JobView[] = [];
  const isOwn = ({ client }: { readonly client: string }): boolean => onlyClient === undefined || client === onlyClient;
  for (const { pool, live, history } of sources) {
    for (const job of live) if (job.id === id && isOwn(job)) found.push(showLive(job, pool, by, payloads));
    for (const entry of history.of(id)) if (isOwn(entry)) found.push(showEnded(entry, pool, by, payloads));
  }
  return found;
}

/** Whether a filter means a job. */
export function isMeant(job: Glimpse, { filter, onlyClient }: JobRules): boolean {
  if (onlyClient !== undefined && job.client !== onlyClient) return false;
  if (filter === undefined) return true;
  const { states, jobIdPrefix, reason, client, worker } = filter;
  if (states.length > 0 && !states.includes(job.state)) return false;
  if (jobIdPrefix !== "" && !job.id.startsWith(jobIdPrefix)) return false;
  if (reason !== "" && job.reason !== reason) return false;
  if (client !== "" && job.client !== client) return false;
  return worker === "" || job.worker === worker;
}

function glimpseLive(job: Job): Glimpse {
  return { id: job.id, client: job.client, worker: job.attempt?.worker ?? "", state: liveState(job), reason: "" };
}

function glimpseEnded(job: EndedJob): Glimpse {
  const { id, client, worker, error } = job;
  return { id, client, worker, state: endedState(job), reason: error?.reason ?? "" };
}

function placeAt(
  { id, submittedAtMs }: { readonly id: string; readonly submittedAtMs: number },
  pool: string,
  by: ShowingManager,
): Place {
  return { atUs: Math.round((submittedAtMs + by.wallOffsetMs) * 1_000), pool, id };
}

/** The first of many places, in their order, with what is there. */
class FirstPlaces {
  readonly #after: Place | undefined;
  readonly #limit: number;
  readonly #places: Place[] = [];
  readonly #jobs: JobView[] = [];
  #more = false;

  constructor(after: Place | undefined, limit: number) {
    this.#after = after;
    this.#limit = limit;
  }

  offer(place: Place, show: () => JobView): void {
    if (this.#after !== undefined && comparePlaces(place, this.#after) <= 0) return;
    const last = this.#places.at(-1);
    if (this.#places.length === this.#limit) {
      this.#more = true;
      if (last === undefined || comparePlaces(place, last) >= 0) return;
      this.#places.pop();
      this.#jobs.pop();
    }
    const at = this.#placeFor(place);
    this.#places.splice(at, 0, place);
    this.#jobs.splice(at, 0, show());
  }

  page(): JobPage {
    return { jobs: this.#jobs, more: this.#more };
  }

  #placeFor(place: Place): number {
    let [from, to] = [0, this.#places.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (comparePlaces(this.#places[middle] as Place, place) <= 0) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
