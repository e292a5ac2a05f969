/**
 * The jobs of all live managers: what is asked of one manager or meter is asked of all.
 *
 * Decided here: a manager looks at its own jobs itself, so they are shown also when
 * nobody else answers; and who serves named pools asks for those only.
 */
import { create } from "@bufbuild/protobuf";
import {
  type JobFilter,
  type JobQuery,
  type JobQueryAnswer,
  JobQuerySchema,
  type JobServiceListJobsRequest,
  type JobServiceListJobsResponse,
  JobServiceListJobsResponseSchema,
  type JobView,
} from "../../gen/poolmesh/v1/job_pb.js";
import { PoolError } from "../errors.js";
import { chooseJob, mergePages, toPageSize } from "../job/job-views.js";
import type { Bus } from "../link/bus.js";
import type { Inbox } from "../link/inbox.js";
import { checkName, type Subjects } from "../wire/subjects.js";
import { JobsAsker, type JobsQuestion } from "./ask-jobs.js";
import { type EventBatch, JobFeeds } from "./follow-jobs.js";

/** For whom jobs are shown. */
export interface Viewer {
  /** Only jobs of this client; undefined for those of anybody. */
  readonly onlyClient?: string | undefined;
  /** Beginnings of payloads too, where managers show them. */
  readonly payloads?: boolean;
}

/** Who asks, and what it knows. */
export interface AllJobsParts {
  readonly bus: Bus;
  readonly inbox: Inbox;
  readonly subjects: Subjects;
  /** The pools that it serves; undefined for all. */
  readonly served: readonly string[] | undefined;
  /** Other managers that have told of a pool; of any pool for undefined. */
  readonly managers: (pool: string | undefined) => readonly string[];
  /** Of a manager: its id, and what it knows itself. */
  readonly own?: {
    readonly id: string;
    readonly answer: (query: JobQuery, pool: string | undefined) => JobQueryAnswer;
  };
}

export class AllJobs {
  readonly #parts: AllJobsParts;
  readonly #asker: JobsAsker;
  readonly #feeds: JobFeeds;

  constructor(parts: AllJobsParts) {
    this.#parts = parts;
    this.#asker = new JobsAsker(parts.bus, parts.inbox);
    this.#feeds = new JobFeeds(parts.bus, parts.subjects, parts.served);
  }

  /** One page. @throws PoolError `invalid_argument`, `not_found` for a pool that is not served here */
  async list(request: JobServiceListJobsRequest, { onlyClient }: Viewer): Promise<JobServiceListJobsResponse> {
    const { filter, pageSize, order } = request;
    const query = { query: { case: "list", value: request }, onlyClient } as const;
    const { answers, silent } = await this.#ask(filter?.pool ?? "", create(JobQuerySchema, query));
    const { jobs, next } = mergePages(answers, toPageSize(pageSize), order);
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
    const { own } = this.#parts;
    const questions = this.#questions(pool);
    const answers = own === undefined ? [] : questions.map((question) => own.answer(query, question.pool));
    const others = questions.filter(({ managers }) => managers.length > 0);
    if (others.length === 0) return { answers, silent: [] };
    const asked = await this.#asker.ask(others, { ...query, asker: own?.id ?? "" });
    return { answers: [...answers, ...asked.answers], silent: asked.silent };
  }

  /** @throws PoolError `invalid_argument`, `not_found` */
  #questions(
    pool: string,
  ): (JobsQuestion & { readonly pool: string | undefined; readonly managers: readonly string[] })[] {
    const { subjects, managers, served, own } = this.#parts;
    if (pool !== "") checkName("pool", pool);
    if (pool !== "" && served?.includes(pool) === false) {
      const who = own === undefined ? "meter does not hear" : "manager does not serve";
      throw new PoolError("not_found", `this ${who} that pool`, { field: "pool" });
    }
    const pools: readonly (string | undefined)[] = pool === "" ? (served ?? [undefined]) : [pool];
    return pools.map((each) => ({ pool: each, subject: subjects.jobs(each), managers: managers(each) }));
  }
}
