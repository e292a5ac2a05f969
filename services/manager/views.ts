/** Workers as a manager sees them, for ListWorkers. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type WorkerView, WorkerViewSchema } from "../../gen/poolmesh/v1/view_pb.js";
import { PoolError } from "../../mesh/errors.js";
import { hasLabels } from "./control.js";
import type { Pool } from "./pool.js";
import type { Pools } from "./pools.js";

/** A worker's event loop later than this is lagging, in milliseconds. */
const LAGGING_MS = 200;

/**
 * The workers of one pool, or of all.
 *
 * @param pool "" for all
 * @throws PoolError `invalid_argument`, `unknown_pool`
 */
export function listWorkers(pools: Pools, pool: string, labels: Readonly<Record<string, string>>): WorkerView[] {
  if (pool === "") return [...pools.known()].flatMap((each) => viewsOf(each, labels));
  const known = pools.find(pool);
  if (known === undefined || !known.roster.everBeaten) {
    throw new PoolError("unknown_pool", "nobody has ever beaten for that pool", { field: "pool" });
  }
  return viewsOf(known, labels);
}

function viewsOf(pool: Pool, labels: Readonly<Record<string, string>>): WorkerView[] {
  const now = performance.now();
  return [...pool.heartbeats.values()]
    .filter(({ heartbeat }) => hasLabels(heartbeat, labels))
    .map(({ heartbeat, at, firstAt }) =>
      create(WorkerViewSchema, {
        heartbeat,
        ageMs: now - at,
        lagging: heartbeat.loopLagMs > LAGGING_MS,
        unhealthy: (pool.roster.get(heartbeat.worker)?.shunnedUntil ?? 0) > now,
        firstSeen: timestampFromMs(Math.round(Date.now() - (now - firstAt))),
      }),
    );
}
