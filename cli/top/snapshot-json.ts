/** A snapshot as one line of JSON; messages in protobuf's JSON form, as curl shows them. Pure. */
import { toJson } from "@bufbuild/protobuf";
import { type PoolCapacity, PoolCapacitySchema, WorkerViewSchema } from "../../gen/poolmesh/v1/view_pb.js";
import type { TopState } from "./screen.js";

const OPTIONS = { alwaysEmitImplicit: true } as const;

/**
 * One object: at, connection, total, pools, workers.
 *
 * @param wallMs wall clock, milliseconds since the epoch
 */
export function snapshotJson(state: TopState, wallMs: number): string {
  const capacity = (pool: PoolCapacity) => toJson(PoolCapacitySchema, pool, OPTIONS);
  const workers = [...(state.workers?.workers.values() ?? [])];
  const mine = workers.filter(({ view }) => state.pool === "" || view.heartbeat?.pool === state.pool);
  const total = state.capacity?.total;
  return JSON.stringify({
    at: new Date(wallMs).toISOString(),
    connection: state.capacity?.connection.state ?? "connecting",
    total: total === undefined ? null : capacity(total),
    pools: [...(state.capacity?.pools.values() ?? [])].map(capacity),
    workers: mine.map(({ view }) => toJson(WorkerViewSchema, view, OPTIONS)),
  });
}
