/**
 * Durable jobs that come over Connect, gRPC and gRPC-Web.
 *
 * Decided here: under a policy a job counts for its caller, whatever client it
 * names, and belongs to that caller for as long as it or its outcome is kept. The id
 * of somebody else's job brings nobody its receipt or its outcome.
 */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import { type CheckedOptions, checkEnqueueOptions } from "../../../../client/durable/enqueue-options.js";
import type { FoundJob, JobLookup, JobReads } from "../../../../client/durable/job-reads.js";
import { notFound, OutcomeWait } from "../../../../client/durable/outcome-wait.js";
import {
  type EnqueueManyRequest,
  type EnqueueManyResponse,
  EnqueueManyResponseSchema,
  type EnqueueRequest,
  type EnqueueResponse,
  EnqueueResponseSchema,
} from "../../../../gen/poolmesh/v1/durable_pb.js";
import { callerOf, type Gate } from "../../../../mesh/auth/gate.js";
import type { BatchPlace } from "../../../../mesh/durable/batches/batch-place.js";
import type { StoredJob } from "../../../../mesh/durable/enqueue.js";
import { LEVELS } from "../../../../mesh/durable/names.js";
import { PoolError, toPoolError } from "../../../../mesh/errors.js";
import { DEFAULT_TIMEOUT_MS, type Outcome } from "../../../../mesh/job/job.js";
import { askCancel } from "../../../../mesh/link/ask-cancel.js";
import type { Bus } from "../../../../mesh/link/bus.js";
import { toErrorDetail } from "../../../../mesh/wire/connect-errors.js";
import { checkName } from "../../../../mesh/wire/subjects.js";
import type { Pools } from "../../pools.js";
import { toPayload } from "../rpc-messages.js";
import { answered } from "./answered.js";
import type { LaneAccess } from "./lane-access.js";
import { toEnqueueOptions } from "./messages.js";

/** What it works with. */
export interface DurableRpcParts {
  readonly bus: Bus;
  readonly pools: Pools;
  readonly gate: Gate;
  readonly access: LaneAccess;
}

/** Jobs of one stream that are being stored, or are stored and not yet answered. */
const MAX_UNDER_WAY = 256;
/** Waits for outcomes at once: each is a subscription. */
const MAX_WAITS = 4_096;
const MAX_WAITS_OF_ONE_CALLER = 512;
const DEFAULT_WAIT_MS = 30_000;
const MAX_WAIT_MS = 300_000;

export class DurableJobs {
  readonly #parts: DurableRpcParts;
  readonly #waitsOf = new Map<string, number>();
  #waits = 0;

  constructor(parts: DurableRpcParts) {
    this.#parts = parts;
  }

  /** Stores one job. @param batch its place in a batch. @throws PoolError why it is not stored; with `maybeExecuted` when it may be all the same */
  async enqueue(request: EnqueueRequest, context: HandlerContext, batch?: BatchPlace): Promise<EnqueueResponse> {
    const { access, bus } = this.#parts;
    const { lane } = access;
    const { pool } = request;
    checkName("pool", pool);
    const checked = this.#check(request, context);
    for (const next of checked.job.then)
      this.#parts.gate.require(context, "submit", next.pool, request.jobId || "then");
    const payload = toPayload(request.input);
    await access.ready(pool);
    const id = checked.id ?? bus.runtime.newId();
    const isNamed = checked.id !== undefined;
    const after = isNamed ? await this.#ownOutcome(pool, id, context) : 0;
    const { job, level, rerun, limitMs, time } = checked;
    const stored = await lane.enqueue({
      pool,
      id,
      isNamed,
      level,
      payload,
      job: { ...job, batch, afterOutcome: rerun ? after : 0 },
      limitMs,
      time,
      nonce: bus.runtime.newId(),
    });
    // Somebody else may have been first since.
    if (stored.duplicate) await this.#ownOutcome(pool, id, context);
    return toReceipt(stored);
  }

  /** Stores jobs as they come; a failure is told in its place. */
  enqueueMany(
    requests: AsyncIterable<EnqueueManyRequest>,
    context: HandlerContext,
  ): AsyncGenerator<EnqueueManyResponse> {
    const one = async ({ ref, job }: EnqueueManyRequest): Promise<EnqueueManyResponse> => {
      try {
        if (job === undefined) throw new PoolError("invalid_argument", "job: missing", { field: "job" });
        this.#parts.gate.require(context, "submit", job.pool, job.jobId || `ref ${ref}`);
        const value = await this.enqueue(job, context);
        return create(EnqueueManyResponseSchema, { ref, outcome: { case: "receipt", value } });
      } catch (thrown) {
        const value = toErrorDetail(toPoolError(thrown));
        return create(EnqueueManyResponseSchema, { ref, outcome: { case: "error", value } });
      }
    };
    return answered(requests, one, MAX_UNDER_WAY);
  }

