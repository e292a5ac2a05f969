/** How lanes stand, as a message of DurableService. Pure. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type GetLanesResponse,
  GetLanesResponseSchema,
  type LaneSchema,
  type StreamStatusSchema,
} from "../../gen/poolmesh/v1/durable_pb.js";
import type { LaneLine, LanesView } from "../../mesh/durable/lanes-view.js";
import type { StreamStatus } from "../../mesh/durable/stream-status.js";

/** @param retryingOf jobs of a pool that wait after a failure; undefined where that is not known */
export function toLanes({ lanes, streams }: LanesView, retryingOf?: (pool: string) => number): GetLanesResponse {
  return create(GetLanesResponseSchema, {
    lanes: lanes.map((lane) => toLane(lane, retryingOf?.(lane.pool))),
    streams: streams.map(toStream),
  });
}

function toLane(
  { pool, queued, delivered, dead, oldestAt }: LaneLine,
  retrying: number | undefined,
): MessageInitShape<typeof LaneSchema> {
  return {
    pool,
    queued: BigInt(queued),
    delivered: BigInt(delivered),
    dead: BigInt(dead),
    ...(oldestAt === undefined ? {} : { oldestAt: timestampFromDate(oldestAt) }),
    // Managers tell it a moment later than the stream knows.
    ...(retrying === undefined ? {} : { retrying: BigInt(Math.min(retrying, delivered)) }),
  };
}

function toStream(stream: StreamStatus): MessageInitShape<typeof StreamStatusSchema> {
  const { name, messages, maxMessages, bytes, maxBytes, replicas, differences } = stream;
  return {
    name,
    messages: BigInt(messages),
    maxMessages: BigInt(maxMessages),
    bytes: BigInt(bytes),
    maxBytes: BigInt(maxBytes),
    replicas,
    differences: [...differences],
  };
}
