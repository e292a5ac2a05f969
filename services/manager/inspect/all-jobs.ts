/**
 * The jobs of all live managers: what is asked of one is asked of all.
 *
 * Decided here: this manager looks at its own jobs itself, so they are shown also when
 * nobody else answers; and a manager that serves named pools asks for those only.
 */
import { create } from "@bufbuild/protobuf";
import {
  type JobFilter,
  type JobQuery,
  JobQuerySchema,
  type JobServiceListJobsRequest,
  type JobServiceListJobsResponse,
  JobServiceListJobsResponseSchema,
  type JobView,
} from "../../../gen/poolmesh/v1/job_pb.js";
import { PoolError } from "../../../mesh/errors.js";
import { JobsAsker, type JobsQuestion } from "../../../mesh/inspect/ask-jobs.js";
import { type EventBatch, JobFeeds } from "../../../mesh/inspect/follow-jobs.js";
import { chooseJob, mergePages, toPageSize } from "../../../mesh/job/job-views.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { checkName } from "../../../mesh/wire/subjects.js";
import type { Pools } from "../pools.js";

/** For whom jobs are shown. */
export interface Viewer {
  /** Only jobs of this client; undefined for those of anybody. */
  readonly onlyClient?: string | undefined;
  /** Beginnings of payloads too, where managers show them. */
  readonly payloads?: boolean;
}

export class AllJobs {
  readonly #pools: Pools;
  readonly #manager: string;
  readonly #asker: JobsAsker;
  readonly #feeds: JobFeeds;

  /** @param manager this manager's id */
  constructor(bus: Bus, pools: Pools, manager: string) {
    this.#pools = pools;
    this.#manager = manager;
    this.#asker = new JobsAsker(bus, pools.inbox);
    this.#feeds = new JobFeeds(bus, pools.subjects, pools.served);
  }

  /** One page. @throws PoolError `invalid_argument`, `not_found` for a pool that this manager does not serve */
  async list(request: JobServiceListJobsRequest, { onlyClient }: Viewer): Promise<JobServiceListJobsResponse> {
    const { filter, pageSize } = request;
    const query = { query: { case: "list", value: request }, onlyClient } as const;
    const { answers, silent } = await this.#ask(filter?.pool ?? "", create(JobQuerySchema, query));
    const { jobs, next } = mergePages(answers, toPageSize(pageSize));
    return create(JobServiceListJobsResponseSchema, { jobs, nextPageToken: next, silentManagers: [...silent] });
  }

  /** One job. @param pool "" for any. @throws PoolError `invalid_argument`, `not_found` */
  async get(pool: string, jobId: string, { onlyClient, payloads = false }: Viewer): Promise<JobView> {
    checkName("job", jobId);
    const query = { query: { case: "get", value: { pool, jobId } }, onlyClient, payloads } as const;
    const { answers, silent } = await this.#ask(pool, create(JobQuerySchema, query));
    const job = chooseJob(answers.flatMap(({ jobs }) => jobs));
    if (job !== undefined) return job;
    const whose =
      onlyClient === undefined ? "no manager has a job with this id" : "no manager has a job of yours with this id";
    const missing = silent.length === 0 ? "" : `; no answer from ${silent.slice(0, 8).join(", ")}`;
    throw new PoolError("not_found", `${whose}, or remembers one${missing}`, { field: "job" });
  }

  /**
   * What happens from now on, until the signal fires. All managers that are there tell it when this resolves.
   *
   * @throws PoolError `invalid_argument`, `not_found`, `bus_unavailable`
   */
  async watch(
    filter: JobFilter | undefined,
    { onlyClient }: Viewer,
    signal: AbortSignal,
  ): Promise<AsyncGenerator<EventBatch>> {
    const pool = filter?.pool ?? "";
    this.#questions(pool);
    const batches = this.#feeds.follow({ filter, onlyClient, signal });
    await this.#ask(pool, create(JobQuerySchema, { query: { case: "watch", value: { pool } } }));
    return batches;
  }

  async #ask(pool: string, query: JobQuery): ReturnType<JobsAsker["ask"]> {
    const questions = this.#questions(pool);
    const own = questions.map((question) => this.#pools.inspection.answers.answer(query, question.pool));
    const others = questions.filter(({ managers }) => managers.length > 0);
    if (others.length === 0) return { answers: own, silent: [] };
    const { answers, silent } = await this.#asker.ask(others, { ...query, asker: this.#manager });
    return { answers: [...own, ...answers], silent };
  }

  /** @throws PoolError `invalid_argument`, `not_found` */
  #questions(pool: string): (JobsQuestion & { readonly pool: string | undefined; readonly managers: string[] })[] {
    const { subjects, peers, served } = this.#pools;
    if (pool !== "" && !this.#pools.serves(checkName("pool", pool))) {
      throw new PoolError("not_found", "this manager does not serve that pool", { field: "pool" });
    }
    const pools: readonly (string | undefined)[] = pool === "" ? (served ?? [undefined]) : [pool];
    return pools.map((each) => ({ pool: each, subject: subjects.jobs(each), managers: peers.managers(each) }));
  }
}
