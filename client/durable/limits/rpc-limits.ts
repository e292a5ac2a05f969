/** Limits as messages of DurableService. Pure. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Limit as LimitMessage, LimitSchema } from "../../../gen/poolmesh/v1/durable_pb.js";
import { checkLimit, type Limit } from "../../../mesh/durable/limits/limit.js";

export function toLimitMessage({ target, running = 0, starts = 0, perMs = 0 }: Limit): LimitMessage {
  return create(LimitSchema, { target, running, starts, perMs: BigInt(perMs) } satisfies MessageInitShape<
    typeof LimitSchema
  >);
}

/** @throws PoolError `invalid_argument` */
export function fromLimitMessage({ target, running, starts, perMs }: LimitMessage): Limit {
  return checkLimit({
    target,
    ...(running === 0 ? {} : { running }),
    ...(starts === 0 ? {} : { starts }),
    ...(perMs === 0n ? {} : { perMs: Number(perMs) }),
  });
}
