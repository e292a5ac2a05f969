/** What a person can do about a job that ended without a result. Pure. */
import type { PoolError, Reason } from "../../mesh/errors.js";

/** The job that ended. */
export interface AdviceContext {
  readonly pool: string;
  readonly id: string;
}

const ADVICE: Readonly<Record<Reason, (context: AdviceContext) => string>> = {
  invalid_argument: () => "mend what the message names, and submit again",
  unknown_pool: ({ pool }) =>
    `start a worker (poolmesh worker --pool ${pool} --handler FILE), or wait for one: --wait-for-pool`,
  no_workers: ({ pool }) => `look why none is READY (poolmesh workers ${pool}), or leave out --no-wait`,
  pool_full: () => "submit again later, or add workers",
  payload_too_large: () => "store the data elsewhere and submit where it is, or raise the broker's max_payload",
  draining: () => "submit again: another worker or manager takes it",
  deadline_exceeded: ({ pool }) =>
    `give it more time (--timeout-ms MS), or look whether slots are free: poolmesh workers ${pool}`,
  canceled: () => "somebody canceled it; submit again when it is wanted after all",
  worker_lost: () => "submit again when a second run does no harm; with --idempotent that happens by itself",
  job_failed: ({ id }) => `submit again when the cause has passed; the worker's log has the stack under job ${id}`,
  job_rejected: () => "the handler will never take this payload: change it",
  duplicate_job: () => "use another --id, or wait until the job with this id has ended",
  not_found: () => "check the name",
  bus_unavailable: () => "poolmesh doctor says what is missing",
  unauthenticated: () => "give the right user and POOLMESH_PASSWORD, POOLMESH_TOKEN or --creds-file",
  permission_denied: () => "poolmesh doctor --as client says which permission is missing",
  internal: () => "this is a fault of Poolmesh: please report it with the message and the version",
};

/** One sentence for a person, without a full stop. */
export function advice({ reason, retryAfterMs }: PoolError, context: AdviceContext): string {
  if (reason === "pool_full" && retryAfterMs !== undefined) {
    return `submit again in ${Math.ceil(retryAfterMs)} ms or later, or add workers`;
  }
  return ADVICE[reason](context);
}
