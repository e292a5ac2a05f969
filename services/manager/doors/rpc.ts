/** ManagerService over Connect, gRPC and gRPC-Web. Decides nothing: messages in, the pools' answers out. */
import type { ConnectRouter, ServiceImpl } from "@connectrpc/connect";
import { ManagerService, type WorkerSelector } from "../../../gen/poolmesh/v1/manager_pb.js";
import { callerOf, type Gate } from "../../../mesh/auth/gate.js";
import { withoutJobs } from "../../../mesh/auth/shown.js";
import { PoolError } from "../../../mesh/errors.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { checkName } from "../../../mesh/wire/subjects.js";
import type { Selector, WorkerControl } from "../control.js";
import type { AwayJobs } from "../owners/away-jobs.js";
import type { Pools } from "../pools.js";
import { listWorkers } from "../views.js";
import { RpcJobs } from "./rpc-jobs.js";

/** What the routes speak for. */
export interface ManagerRoutesParts {
  readonly bus: Bus;
  readonly pools: Pools;
  /** Jobs whose ids other managers own. */
  readonly away: AwayJobs;
  readonly control: WorkerControl;
  readonly gate: Gate;
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
  away,
  gate,
}: ManagerRoutesParts): Methods<"submit" | "submitMany" | "detachSubmit" | "getOutcome" | "cancel"> {
  const jobs = new RpcJobs(bus, pools, away, gate);
  return {
    submit: (request, context) => jobs.submit(request, context),
    submitMany: (requests, context) => jobs.submitMany(requests, context),
    detachSubmit: async ({ job }, context) => ({ jobId: await jobs.detach(job, context) }),
    getOutcome: ({ pool, jobId }, context) => jobs.outcome(pool, jobId, context),
    async cancel({ pool, jobId }, context) {
      await jobs.cancel(pool, jobId, context);
      return {};
    },
  };
}

function workerMethods({
  pools,
  control,
}: ManagerRoutesParts): Methods<"listWorkers" | "drainWorker" | "pauseWorker" | "resumeWorker" | "resizeWorker"> {
  return {
    listWorkers: ({ pool, labels }, context) => {
      const workers = listWorkers(pools, pool, labels);
      return { workers: callerOf(context).seesAllJobs(pool) ? workers : workers.map(withoutJobs) };
    },
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

function toSelector(selector: WorkerSelector | undefined): Selector {
  if (selector === undefined) throw new PoolError("invalid_argument", "selector: missing", { field: "selector" });
  checkName("pool", selector.pool);
  if (selector.worker !== "") checkName("worker", selector.worker);
  return selector;
}