  /** Where a job stands. @throws PoolError `not_found`, `permission_denied` */
  async get(pool: string, jobId: string, context: HandlerContext): Promise<JobLookup> {
    const reads = this.#parts.access.reads(pool);
    return reads.standing(jobId, await this.#readable(reads, pool, jobId, context));
  }

  /**
   * Waits for an outcome.
   *
   * @param waitMs 0 for the default
   * @returns undefined when the job has not ended within the limit
   * @throws PoolError `not_found`, `permission_denied`, `pool_full` when too many wait, `canceled`
   */
  async wait(pool: string, jobId: string, waitMs: number, context: HandlerContext): Promise<Outcome | undefined> {
    if (waitMs > MAX_WAIT_MS) {
      throw new PoolError("invalid_argument", `wait_ms: use a number from 1 to ${MAX_WAIT_MS}`, { field: "wait_ms" });
    }
    const { access } = this.#parts;
    const { live, ended } = await this.#readable(access.reads(pool), pool, jobId, context);
    if (live === undefined && ended === undefined) throw notFound();
    if (live === undefined) return ended?.outcome;
    const job = { id: jobId, levels: LEVELS, after: ended?.sequence ?? 0 };
    const timeoutMs = waitMs === 0 ? DEFAULT_WAIT_MS : waitMs;
    return this.#counted(callerOf(context).owner, async () => {
      try {
        return await new OutcomeWait(access.parts(pool), job).run({ timeoutMs, signal: context.signal });
      } catch (thrown) {
        if (thrown instanceof PoolError && thrown.reason === "deadline_exceeded") return undefined;
        throw thrown;
      }
    });
  }

  /** Ends a job wherever it is. @throws PoolError `not_found`, `permission_denied`, `bus_unavailable` */
  async cancel(pool: string, jobId: string, context: HandlerContext): Promise<void> {
    const { access, bus, pools, gate } = this.#parts;
    const { live } = await access.reads(pool).find(checkName("job", jobId));
    if (live === undefined) throw new PoolError("not_found", "no live job has this id", { field: "job" });
    const isOwn = this.#isOwn(live.job?.client ?? "", context);
    if (!isOwn || callerOf(context).isUnbounded) gate.require(context, "cancel", pool, jobId);
    await askCancel(bus, pools, pool, jobId);
  }

  #check(request: EnqueueRequest, context: HandlerContext): CheckedOptions {
    const options = toEnqueueOptions(request);
    const caller = callerOf(context);
    const own = caller.isUnbounded ? options : { ...options, client: caller.owner };
    const checked = checkEnqueueOptions(own, DEFAULT_TIMEOUT_MS, this.#parts.bus.runtime.wallNow());
    const leftMs = context.timeoutMs() ?? Number.POSITIVE_INFINITY;
    return { ...checked, limitMs: Math.max(1, Math.min(checked.limitMs, leftMs)) };
  }

  /**
   * The sequence of the outcome that is kept under an id which a caller has chosen; 0 for none.
   *
   * @throws PoolError `duplicate_job` when the id is that of somebody else's job
   */
  async #ownOutcome(pool: string, id: string, context: HandlerContext): Promise<number> {
    const { live, ended } = await this.#parts.access.reads(pool).find(id);
    const owners = [...(live === undefined ? [] : [live.job?.client ?? ""]), ...(ended ? [ended.facts.client] : [])];
    if (owners.every((owner) => this.#isOwn(owner, context))) return ended?.sequence ?? 0;
    const message = "the id is that of another caller's job: use one of your own";
    throw new PoolError("duplicate_job", message, { field: "job" });
  }

  /** What is kept of a job that the caller may read. @throws PoolError `permission_denied` */
  async #readable(reads: JobReads, pool: string, jobId: string, context: HandlerContext): Promise<FoundJob> {
    const found = await reads.find(checkName("job", jobId));
    const { live, ended } = found;
    const owner = live === undefined ? ended?.facts.client : (live.job?.client ?? "");
    if (owner !== undefined && !this.#isOwn(owner, context)) this.#parts.gate.require(context, "read", pool, jobId);
    return found;
  }

  #isOwn(owner: string, context: HandlerContext): boolean {
    const caller = callerOf(context);
    return caller.isUnbounded || owner === caller.owner;
  }

  async #counted<T>(owner: string, work: () => Promise<T>): Promise<T> {
    const own = this.#waitsOf.get(owner) ?? 0;
    const most = this.#parts.gate.hasPolicy ? MAX_WAITS_OF_ONE_CALLER : MAX_WAITS;
    if (this.#waits >= MAX_WAITS || own >= most) {
      throw new PoolError("pool_full", `${Math.min(most, MAX_WAITS)} calls wait for outcomes, the limit`, {
        retryAfterMs: 1_000,
      });
    }
    this.#waits += 1;
    this.#waitsOf.set(owner, own + 1);
    try {
      return await work();
    } finally {
      this.#waits -= 1;
      const left = (this.#waitsOf.get(owner) ?? 1) - 1;
      if (left > 0) this.#waitsOf.set(owner, left);
      else this.#waitsOf.delete(owner);
    }
  }
}

function toReceipt({ id, sequence, duplicate, runAt }: StoredJob): EnqueueResponse {
  const time = runAt === undefined ? {} : { runAt: timestampFromDate(runAt) };
  return create(EnqueueResponseSchema, { jobId: id, sequence: BigInt(sequence), duplicate, ...time });
}
