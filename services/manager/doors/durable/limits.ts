/** Limits of stored jobs for callers over Connect, gRPC and gRPC-Web: messages in, what the stream has out. */
import type { ServiceImpl } from "@connectrpc/connect";
import { fromLimitMessage, toLimitMessage } from "../../../../client/durable/limits/rpc-limits.js";
import type { DurableService } from "../../../../gen/poolmesh/v1/durable_pb.js";
import { PoolError } from "../../../../mesh/errors.js";
import type { LaneAccess } from "./lane-access.js";

/** Each throws PoolError `invalid_argument`, `unknown_pool`, `not_found`, `pool_full`, `bus_unavailable`. */
export function limitMethods(
  access: LaneAccess,
): Pick<ServiceImpl<typeof DurableService>, "setLimit" | "listLimits" | "removeLimit"> {
  return {
    async setLimit({ pool, limit }) {
      if (limit === undefined) throw new PoolError("invalid_argument", "limit: missing", { field: "limit" });
      const checked = fromLimitMessage(limit);
      await access.ready(pool);
      await access.lane.limits.set(pool, checked);
      return {};
    },
    async listLimits({ pool }) {
      await access.requireLane(pool);
      return { limits: (await access.lane.limits.list(pool)).map(toLimitMessage) };
    },
    async removeLimit({ pool, target }) {
      access.parts(pool);
      await access.lane.limits.remove(pool, target);
      return {};
    },
  };
}
