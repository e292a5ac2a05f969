/**
 * What the page asks of jobs: the figures of the chosen pool, the jobs of its lists, and the one job that
 * the address names.
 *
 * Decided here: lists and the job come from the managers, as `poolmesh jobs --live` and `poolmesh job` have
 * them. Figures stay when managers do not answer.
 */
import type { Client } from "@connectrpc/connect";
import { JobOrder, type JobService, type JobView, JobViewState } from "../../../../gen/poolmesh/v1/job_pb.js";
import type { GetJobStatsResponse, MeterService } from "../../../../gen/poolmesh/v1/meter_pb.js";
import { fromConnectError } from "../../../../mesh/wire/connect-errors.js";
import { ASK_TIMEOUT_MS } from "../poll.js";
import type { Route } from "../route.js";

/** Jobs of a list. */
const FAILURES = 5;
const SLOWEST = 5;
const RECENT = 8;
/** So many failed ones are looked at: cancels are left out, since their callers wished them. */
const LOOKED_AT = 20;
const OPTIONS = { timeoutMs: ASK_TIMEOUT_MS };

/** The lists of a pool. */
export interface JobLists {
  readonly failures: readonly JobView[];
  readonly slowest: readonly JobView[];
  readonly recent: readonly JobView[];
  /** Managers that did not answer: their jobs are missing. */
  readonly silent: readonly string[];
}

/** What is told of a pool's jobs. */
export interface PoolJobs {
  readonly stats: GetJobStatsResponse;
  /** Undefined where they cannot be had, or the view has none. */
  readonly lists?: JobLists;
  /** One that managers know, or knew when it was asked for last. */
  readonly job?: JobView;
  /** Why there are no lists, or no job; "" where they are. */
  readonly failure: string;
}

/** Whom the page asks. */
export interface JobClients {
  readonly client: Client<typeof MeterService>;
  readonly jobs: Client<typeof JobService>;
}

/** @param before what was told last: a job that managers have forgotten since stays */
export async function askJobs(
  { client, jobs }: JobClients,
  { view, pool, job }: Route,
  before: PoolJobs | undefined,
): Promise<PoolJobs> {
  const asked = view === "job" ? askJob(jobs, pool, job) : askLists(jobs, pool);
  const [stats, told] = await Promise.all([client.getJobStats({ pool }, OPTIONS), asked]);
  if ("lists" in told) return { stats, failure: "", lists: told.lists };
  const known = before?.job?.jobId === job ? before.job : undefined;
  if ("view" in told) return { stats, failure: "", job: told.view };
  return { stats, failure: told.failure, ...(known === undefined ? {} : { job: known }) };
}

/** The meter's wall clock when it told this, milliseconds since the epoch. */
export function wallOf({ freshness }: GetJobStatsResponse): number {
  const at = freshness?.at;
  return at === undefined ? Date.now() : Number(at.seconds) * 1_000 + at.nanos / 1e6;
}

interface Failure {
  readonly failure: string;
}

async function askLists(jobs: JobClients["jobs"], pool: string): Promise<{ readonly lists: JobLists } | Failure> {
  try {
    const failed = { pool, states: [JobViewState.FAILED] };
    const [failures, slowest, recent] = await Promise.all([
      jobs.listJobs({ filter: failed, pageSize: LOOKED_AT }, OPTIONS),
      jobs.listJobs({ filter: { pool }, pageSize: SLOWEST, order: JobOrder.SLOWEST }, OPTIONS),
      jobs.listJobs({ filter: { pool }, pageSize: RECENT }, OPTIONS),
    ]);
    const isFailure = ({ error }: JobView): boolean => error?.reason !== "canceled";
    const silent = new Set([failures, slowest, recent].flatMap(({ silentManagers }) => silentManagers));
    return {
      lists: {
        failures: failures.jobs.filter(isFailure).slice(0, FAILURES),
        slowest: slowest.jobs,
        recent: recent.jobs,
        silent: [...silent],
      },
    };
  } catch (error) {
    return { failure: fromConnectError(error).message };
  }
}

async function askJob(
  jobs: JobClients["jobs"],
  pool: string,
  jobId: string,
): Promise<{ readonly view: JobView } | Failure> {
  try {
    const { job } = await jobs.getJob({ pool, jobId }, OPTIONS);
    return job === undefined ? { failure: "no manager has it" } : { view: job };
  } catch (error) {
    return { failure: fromConnectError(error).message };
  }
}
