/**
 * JobService over Connect, gRPC and gRPC-Web.
 *
 * Who may see everybody's jobs sees all; any other caller its own, as if there were no
 * others (mesh/auth/caller.ts). Payloads, and what errors say beyond their reason, are shown
 * to who may read any outcome, and to the one whose job it is.
 */
import { create } from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  JobService,
  type JobView,
  type WatchJobsResponse,
  WatchJobsResponseSchema,
} from "../../gen/poolmesh/v1/job_pb.js";
import { callerOf, type Gate } from "../auth/gate.js";
import { withErrorFor } from "../auth/shown.js";
import type { AllJobs, Viewer } from "./all-jobs.js";
import type { EventBatch } from "./follow-jobs.js";

/** What the routes speak for. */
export interface JobRoutesParts {
  /** @throws PoolError `bus_unavailable` */
  readonly jobs: () => AllJobs;
  readonly gate: Gate;
}

type Methods = ServiceImpl<typeof JobService>;

/** Registers JobService of a manager. */
export function jobRoutes(router: ConnectRouter, { jobs, gate }: JobRoutesParts): void {
  router.service(JobService, {
    listJobs: lister(jobs),
    async getJob({ pool, jobId }, context) {
      const job = await jobs().get(pool, jobId, { ...viewerOf(context, pool), payloads: true });
      return { job: told(withReadable(job, context, gate), context) };
    },
    async *watchJobs({ filter }, context) {
      const viewer = viewerOf(context, filter?.pool ?? "");
      const batches = await jobs().watch(filter, viewer, context.signal);
      yield toResponse({ events: [], dropped: 0, oneIn: 1 });
      for await (const { events, ...counts } of batches) {
        // The caller's rights may be fewer than they were when the stream began.
        const seen = events.filter(({ pool, client }) => callerOf(context).seesJob(pool, client));
        yield toResponse({ ...counts, events: seen.map((event) => told(event, context)) });
      }
      context.signal.throwIfAborted();
    },
  });
}

/** Registers what a page asks for, over and over: lists, and one job without its payload. Nothing is followed, and nothing is read that the audit must tell. */
export function jobPageRoutes(router: ConnectRouter, jobs: JobRoutesParts["jobs"]): void {
  router.service(JobService, {
    listJobs: lister(jobs),
    async getJob({ pool, jobId }, context) {
      return { job: told(await jobs().get(pool, jobId, viewerOf(context, pool)), context) };
    },
  });
}

function lister(jobs: JobRoutesParts["jobs"]): Methods["listJobs"] {
  return async (request, context) => {
    const page = await jobs().list(request, viewerOf(context, request.filter?.pool ?? ""));
    return { ...page, jobs: page.jobs.map((job) => told(job, context)) };
  };
}

/** What the caller may know of one job. */
function told<J extends Pick<JobView, "error" | "client" | "pool">>(job: J, context: HandlerContext): J {
  return withErrorFor(callerOf(context), job.pool, job);
}

function viewerOf(context: HandlerContext, pool: string): Viewer {
  return { onlyClient: callerOf(context).onlyOwner(pool) };
}

/** Without its payload and result, unless the caller may read them. To read another caller's is written down. */
function withReadable(job: JobView, context: HandlerContext, gate: Gate): JobView {
  const caller = callerOf(context);
  if ((job.payload ?? job.result) === undefined) return job;
  if (caller.readsJob(job.pool, job.client)) {
    if (!caller.isUnbounded && job.client !== caller.owner) gate.require(context, "read", job.pool, job.jobId);
    return job;
  }
  const { payload: _payload, result: _result, ...rest } = job;
  return rest;
}

function toResponse({ events, dropped, oneIn }: EventBatch): WatchJobsResponse {
  return create(WatchJobsResponseSchema, { events: [...events], dropped: BigInt(dropped), oneIn });
}
