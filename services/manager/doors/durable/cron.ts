/** Cron schedules for callers over Connect, gRPC and gRPC-Web: messages in, what the stream has out. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { type CronOptions, toCronSpec } from "../../../../client/durable/crons.js";
import {
  type Cron as CronMessage,
  CronSchema,
  type NextJob,
  type SetCronRequest,
  type SetCronResponse,
  SetCronResponseSchema,
} from "../../../../gen/poolmesh/v1/durable_pb.js";
import { callerOf } from "../../../../mesh/auth/gate.js";
import type { ThenStep } from "../../../../mesh/durable/after/then.js";
import { type Cron, PROTO_OVERLAPS } from "../../../../mesh/durable/later/cron.js";
import { PoolError } from "../../../../mesh/errors.js";
import { keyOf, PROTO_PRIORITIES } from "../../../../mesh/job/proto-priorities.js";
import { toPayload, toPriority } from "../rpc-messages.js";
import type { DurableRpcParts } from "./jobs.js";

/** @throws PoolError `invalid_argument`, `pool_full`, `unknown_pool`, `bus_unavailable` */
export async function setCron(
  { access, gate }: Pick<DurableRpcParts, "access" | "gate">,
  { pool, cron, input }: SetCronRequest,
  wallNowMs: number,
  context: HandlerContext,
): Promise<SetCronResponse> {
  if (cron === undefined) throw new PoolError("invalid_argument", "cron: missing", { field: "cron" });
  const caller = callerOf(context);
  const options = toOptions(cron);
  const own = caller.isUnbounded ? options : { ...options, client: caller.owner };
  const spec = toCronSpec(toPayload(input), own, wallNowMs);
  for (const next of spec.job.then) gate.require(context, "submit", next.pool, spec.name);
  await access.ready(pool);
  const change = await access.lane.crons.setCron(pool, spec);
  return create(SetCronResponseSchema, { created: change === "created", unchanged: change === "unchanged" });
}

function toOptions(cron: CronMessage): CronOptions {
  const { name, schedule, timeZone, overlap, backoff, client, idempotent, keepOutcome, then } = cron;
  return {
    name,
    schedule,
    timeZone,
    overlap: keyOf(PROTO_OVERLAPS, overlap) ?? "skip",
    priority: toPriority(cron.priority),
    ...(cron.timeoutMs === 0n ? {} : { timeoutMs: Number(cron.timeoutMs) }),
    ...(cron.maxAttempts === 0 ? {} : { maxAttempts: cron.maxAttempts }),
    ...(backoff === undefined ? {} : { backoff: { baseMs: Number(backoff.baseMs), capMs: Number(backoff.capMs) } }),
    ...(idempotent === undefined ? {} : { idempotent }),
    ...(keepOutcome === undefined ? {} : { keepOutcome }),
    ...(client === "" ? {} : { client }),
    ...(then.length === 0 ? {} : { then: then.map(toStep) }),
  };
}

function toStep({ pool, jobId }: NextJob): ThenStep {
  return { pool, id: jobId || undefined };
}

export function toCronMessage({ name, schedule, timeZone, overlap, priority, job, payload }: Cron): CronMessage {
  const { timeoutMs, maxAttempts, backoff, idempotent, keepOutcome, client, then } = job;
  return create(CronSchema, {
    name,
    schedule,
    timeZone,
    overlap: PROTO_OVERLAPS[overlap],
    priority: PROTO_PRIORITIES[priority],
    timeoutMs: BigInt(timeoutMs),
    maxAttempts,
    backoff: { baseMs: BigInt(backoff.baseMs), capMs: BigInt(backoff.capMs) },
    idempotent,
    keepOutcome,
    client,
    then: then.map((next) => ({ pool: next.pool, jobId: next.id ?? "" })),
    payloadBytes: BigInt(payload.length),
  });
}
