/** Where commands that look at managers' jobs ask: the managers over the broker, or one of them over HTTP for all. */
import { create } from "@bufbuild/protobuf";
import {
  type JobFilter,
  type JobQuery,
  JobQuerySchema,
  type JobServiceListJobsRequest,
  type JobView,
} from "../../gen/poolmesh/v1/job_pb.js";
import { PoolError } from "../../mesh/errors.js";
import { JobsAsker } from "../../mesh/inspect/ask-jobs.js";
import { type EventBatch, JobFeeds } from "../../mesh/inspect/follow-jobs.js";
import { chooseJob, mergePages, toPageSize } from "../../mesh/job/job-views.js";
import { type Link, withLink } from "../link.js";
import { readRemote, type UrlFlags } from "../remote/remote-options.js";
import type { Shell } from "../shell.js";
import type { JobSource, ViewPage } from "../sources/jobs.js";

/** Runs `work` with what the flags name: a manager with --url, else the broker. @throws PoolError */
export async function withJobSource<T>(
  shell: Shell,
  flags: UrlFlags & Readonly<Record<string, unknown>>,
  work: (source: JobSource) => Promise<T>,
): Promise<T> {
  const remote = readRemote(shell, flags);
  if (remote.url !== undefined) {
    const { RemoteJobs } = await import("../remote/remote-job-views.js");
    return work(new RemoteJobs(remote.url, remote));
  }
  return withLink(shell, { ...flags, pool: undefined }, (link) => work(new BusJobs(link)));
}

/** Asks all managers over the broker. Nobody knows who they are until they have answered once. */
export class BusJobs implements JobSource {
  readonly #link: Link;
  readonly #asker: JobsAsker;
  #managers: readonly string[] | undefined;

  constructor(link: Link) {
    this.#link = link;
    this.#asker = new JobsAsker(link.bus, link.inbox);
  }

  async list(request: JobServiceListJobsRequest): Promise<ViewPage> {
    const query = create(JobQuerySchema, { query: { case: "list", value: request } });
    const { answers, silent } = await this.#ask(request.filter?.pool ?? "", query);
    return { ...mergePages(answers, toPageSize(request.pageSize), request.order), silent };
  }

  async get(pool: string | undefined, jobId: string): Promise<JobView | undefined> {
    const value = { pool: pool ?? "", jobId };
    const query = create(JobQuerySchema, { query: { case: "get", value }, payloads: true });
    const { answers } = await this.#ask(pool ?? "", query);
    return chooseJob(answers.flatMap(({ jobs }) => jobs));
  }

  watch(filter: JobFilter, signal: AbortSignal): AsyncIterable<EventBatch> {
    const { bus, subjects } = this.#link;
    return new JobFeeds(bus, subjects, undefined).follow({ filter, signal });
  }

  async #ask(pool: string, query: JobQuery): ReturnType<JobsAsker["ask"]> {
    const subject = this.#link.subjects.jobs(pool === "" ? undefined : pool);
    const asked = await this.#asker.ask([{ subject, managers: this.#managers }], query);
    this.#managers ??= asked.answers.map(({ manager }) => manager);
    if (asked.answers.length > 0) return asked;
    const where = pool === "" ? "" : ` of pool ${pool}`;
    throw new PoolError("bus_unavailable", `no manager${where} answers; poolmesh doctor looks for the reason`);
  }
}
