/**
 * The table of rights: what each RPC and each plain route needs.
 *
 * Pure. One line for each RPC of each service, by its path, and one for each plain
 * route. A server does not start with an RPC that has no line here, and a test
 * walks the descriptors of all services against it.
 */

/** What a caller may do in a pool. `open` needs nothing, not even a name. */
export type Right =
  | "open"
  /** See capacities, workers, rates and metrics. */
  | "view"
  /** See the jobs of anybody, and what happens to them. */
  | "jobs"
  /** Submit jobs; cancel and read one's own. */
  | "submit"
  /** Cancel any job. */
  | "cancel"
  /** Read the outcome of any job. */
  | "read"
  /** Drain, pause, resume and resize workers; pause and resume lanes; set and remove cron schedules; list, retry and purge dead letters. */
  | "control";

/**
 * For which pool a right is needed.
 *
 * A path such as "selector.pool" leads to the field of the request that names the pool;
 * "header" is the request header `pool`. A request that names no pool means all of them.
 * "all": the right is needed for all pools. "any": for one at least.
 */
export type PoolSource =
  | "all"
  | "any"
  | "header"
  | "pool"
  | "job.pool"
  | "filter.pool"
  | "selector.pool"
  | "scalerMetadata.pool"
  | "scaledObjectRef.scalerMetadata.pool";

/** One line of the table. */
export interface RightLine {
  readonly right: Right;
  readonly pool: PoolSource;
  /** The right that is needed when the job is somebody else's; an answer leaves out what it does not cover. */
  readonly ofOthers?: "cancel" | "read" | "jobs";
  /** The answer is of workers, and names jobs without their callers: who has not that right gets no names of jobs. */
  readonly jobsIn?: "workers";
  /** Each message of a stream is checked when its job starts, so that a refusal is that job's outcome. */
  readonly perJob?: true;
}

const METER = "/poolmesh.v1.MeterService";
const MANAGER = "/poolmesh.v1.ManagerService";
const DURABLE = "/poolmesh.v1.DurableService";
const JOBS = "/poolmesh.v1.JobService";
const SCALER = "/externalscaler.ExternalScaler";

