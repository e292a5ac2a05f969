/**
 * What is left out of an answer for a caller who may not see all of it. Pure.
 *
 * Decided here: what of a worker and of an error tells of other callers' jobs. Not decided
 * here: who may see what (caller.ts).
 */
import { create } from "@bufbuild/protobuf";
import type { ErrorDetail } from "../../gen/poolmesh/v1/error_pb.js";
import { HeartbeatSchema } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { type WorkerView, WorkerViewSchema } from "../../gen/poolmesh/v1/view_pb.js";
import type { Caller } from "./caller.js";

/** A job of which an answer tells. */
interface ToldJob {
  /** Whose job it is; "" when it does not say. */
  readonly client: string;
  readonly error?: ErrorDetail | undefined;
}

/** A job with the reason of its error alone, unless the caller reads it: message and code may quote a payload. */
export function withErrorFor<J extends ToldJob>(caller: Caller, pool: string, job: J): J {
  if (job.error === undefined || caller.readsJob(pool, job.client)) return job;
  return { ...job, error: { ...job.error, message: "", code: "" } };
}

/** A worker without the ids of its running jobs; that there are some is still said. */
export function withoutJobs(worker: WorkerView): WorkerView {
  const beat = worker.heartbeat;
  if (beat === undefined || beat.runningJobs.length === 0) return worker;
  const heartbeat = create(HeartbeatSchema, { ...beat, runningJobs: [], runningNonces: [], runningTruncated: true });
  return create(WorkerViewSchema, { ...worker, heartbeat });
}
