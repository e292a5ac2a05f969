/**
 * JobService over Connect, gRPC and gRPC-Web.
 *
 * Decided here: whose jobs a caller sees. Who may see everybody's sees all; any other
 * caller its own, as if there were no others. Payloads, and what errors say beyond their
 * reason, are shown to who may read any outcome, and to the one whose job it is.
 */
import { create } from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  JobService,
  type JobView,
  type WatchJobsResponse,
  WatchJobsResponseSchema,
} from "../../../gen/poolmesh/v1/job_pb.js";
import { callerOf, type Gate } from "../../../mesh/auth/gate.js";
import type { EventBatch } from "../../../mesh/inspect/follow-jobs.js";
import type { AllJobs, Viewer } from "../inspect/all-jobs.js";

/** What the routes speak for. */
export interface JobRoutesParts {
  readonly jobs: AllJobs;
  readonly gate: Gate;
}

/** Registers JobService. */
export function jobRoutes(router: ConnectRouter, { jobs, gate }: JobRoutesParts): void {
  const service: ServiceImpl<typeof JobService> = {
    async listJobs(request, context) {
      const page = await jobs.list(request, viewerOf(context, request.filter?.pool ?? ""));
      return { ...page, jobs: page.jobs?.map((job) => withErrorOf(job, context)) ?? [] };
    },
    async getJob({ pool, jobId }, context) {
      const job = await jobs.get(pool, jobId, { ...viewerOf(context, pool), payloads: true });
      return { job: withErrorOf(withReadable(job, context, gate), context) };
    },
    async *watchJobs({ filter }, context) {
      const viewer = viewerOf(context, filter?.pool ?? "");
      const batches = await jobs.watch(filter, viewer, context.signal);
      yield toResponse({ events: [], dropped: 0, oneIn: 1 });
      for await (const { events, ...counts } of batches) {
        yield toResponse({ ...counts, events: events.map((event) => withErrorOf(event, context)) });
      }
      context.signal.throwIfAborted();
    },
  };
  router.service(JobService, service);
}

function viewerOf(context: HandlerContext, pool: string): Viewer {
  const caller = callerOf(context);
  return caller.may("jobs", pool) ? {} : { onlyClient: caller.owner };
}

/** Without its payload and result, unless the caller may read them. To read another caller's is written down. */
function withReadable(job: JobView, context: HandlerContext, gate: Gate): JobView {
  const caller = callerOf(context);
  if ((job.payload ?? job.result) === undefined || caller.isUnbounded || job.client === caller.owner) return job;
  if (caller.may("read", job.pool)) {
    gate.require(context, "read", job.pool, job.jobId);
    return job;
  }
  const { payload: _payload, result: _result, ...rest } = job;
  return rest;
}

/** Without what its error says and the handler's code for it, unless the caller may read outcomes: both may quote a payload. */
function withErrorOf<J extends Pick<JobView, "error" | "client" | "pool">>(job: J, context: HandlerContext): J {
  const caller = callerOf(context);
  if (job.error === undefined || caller.isUnbounded || job.client === caller.owner || caller.may("read", job.pool)) {
    return job;
  }
  return { ...job, error: { ...job.error, message: "", code: "" } };
}

function toResponse({ events, dropped, oneIn }: EventBatch): WatchJobsResponse {
  return create(WatchJobsResponseSchema, { events: [...events], dropped: BigInt(dropped), oneIn });
}
