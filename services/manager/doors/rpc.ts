/** ManagerService over Connect, gRPC and gRPC-Web. Decides nothing: messages in, the pools' answers out. */
import { create } from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { WorkerSelector } from "../../../gen/poolmesh/v1/manager_pb.js";
import {
  GetOutcomeResponseSchema,
  ManagerService,
  type SubmitManyRequest,
  type SubmitManyResponse,
  SubmitManyResponseSchema,
  type SubmitRequest,
} from "../../../gen/poolmesh/v1/manager_pb.js";
import { PoolError } from "../../../mesh/errors.js";
import type { Outcome } from "../../../mesh/job/job.js";
import { jobFlow } from "../../../mesh/job/job-flow.js";
import { askCancel } from "../../../mesh/link/ask-cancel.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { checkName } from "../../../mesh/names.js";
import { toErrorDetail } from "../../../mesh/wire/error-headers.js";
import type { Selector, WorkerControl } from "../control.js";
import type { Pools } from "../pools.js";
import { listWorkers } from "../views.js";
import { awaitOutcome } from "./await-outcome.js";
import { toPayload, toResponse, toSubmitOptions } from "./rpc-messages.js";

/** What the routes speak for. */
export interface ManagerRoutesParts {
  readonly bus: Bus;
  readonly pools: Pools;
  readonly control: WorkerControl;
}

/** Registers ManagerService. */
export function managerRoutes(router: ConnectRouter, parts: ManagerRoutesParts): void {
  router.service(ManagerService, { ...jobMethods(parts), ...workerMethods(parts) } as ServiceImpl<
    typeof ManagerService
  >);
}

type Methods<K extends keyof ServiceImpl<typeof ManagerService>> = Pick<ServiceImpl<typeof ManagerService>, K>;

function jobMethods({
  bus,
  pools,
}: ManagerRoutesParts): Methods<"submit" | "submitMany" | "detachSubmit" | "getOutcome" | "cancel"> {
  return {
    async submit(request, context) {
      const options = { ...toSubmitOptions(request, context.timeoutMs()), signal: context.signal };
      const result = await pools.get(request.pool).run(toPayload(request.input), options);
      return toResponse(request.input.case, result);
    },
    submitMany: (requests, context) => submitStream(pools, requests, context),
    async detachSubmit({ job }) {
      const request = requireJob(job);
      const listener = { onEnd: () => {} };
      const pool = pools.get(request.pool);
      return { jobId: pool.submit(toPayload(request.input), toSubmitOptions(request), listener, true) };
    },
    async getOutcome({ pool, jobId }, context) {
      const outcome = await awaitOutcome(pools.find(pool), checkName("job", jobId), context.signal, bus.runtime.now());
      return create(GetOutcomeResponseSchema, { outcome: toOutcome(undefined, outcome) });
    },
    async cancel({ pool, jobId }) {
      const known = pools.find(pool);
      if (known?.cancel(checkName("job", jobId)) !== true) await askCancel(bus, pools, pool, jobId);
      return {};
    },
  };
}

function workerMethods({
  pools,
  control,
}: ManagerRoutesParts): Methods<"listWorkers" | "drainWorker" | "pauseWorker" | "resumeWorker" | "resizeWorker"> {
  return {
    listWorkers: ({ pool, labels }) => ({ workers: listWorkers(pools, pool, labels) }),
    async drainWorker({ selector, wait }, { signal }) {
      return { workers: await control.ask(toSelector(selector), { op: "drain", wait }, signal) };
    },
    async pauseWorker({ selector }, { signal }) {
      return { workers: await control.ask(toSelector(selector), { op: "pause" }, signal) };
    },
    async resumeWorker({ selector }, { signal }) {
      return { workers: await control.ask(toSelector(selector), { op: "resume" }, signal) };
    },
    async resizeWorker({ selector, slots }, { signal }) {
      return { workers: await control.ask(toSelector(selector), { op: "resize", slots }, signal) };
    },
  };
}

async function* submitStream(
  pools: Pools,
  requests: AsyncIterable<SubmitManyRequest>,
  context: HandlerContext,
): AsyncGenerator<SubmitManyResponse> {
  const poolOf = new Map<string, string>();
  const starter = {
    start: ({ job }: SubmitManyRequest, leftMs: number, onEnd: (outcome: Outcome) => void): string => {
      const request = requireJob(job);
      const options = toSubmitOptions(request, leftMs);
      const id = pools.get(request.pool).submit(toPayload(request.input), options, {
        onEnd: (outcome) => {
          poolOf.delete(outcome.id);
          onEnd(outcome);
        },
      });
      poolOf.set(id, request.pool);
      return id;
    },
    cancel: (id: string): void => {
      pools.find(poolOf.get(id) ?? "")?.cancel(id);
    },
  };
  const timeoutMs = context.timeoutMs();
  for await (const outcome of jobFlow(starter, requests, { signal: context.signal, timeoutMs })) {
    const form = outcome.input.job?.input.case;
    yield create(SubmitManyResponseSchema, { ref: outcome.input.ref, outcome: toOutcome(form, outcome) });
  }
  context.signal.throwIfAborted();
}

function toOutcome(form: SubmitRequest["input"]["case"], outcome: Outcome) {
  return outcome.ok
    ? { case: "result" as const, value: toResponse(form, outcome.result) }
    : { case: "error" as const, value: toErrorDetail(outcome.error) };
}

function requireJob(job: SubmitRequest | undefined): SubmitRequest {
  if (job !== undefined) return job;
  throw new PoolError("invalid_argument", "job: missing", { field: "job" });
}

function toSelector(selector: WorkerSelector | undefined): Selector {
  if (selector === undefined) throw new PoolError("invalid_argument", "selector: missing", { field: "selector" });
  checkName("pool", selector.pool);
  if (selector.worker !== "") checkName("worker", selector.worker);
  return selector;
}