/** RPC path → what it needs. */
export const RPC_RIGHTS: Readonly<Record<string, RightLine>> = {
  [`${MANAGER}/Submit`]: { right: "submit", pool: "pool" },
  [`${MANAGER}/SubmitMany`]: { right: "submit", pool: "job.pool", perJob: true },
  [`${MANAGER}/DetachSubmit`]: { right: "submit", pool: "job.pool" },
  [`${MANAGER}/GetOutcome`]: { right: "submit", pool: "pool", ofOthers: "read" },
  [`${MANAGER}/Cancel`]: { right: "submit", pool: "pool", ofOthers: "cancel" },
  [`${MANAGER}/ListWorkers`]: { right: "view", pool: "pool", ofOthers: "jobs", jobsIn: "workers" },
  [`${MANAGER}/DrainWorker`]: { right: "control", pool: "selector.pool" },
  [`${MANAGER}/PauseWorker`]: { right: "control", pool: "selector.pool" },
  [`${MANAGER}/ResumeWorker`]: { right: "control", pool: "selector.pool" },
  [`${MANAGER}/ResizeWorker`]: { right: "control", pool: "selector.pool" },
  [`${DURABLE}/Enqueue`]: { right: "submit", pool: "pool" },
  [`${DURABLE}/EnqueueMany`]: { right: "submit", pool: "job.pool", perJob: true },
  [`${DURABLE}/EnqueueBatch`]: { right: "submit", pool: "pool" },
  [`${DURABLE}/GetBatch`]: { right: "submit", pool: "pool", ofOthers: "read" },
  [`${DURABLE}/ListBatches`]: { right: "view", pool: "pool", ofOthers: "jobs" },
  [`${DURABLE}/GetJob`]: { right: "submit", pool: "pool", ofOthers: "read" },
  [`${DURABLE}/WaitOutcome`]: { right: "submit", pool: "pool", ofOthers: "read" },
  [`${DURABLE}/CancelJob`]: { right: "submit", pool: "pool", ofOthers: "cancel" },
  [`${DURABLE}/ListJobs`]: { right: "view", pool: "pool", ofOthers: "jobs" },
  [`${DURABLE}/ListDead`]: { right: "control", pool: "pool" },
  [`${DURABLE}/GetDead`]: { right: "control", pool: "pool" },
  [`${DURABLE}/RetryDead`]: { right: "control", pool: "selector.pool" },
  [`${DURABLE}/PurgeDead`]: { right: "control", pool: "selector.pool" },
  [`${DURABLE}/PausePool`]: { right: "control", pool: "pool" },
  [`${DURABLE}/ResumePool`]: { right: "control", pool: "pool" },
  [`${DURABLE}/SetCron`]: { right: "control", pool: "pool" },
  [`${DURABLE}/ListCron`]: { right: "view", pool: "pool", ofOthers: "jobs" },
  [`${DURABLE}/RemoveCron`]: { right: "control", pool: "pool" },
  [`${DURABLE}/SetLimit`]: { right: "control", pool: "pool" },
  [`${DURABLE}/ListLimits`]: { right: "view", pool: "pool" },
  [`${DURABLE}/RemoveLimit`]: { right: "control", pool: "pool" },
  [`${DURABLE}/GetLanes`]: { right: "view", pool: "pool" },
  [`${JOBS}/ListJobs`]: { right: "view", pool: "filter.pool", ofOthers: "jobs" },
  [`${JOBS}/GetJob`]: { right: "view", pool: "pool", ofOthers: "jobs" },
  [`${JOBS}/WatchJobs`]: { right: "view", pool: "filter.pool", ofOthers: "jobs" },
  [`${METER}/GetCapacity`]: { right: "view", pool: "pool" },
  [`${METER}/WatchCapacity`]: { right: "view", pool: "pool" },
  [`${METER}/ListWorkers`]: { right: "view", pool: "pool", ofOthers: "jobs", jobsIn: "workers" },
  [`${METER}/WatchWorkers`]: { right: "view", pool: "pool", ofOthers: "jobs", jobsIn: "workers" },
  [`${METER}/GetHistory`]: { right: "view", pool: "pool" },
  [`${METER}/GetJobStats`]: { right: "view", pool: "pool" },
  [`${METER}/ControlWorker`]: { right: "control", pool: "pool" },
  "/solpipe.WorkerStatus/OnStatus": { right: "view", pool: "header" },
  "/relay.Capacity/OnStatus": { right: "view", pool: "header" },
  [`${SCALER}/IsActive`]: { right: "view", pool: "scalerMetadata.pool" },
  [`${SCALER}/StreamIsActive`]: { right: "view", pool: "scalerMetadata.pool" },
  [`${SCALER}/GetMetricSpec`]: { right: "view", pool: "scalerMetadata.pool" },
  [`${SCALER}/GetMetrics`]: { right: "view", pool: "scaledObjectRef.scalerMetadata.pool" },
  "/grpc.health.v1.Health/Check": { right: "open", pool: "any" },
  "/grpc.health.v1.Health/Watch": { right: "open", pool: "any" },
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": { right: "view", pool: "any" },
  "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": { right: "view", pool: "any" },
};

/**
 * Plain route → what it needs. "page" is every other path.
 *
 * The files of the page are the same for everybody and hold nothing of the mesh; a
 * browser cannot send a token with them. What the page shows comes by RPCs, with a token.
 */
export const ROUTE_RIGHTS = {
  "/healthz": { right: "open", pool: "any" },
  "/readyz": { right: "open", pool: "any" },
  "/metrics": { right: "view", pool: "all" },
  page: { right: "open", pool: "any" },
} as const satisfies Record<string, RightLine>;

/** A plain route of the table. */
export type Route = keyof typeof ROUTE_RIGHTS;

/** The route of a path. */
export function routeOf(path: string): Route {
  return path !== "page" && Object.hasOwn(ROUTE_RIGHTS, path) ? (path as Route) : "page";
}

/** The pool that a request names; "" for all pools. @param header a request header's value by name */
export function poolOf(line: RightLine, message: unknown, header: (name: string) => string | null): string {
  if (line.pool === "all" || line.pool === "any") return "";
  if (line.pool === "header") return header("pool") ?? "";
  const found = fieldOf(message, line.pool.split("."));
  return typeof found === "string" ? found : "";
}

function fieldOf(message: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (at, name) => (typeof at === "object" && at !== null && Object.hasOwn(at, name) ? at[name as keyof typeof at] : ""),
    message,
  );
}
