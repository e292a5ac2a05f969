/**
 * Jobs that come over Connect, gRPC and gRPC-Web.
 *
 * Decided here: a job without an input is refused, a job for a pool that there
 * is not does not wait unless its caller says so, and an outcome comes back in
 * the form in which its job came, also when it is fetched later. Under a policy a
 * job counts for its caller, whatever client it names, and belongs to that caller.
 */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type GetOutcomeResponse,
  GetOutcomeResponseSchema,
  type SubmitManyRequest,
  type SubmitManyResponse,
  SubmitManyResponseSchema,
  type SubmitRequest,
  type SubmitResponse,
} from "../../../gen/poolmesh/v1/manager_pb.js";
import { callerOf, type Gate } from "../../../mesh/auth/gate.js";
import { PoolError } from "../../../mesh/errors.js";
import { DEFAULT_TIMEOUT_MS, type Outcome, type SubmitOptions } from "../../../mesh/job/job.js";
import { jobFlow } from "../../../mesh/job/job-flow.js";
import { askCancel } from "../../../mesh/link/ask-cancel.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { asJobError, toErrorDetail } from "../../../mesh/wire/connect-errors.js";
import { checkName, isName } from "../../../mesh/wire/subjects.js";
import type { AwayJobs } from "../owners/away-jobs.js";
import type { Pool } from "../pool/pool.js";
import type { Pools } from "../pools.js";
import { awaitOutcome } from "./await-outcome.js";
import { type Form, toMicroseconds, toPayload, toResponse, toSubmitOptions } from "./rpc-messages.js";
import { mayWait } from "./unknown-pool.js";

/** Takes jobs from RPCs. */
export class RpcJobs {
  readonly #bus: Bus;
  readonly #pools: Pools;
  readonly #gate: Gate;
  readonly #away: AwayJobs;
  /** In which form the job of an outcome came. */
  readonly #forms = new WeakMap<Outcome, Form>();
  /** From its coming to its end, in milliseconds. */
  readonly #totals = new WeakMap<Outcome, number>();

  constructor(bus: Bus, pools: Pools, away: AwayJobs, gate: Gate) {
    this.#bus = bus;
    this.#pools = pools;
    this.#gate = gate;
    this.#away = away;
  }

