/** What commands that show jobs ask: at the broker, or behind a manager. */
import type { JobFilter, JobServiceListJobsRequest, JobView } from "../../gen/poolmesh/v1/job_pb.js";
import type { EventBatch } from "../../mesh/inspect/follow-jobs.js";

/** One page of jobs. */
export interface ViewPage {
  readonly jobs: readonly JobView[];
  /** "" at the end. */
  readonly next: string;
  /** Managers that did not answer. */
  readonly silent: readonly string[];
}

/** What can be asked. Each rejects with a PoolError. */
export interface JobSource {
  list(request: JobServiceListJobsRequest): Promise<ViewPage>;
  /** @param pool undefined for any. Undefined when no manager has or remembers it */
  get(pool: string | undefined, jobId: string): Promise<JobView | undefined>;
  /** What happens from now on, until the signal fires. */
  watch(filter: JobFilter, signal: AbortSignal): AsyncIterable<EventBatch>;
}
