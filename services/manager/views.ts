/** Workers as a manager sees them, for ListWorkers. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type WorkerView, WorkerViewSchema } from "../../gen/poolmesh/v1/view_pb.js";
import type { Runtime } from "../../mesh/link/runtime.js";
import { clockOffsetMs } from "../../mesh/wire/clock-offset.js";
import { LAGGING_MS } from "../../mesh/wire/liveness-rules.js";
import { hasLabels } from "../../mesh/wire/worker-selection.js";
import type { Pool } from "./pool/pool.js";
import type { Pools } from "./pools.js";

/**
 * The workers of one pool, or of all.
 *
 * @param pool "" for all
 * @throws PoolError `invalid_argument`, `unknown_pool`
 */
export function listWorkers(pools: Pools, pool: string, labels: Readonly<Record<string, string>>): WorkerView[] {
  if (pool === "") return [...pools.known()].flatMap((each) => viewsOf(each, labels, pools.runtime));
  const known = pools.find(pool);
  if (known === undefined || !known.workers.everHeard) {
    throw pools.unknown(pool);
  }
  return viewsOf(known, labels, pools.runtime);
}

function viewsOf(pool: Pool, labels: Readonly<Record<string, string>>, runtime: Runtime): WorkerView[] {
  const nowMs = runtime.now();
  return [...pool.list.all()]
    .filter(({ heartbeat }) => hasLabels(heartbeat, labels))
    .map(({ heartbeat, atMs, firstAtMs }) =>
      create(WorkerViewSchema, {
        heartbeat,
        ageMs: nowMs - atMs,
        clockOffsetMs: clockOffsetMs(heartbeat, runtime.wallNow() - (nowMs - atMs)),
        lagging: heartbeat.loopLagMs > LAGGING_MS,
        unhealthy: (pool.workers.get(heartbeat.worker)?.backOffUntilMs ?? 0) > nowMs,
        firstSeen: timestampFromMs(Math.round(runtime.wallNow() - (nowMs - firstAtMs))),
      }),
    );
}
