/**
 * Answers what is asked of this manager's jobs, by other managers and on the bus.
 *
 * Decided here: the subject says which pool is meant, since that is what the broker's
 * permissions guard; and an answer fits into one message.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Msg } from "nats";
import {
  JobOrder,
  type JobQuery,
  type JobQueryAnswer,
  JobQueryAnswerSchema,
  JobQuerySchema,
} from "../../../gen/poolmesh/v1/job_pb.js";
import { PoolError, toPoolError } from "../../../mesh/errors.js";
import { fromPageToken, toPageSize } from "../../../mesh/job/job-views.js";
import type { Bus } from "../../../mesh/link/bus.js";
import type { Subscription } from "../../../mesh/link/subscription.js";
import { toErrorDetail } from "../../../mesh/wire/connect-errors.js";
import { ALL_POOLS, checkName, type Subjects } from "../../../mesh/wire/subjects.js";
import { findJobs, type JobSource, listJobs, listSlowest } from "../jobs/job-list.js";
import type { ShowingManager } from "../jobs/shown-job.js";
import type { Pool } from "../pool/pool.js";
import type { JobEvents } from "./events.js";

/** An answer is no larger, in bytes, and leaves room for the headers of a message. */
const MAX_ANSWER_BYTES = 768 * 1024;
/** A wall clock that is set anew counts when it is off by more than this, in milliseconds: places in lists are made of it. */
const CLOCK_SET_MS = 1_000;

/** What it works with. */
export interface JobAnswersParts {
  readonly bus: Bus;
  readonly subjects: Subjects;
  /** This manager's id. */
  readonly manager: string;
  readonly pools: () => Iterable<Pool>;
  readonly events: JobEvents;
  /** Where jobs are asked after, managers that join say so; false for a question after jobs. */
  readonly onJoining: (msg: Msg) => boolean;
}

export class JobAnswers {
  readonly #parts: JobAnswersParts;
  readonly #subscriptions: Subscription[] = [];
  #wallOffsetMs: number;

  constructor(parts: JobAnswersParts) {
    this.#parts = parts;
    const { wallNow, now } = parts.bus.runtime;
    this.#wallOffsetMs = wallNow() - now();
  }

  /** Answers on the bus. @param pools undefined for all */
  start(pools: readonly string[] | undefined): void {
    const { bus, subjects } = this.#parts;
    const heard = pools?.map((pool) => subjects.every.jobs(pool)).concat(subjects.jobs(undefined));
    for (const subject of heard ?? [subjects.every.jobs()]) {
      this.#subscriptions.push(bus.subscribe(subject, (msg) => this.#onQuery(msg)));
    }
  }

  stop(): void {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }

  /**
   * What this manager knows.
   *
   * @param pool undefined for all
   * @throws PoolError `invalid_argument`
   */
  answer({ query, onlyClient, payloads }: JobQuery, pool: string | undefined): JobQueryAnswer {
    const { manager, events } = this.#parts;
    const by = this.#showing();
    switch (query.case) {
      case "list": {
        const { filter, pageSize, pageToken, order } = query.value;
        const [after, limit] = [fromPageToken(pageToken), toPageSize(pageSize)];
        const rules = { filter, onlyClient };
        if (order === JobOrder.SLOWEST) {
          return create(JobQueryAnswerSchema, { manager, jobs: listSlowest(this.#sources(pool), rules, by, limit) });
        }
        const page = listJobs(this.#sources(pool), rules, by, after, limit);
        return create(JobQueryAnswerSchema, { manager, ...page });
      }
      case "get": {
        const id = checkName("job", query.value.jobId);
        return create(JobQueryAnswerSchema, { manager, jobs: this.#find(id, pool, onlyClient, by, payloads) });
      }
      case "watch":
        events.watch(pool);
        return create(JobQueryAnswerSchema, { manager });
      default:
        throw new PoolError("invalid_argument", "query: missing", { field: "query" });
    }
  }

  #find(
    id: string,
    pool: string | undefined,
    onlyClient: string | undefined,
    by: ShowingManager,
    payloads: boolean,
  ): ReturnType<typeof findJobs> {
    return [...this.#poolsOf(pool)].flatMap((each) => {
      const live = each.dispatcher.live(id);
      const source = { ...sourceOf(each), live: live === undefined ? [] : [live] };
      return findJobs([source], id, onlyClient, by, payloads && each.settings.history.payloads);
    });
  }

  *#sources(pool: string | undefined): Generator<JobSource> {
    for (const each of this.#poolsOf(pool)) yield sourceOf(each);
  }

  *#poolsOf(pool: string | undefined): Generator<Pool> {
    for (const each of this.#parts.pools()) if (pool === undefined || each.name === pool) yield each;
  }

  #onQuery(msg: Msg): void {
    if (this.#parts.onJoining(msg)) return;
    const { data, subject, reply } = msg;
    const { bus, subjects, manager } = this.#parts;
    const pool = subjects.poolOf(subject);
    let answer: JobQueryAnswer;
    try {
      const query = decodeQuery(data);
      if (query.asker === manager) return;
      answer = this.answer(query, pool === ALL_POOLS ? undefined : pool);
    } catch (thrown) {
      answer = create(JobQueryAnswerSchema, { manager, error: toErrorDetail(toPoolError(thrown)) });
    }
    if (bus.mayAnswer(reply)) bus.publish(reply, this.#fitting(answer));
  }

  /** An answer that is too large tells of fewer jobs, and that there are more. */
  #fitting(answer: JobQueryAnswer): Uint8Array {
    const mostBytes = Math.min(MAX_ANSWER_BYTES, this.#parts.bus.maxPayloadBytes);
    for (;;) {
      const bytes = toBinary(JobQueryAnswerSchema, answer);
      if (bytes.length <= mostBytes || answer.jobs.length <= 1) return bytes;
      answer.jobs.length = Math.floor(answer.jobs.length / 2);
      answer.more = true;
    }
  }

  #showing(): ShowingManager {
    const { wallNow, now } = this.#parts.bus.runtime;
    const nowMs = now();
    const offsetMs = wallNow() - nowMs;
    if (Math.abs(offsetMs - this.#wallOffsetMs) > CLOCK_SET_MS) this.#wallOffsetMs = offsetMs;
    return { manager: this.#parts.manager, nowMs, wallOffsetMs: this.#wallOffsetMs };
  }
}

/** @throws PoolError `invalid_argument` */
function decodeQuery(data: Uint8Array): JobQuery {
  try {
    return fromBinary(JobQuerySchema, data);
  } catch (cause) {
    throw new PoolError("invalid_argument", "query: send a poolmesh.v1.JobQuery in protobuf", {
      field: "query",
      cause,
    });
  }
}

function sourceOf({ name, dispatcher, totals }: Pool): JobSource {
  return { pool: name, live: dispatcher.liveJobsNow(), history: totals.history };
}
