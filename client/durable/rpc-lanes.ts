/** How lanes stand, as a message of DurableService. Pure. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type GetLanesResponse,
  GetLanesResponseSchema,
  type LanePause as LanePauseMessage,
  LanePauseSchema,
  type LaneSchema,
  type StreamStatusSchema,
} from "../../gen/poolmesh/v1/durable_pb.js";
import { type HeldBack, within } from "../../mesh/durable/limits/held-back.js";
import type { LanePause } from "../../mesh/durable/pause/lane-pause.js";
import type { LaneLine, LanesView } from "../../mesh/durable/shown/lanes-view.js";
import type { StreamStatus } from "../../mesh/durable/shown/stream-status.js";
import { PROTO_PRIORITIES } from "../../mesh/job/proto-priorities.js";

/** @param heldBackOf jobs of a pool that managers hold back; undefined where that is not known */
export function toLanes(
  { lanes, streams }: LanesView,
  heldBackOf?: (pool: string) => HeldBack | undefined,
): GetLanesResponse {
  return create(GetLanesResponseSchema, {
    lanes: lanes.map((lane) => toLane(lane, heldBackOf?.(lane.pool))),
    streams: streams.map(toStream),
  });
}

function toLane(
  { pool, queued, delivered, dead, scheduled, oldestAt, paused }: LaneLine,
  heldBack: HeldBack | undefined,
): MessageInitShape<typeof LaneSchema> {
  return {
    pool,
    queued: BigInt(queued),
    delivered: BigInt(delivered),
    dead: BigInt(dead),
    scheduled: BigInt(scheduled),
    ...(paused === undefined ? {} : { paused: toLanePause(paused) }),
    ...(oldestAt === undefined ? {} : { oldestAt: timestampFromDate(oldestAt) }),
    ...(heldBack === undefined ? {} : toHeldBack(within(heldBack, delivered))),
  };
}

function toHeldBack({ retrying, limited }: HeldBack): { retrying: bigint; limited: bigint } {
  return { retrying: BigInt(retrying), limited: BigInt(limited) };
}

export function toLanePause({ levels, until }: LanePause): LanePauseMessage {
  const end = until === undefined ? {} : { until: timestampFromDate(until) };
  return create(LanePauseSchema, { levels: levels.map((level) => PROTO_PRIORITIES[level]), ...end });
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