  /** Runs one job. @throws PoolError its typed outcome, or why it was refused */
  async submit(request: SubmitRequest, context: HandlerContext): Promise<SubmitResponse> {
    const pool = await this.#poolOf(request, context.signal);
    const options = { ...this.#optionsOf(pool, request, context, context.timeoutMs()), signal: context.signal };
    const outcome = await new Promise<Outcome>((resolve) => this.#take(pool, request, options, resolve));
    if (!outcome.ok) throw this.#errorOf(outcome);
    return toResponse(request.input.case, outcome.result);
  }

  /** Takes one job and answers with its id, once the owner of that id has it. @throws PoolError why it was refused */
  async detach(job: SubmitRequest | undefined, context: HandlerContext): Promise<string> {
    const request = requireJob(job);
    const pool = await this.#poolOf(request, context.signal);
    let ended: Outcome | undefined;
    const onEnd = (outcome: Outcome): void => {
      ended = outcome;
    };
    const id = this.#take(pool, request, this.#optionsOf(pool, request, context), onEnd, true);
    await unlessAborted(this.#away.whenTaken(pool, id), context.signal);
    if (pool.isKnown) return id;
    // The job leaves at the end of this turn; the broker says that nobody listens before it answers a flush.
    await new Promise<void>((resolve) => this.#bus.runtime.endOfTurn(resolve));
    await this.#bus.flush();
    if (ended?.ok === false && ended.error.reason === "unknown_pool") throw ended.error;
    return id;
  }

  /** The outcome of a job that is here or was. @throws PoolError `not_found`, `canceled`, `permission_denied` */
  async outcome(pool: string, jobId: string, context: HandlerContext): Promise<GetOutcomeResponse> {
    const id = checkName("job", jobId);
    const known = this.#pools.find(pool);
    const owner = this.#ownerOf(known, id);
    if (owner !== undefined && owner !== callerOf(context).owner) this.#gate.require(context, "read", pool, id);
    const { signal } = context;
    const outcome = await (this.#awayOutcome(known, id, signal) ??
      awaitOutcome(known, id, signal, this.#bus.runtime.now()));
    return create(GetOutcomeResponseSchema, { outcome: this.#toOutcome(this.#forms.get(outcome), outcome) });
  }

  /**
   * Cancels a job. Who may cancel their own jobs only reach those that they gave to this manager:
   * an id that is live elsewhere can be anybody's.
   *
   * @throws PoolError `not_found`, `permission_denied`, `bus_unavailable`
   */
  async cancel(pool: string, jobId: string, context: HandlerContext): Promise<void> {
    const id = checkName("job", jobId);
    const known = this.#pools.find(pool);
    const owner = this.#ownerOf(known, id);
    const caller = callerOf(context);
    const isOwn = owner === caller.owner;
    const mayAny = caller.may("cancel", pool);
    if (!isOwn && (mayAny || owner !== undefined)) this.#gate.require(context, "cancel", pool, id);
    if (known?.cancel(id) === true) return;
    if (mayAny) return askCancel(this.#bus, this.#pools, pool, id);
    if (known === undefined || this.#away.clientOf(known, id) !== caller.owner) throw notHere();
    this.#away.cancel(known, id);
  }

  /** Whose job it is; undefined when it is neither here nor was submitted here. */
  #ownerOf(pool: Pool | undefined, id: string): string | undefined {
    return pool === undefined ? undefined : (pool.clientOf(id) ?? this.#away.clientOf(pool, id));
  }

  /** Runs jobs as they come. */
  async *submitMany(
    requests: AsyncIterable<SubmitManyRequest>,
    context: HandlerContext,
  ): AsyncGenerator<SubmitManyResponse> {
    const poolOf = new Map<string, Pool>();
    const starter = {
      start: ({ ref, job }: SubmitManyRequest, leftMs: number, onEnd: (outcome: Outcome) => void): string => {
        const request = requireJob(job);
        this.#gate.require(context, "submit", request.pool, request.jobId || `ref ${ref}`);
        const pool = this.#pools.get(request.pool);
        const id = this.#take(pool, request, this.#optionsOf(pool, request, context, leftMs), (outcome) => {
          poolOf.delete(outcome.id);
          onEnd(outcome);
        });
        poolOf.set(id, pool);
        return id;
      },
      cancel: (id: string): void => {
        const pool = poolOf.get(id);
        if (pool?.cancel(id) === false) this.#away.cancel(pool, id);
      },
    };
    const callTimeoutMs = context.timeoutMs();
    const timeoutOf = ({ job }: SubmitManyRequest): number => this.#timeoutOf(job, callTimeoutMs);
    const options = { signal: context.signal, timeoutOf };
    for await (const outcome of jobFlow(starter, this.#settled(requests, context), options)) {
      const form = outcome.input.job?.input.case;
      yield create(SubmitManyResponseSchema, { ref: outcome.input.ref, outcome: this.#toOutcome(form, outcome) });
    }
    context.signal.throwIfAborted();
  }

  /** A job's own time, at most that of the call; the pool's for a job that names none. */
  #timeoutOf(job: SubmitRequest | undefined, callTimeoutMs = Number.POSITIVE_INFINITY): number {
    const own = Number(job?.timeoutMs ?? 0n);
    const pool = job !== undefined && isName(job.pool) ? this.#pools.find(job.pool) : undefined;
    return Math.min(own > 0 ? own : (pool?.settings.timeoutMs ?? DEFAULT_TIMEOUT_MS), callTimeoutMs);
  }

  /** Requests as they come, each after it is clear whether its pool has workers. */
  async *#settled(
    requests: AsyncIterable<SubmitManyRequest>,
    context: HandlerContext,
  ): AsyncGenerator<SubmitManyRequest> {
    const caller = callerOf(context);
    for await (const request of requests) {
      const { job } = request;
      // What is wrong with a request is told when it is started, as its own outcome.
      if (job !== undefined && !this.#isSettled(job) && caller.may("submit", job.pool)) {
        await this.#poolOf(job, context.signal).catch(() => {});
      }
      yield request;
    }
  }

  /** The pool of a request, after workers that were not heard yet had time to be heard. */
  async #poolOf(request: SubmitRequest, signal: AbortSignal): Promise<Pool> {
    const pool = this.#pools.get(request.pool);
    if (!request.waitForPool) await unlessAborted(this.#pools.rollCall.settle(pool), signal);
    return pool;
  }

  #isSettled({ pool, waitForPool }: SubmitRequest): boolean {
    const known = isName(pool) ? this.#pools.find(pool) : undefined;
    return waitForPool || known?.isKnown === true;
  }

  #optionsOf(pool: Pool, request: SubmitRequest, context: HandlerContext, callTimeoutMs?: number): SubmitOptions {
    const { waitForPool } = request;
    const said = { ...toSubmitOptions(request, callTimeoutMs), wait: mayWait(pool.facts, request), waitForPool };
    const options = { ...traceOf(context), ...said };
    const caller = callerOf(context);
    if (caller.isUnbounded) return options;
    if (request.jobId !== "") requireOwnId(this.#ownerOf(pool, request.jobId), caller.owner);
    return { ...options, client: caller.owner };
  }

  #take(
    pool: Pool,
    request: SubmitRequest,
    options: SubmitOptions,
    onEnd: (outcome: Outcome) => void,
    keep = false,
  ): string {
    const begunAtMs = this.#bus.runtime.now();
    const listener = {
      onEnd: (outcome: Outcome): void => {
        this.#totals.set(outcome, this.#bus.runtime.now() - begunAtMs);
        this.#forms.set(outcome, request.input.case);
        onEnd(outcome);
      },
    };
    const payload = toPayload(request.input);
    if (this.#away.isAway(pool, options.id)) return this.#away.submit(pool, payload, options, listener.onEnd, keep);
    return pool.submit(payload, options, listener, keep);
  }

  #toOutcome(form: Form, outcome: Outcome): NonNullable<SubmitManyResponse["outcome"]> {
    return outcome.ok
      ? { case: "result", value: toResponse(form, outcome.result) }
      : { case: "error", value: toErrorDetail(this.#errorOf(outcome)) };
  }

  /** The error of a job with what is known of the job. One that was never taken waited until its end. */
  #errorOf(outcome: Outcome & { readonly ok: false }): PoolError {
    const { id: jobId, error, worker, attempt } = outcome;
    const totalMs = toMicroseconds(this.#totals.get(outcome) ?? 0);
    const waitMs = outcome.waitMs === undefined ? totalMs : toMicroseconds(outcome.waitMs);
    return asJobError(error, { jobId, worker, attempt, waitMs, totalMs });
  }

  /** The outcome of a job that came here and is at the owner of its id; undefined when there is none. */
  #awayOutcome(pool: Pool | undefined, id: string, signal: AbortSignal): Promise<Outcome> | undefined {
    if (pool === undefined || !this.#away.isAway(pool, id)) return undefined;
    let isLive = false;
    const outcome = new Promise<Outcome>((resolve) => {
      isLive = this.#away.listen(pool, id, resolve, signal);
    });
    return isLive ? outcome : undefined;
  }
}

/** The context in the headers of a call: that of its jobs, unless they say their own. */
function traceOf({ requestHeader }: HandlerContext): Pick<SubmitOptions, "traceparent" | "tracestate"> {
  const traceparent = requestHeader.get("traceparent") ?? "";
  const tracestate = requestHeader.get("tracestate") ?? "";
  if (!/^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(traceparent)) return {};
  return /^[\x20-\x7e]{1,512}$/.test(tracestate) ? { traceparent, tracestate } : { traceparent };
}

/** Resolves when `work` does, or when the caller gives up. */
async function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  let giveUp = (): void => {};
  const aborted = new Promise<void>((resolve) => {
    giveUp = resolve;
  });
  signal.addEventListener("abort", giveUp);
  await Promise.race([work, aborted]).finally(() => signal.removeEventListener("abort", giveUp));
}

/** With the id of somebody else's job a caller would hear that job's outcome. @throws PoolError `duplicate_job` */
function requireOwnId(owner: string | undefined, caller: string): void {
  if (owner === undefined || owner === caller) return;
  throw new PoolError("duplicate_job", "the id is that of another caller's job: use one of your own", { field: "job" });
}

function notHere(): PoolError {
  const text = "no job of yours with this id is here; the manager that took it can cancel it";
  return new PoolError("not_found", text, { field: "job" });
}

function requireJob(job: SubmitRequest | undefined): SubmitRequest {
  if (job !== undefined) return job;
  throw new PoolError("invalid_argument", "job: missing", { field: "job" });
}
