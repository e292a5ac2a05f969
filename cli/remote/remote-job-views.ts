/** Managers' jobs through one manager's HTTP interface, for those who have no connection to the broker. */
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import {
  type JobFilter,
  JobService,
  type JobServiceListJobsRequest,
  type JobView,
} from "../../gen/poolmesh/v1/job_pb.js";
import { PoolError } from "../../mesh/errors.js";
import type { EventBatch } from "../../mesh/inspect/follow-jobs.js";
import type { JobSource, ViewPage } from "../sources/jobs.js";
import { within } from "./remote-calls.js";
import { remoteFailure } from "./remote-failure.js";
import type { RemoteFlags } from "./remote-options.js";
import { mustAnswer } from "./silence.js";
import { remoteTransport } from "./transport.js";

export class RemoteJobs implements JobSource {
  readonly #url: string;
  readonly #transport: Transport;
  readonly #service: Client<typeof JobService>;

  /** @throws PoolError `invalid_argument` naming a flag */
  constructor(url: string, flags: RemoteFlags) {
    this.#url = url;
    this.#transport = remoteTransport(url, "url", flags);
    this.#service = createClient(JobService, this.#transport);
  }

  async list(request: JobServiceListJobsRequest): Promise<ViewPage> {
    const answer = await within(this.#url, (options) => this.#service.listJobs(request, options));
    return { jobs: answer.jobs, next: answer.nextPageToken, silent: answer.silentManagers };
  }

  async get(pool: string | undefined, jobId: string): Promise<JobView | undefined> {
    try {
      const { job } = await within(this.#url, (options) => this.#service.getJob({ pool: pool ?? "", jobId }, options));
      return job;
    } catch (error) {
      if (error instanceof PoolError && error.reason === "not_found") return undefined;
      throw error;
    }
  }

  async *watch(filter: JobFilter, signal: AbortSignal): AsyncGenerator<EventBatch> {
    await mustAnswer({ transport: this.#transport, url: this.#url, signal });
    try {
      for await (const { events, dropped, oneIn } of this.#service.watchJobs({ filter }, { signal })) {
        yield { events, dropped: Number(dropped), oneIn };
      }
    } catch (error) {
      if (!signal.aborted) throw remoteFailure(error, this.#url);
    }
  }
}
