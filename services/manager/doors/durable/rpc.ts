/** DurableService over Connect, gRPC and gRPC-Web. Decides nothing: messages in, what the streams have out. */
import type { ConnectRouter, ServiceImpl } from "@connectrpc/connect";
import { listJobs } from "../../../../client/durable/job-list.js";
import { changeDead, fromPageToken, listDead, toDeadLetter } from "../../../../client/durable/rpc-dead.js";
import { toLanePause, toLanes } from "../../../../client/durable/rpc-lanes.js";
import { DurableService } from "../../../../gen/poolmesh/v1/durable_pb.js";
import { callerOf } from "../../../../mesh/auth/gate.js";
import { withErrorFor } from "../../../../mesh/auth/shown.js";
import type { HeldBack } from "../../../../mesh/durable/limits/held-back.js";
import { readLanes } from "../../../../mesh/durable/shown/lanes-view.js";
import { PoolError } from "../../../../mesh/errors.js";
import { checkName } from "../../../../mesh/wire/subjects.js";
import type { ManagerRoutesParts } from "../rpc.js";
import { batchMethods } from "./batches.js";
import { setCron, toCronMessage } from "./cron.js";
import { DurableJobs, type DurableRpcParts } from "./jobs.js";
import { LaneAccess } from "./lane-access.js";
import { limitMethods } from "./limits.js";
import { fromState, toInput, toJobOutcome, toJobStatus } from "./messages.js";

/** Registers DurableService. */
export function durableRoutes(router: ConnectRouter, { bus, pools, gate }: ManagerRoutesParts): void {
  const parts = { bus, pools, gate, access: new LaneAccess(bus, pools) };
  const jobs = new DurableJobs(parts);
  const service: ServiceImpl<typeof DurableService> = {
    ...jobMethods(parts, jobs),
    ...batchMethods(parts, jobs),
    ...deadMethods(parts),
    async pausePool({ pool, forMs }) {
      parts.access.parts(pool);
      return { paused: toLanePause(await parts.access.lane.pause(pool, forMs === 0n ? undefined : Number(forMs))) };
    },
    async resumePool({ pool }) {
      parts.access.parts(pool);
      await parts.access.lane.resume(pool);
      return {};
    },
    setCron: (request, context) => setCron(parts, request, bus.runtime.wallNow(), context),
    async listCron({ pool }, context) {
      await parts.access.requireLane(pool);
      const crons = (await parts.access.lane.crons.listCrons(pool)).map(toCronMessage);
      // The name of a schedule is the id of its jobs.
      return { crons: crons.filter(({ client }) => callerOf(context).seesJob(pool, client)) };
    },
    async removeCron({ pool, name }) {
      await parts.access.requireLane(pool);
      await parts.access.lane.crons.removeCron(pool, name);
      return {};
    },
    ...limitMethods(parts.access),
    async getLanes({ pool }) {
      const { names, store } = parts.access.lane;
      if (pool !== "") parts.access.parts(pool);
      const heldBackOf = (name: string): HeldBack | undefined => parts.access.lane.heldBack(name);
      return toLanes(await readLanes(store, names, pool === "" ? undefined : pool), heldBackOf);
    },
  };
  router.service(DurableService, service);
}

type Methods<K extends keyof ServiceImpl<typeof DurableService>> = Pick<ServiceImpl<typeof DurableService>, K>;

function jobMethods(
  parts: DurableRpcParts,
  jobs: DurableJobs,
): Methods<"enqueue" | "enqueueMany" | "getJob" | "waitOutcome" | "cancelJob" | "listJobs"> {
  return {
    enqueue: (request, context) => jobs.enqueue(request, context),
    enqueueMany: (requests, context) => jobs.enqueueMany(requests, context),
    async getJob({ pool, jobId, form }, context) {
      const job = await jobs.get(pool, jobId, context);
      const { outcome } = job;
      return { job: toJobStatus(job), ...(outcome === undefined ? {} : { outcome: toJobOutcome(outcome, form) }) };
    },
    async waitOutcome({ pool, jobId, waitMs, form }, context) {
      const outcome = await jobs.wait(pool, jobId, waitMs, context);
      const job = toJobStatus(await jobs.get(pool, jobId, context));
      return outcome === undefined ? { job } : { job, outcome: toJobOutcome(outcome, form) };
    },
    async cancelJob({ pool, jobId }, context) {
      await jobs.cancel(pool, jobId, context);
      return {};
    },
    async listJobs({ pool, state, pageSize, pageToken }, context) {
      const wanted = fromState(state);
      const { jobs: found, next } = await listJobs(parts.access.parts(pool), {
        ...(wanted === undefined ? {} : { state: wanted }),
        ...(pageSize === 0 ? {} : { limit: pageSize }),
        after: fromPageToken(pageToken),
        onlyClient: callerOf(context).onlyOwner(pool),
        signal: context.signal,
      });
      return { jobs: found.map(toJobStatus), nextPageToken: next === undefined ? "" : String(next) };
    },
  };
}

function deadMethods({ access, bus }: DurableRpcParts): Methods<"listDead" | "getDead" | "retryDead" | "purgeDead"> {
  const { runtime } = bus;
  return {
    listDead: (request, context) =>
      listDead(access.dead(request.pool), request, runtime, context.signal, (letter) =>
        withErrorFor(callerOf(context), request.pool, letter),
      ),
    async getDead({ pool, jobId, form }, context) {
      const letter = await access.dead(pool).get(checkName("job", jobId));
      if (letter === undefined) throw new PoolError("not_found", "no dead letter has this id", { field: "job" });
      const caller = callerOf(context);
      const input = caller.readsJob(pool, letter.client) ? toInput(letter.payload, form) : { case: undefined };
      return { letter: withErrorFor(caller, pool, toDeadLetter(letter)), input };
    },
    retryDead({ selector }, { signal }) {
      const dead = access.dead(selector?.pool ?? "");
      return changeDead(dead, selector, async (id) => (await dead.retry(id)).sequence, runtime, signal);
    },
    purgeDead({ selector }, { signal }) {
      const dead = access.dead(selector?.pool ?? "");
      return changeDead(dead, selector, (id) => dead.purge(id).then(() => 0), runtime, signal);
    },
  };
}
