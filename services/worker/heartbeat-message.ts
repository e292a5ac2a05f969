/** What a heartbeat says. Pure: figures in, message out. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Heartbeat,
  HeartbeatSchema,
  type Isolation,
  type WorkerState,
} from "../../gen/poolmesh/v1/heartbeat_pb.js";

/** How many ids of running jobs a heartbeat carries. */
export const RUNNING_IDS_LIMIT = 64;
/** The protocol that this version speaks: nonces and leases. */
const PROTOCOL_VERSION = 2;

/** What stays the same for a worker's whole life. */
export interface HeartbeatIdentity {
  readonly pool: string;
  readonly worker: string;
  readonly incarnation: bigint;
  readonly isolation: Isolation;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly heartbeatIntervalMs: number;
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number;
}

/** What changes from one heartbeat to the next. */
export interface HeartbeatFigures {
  readonly state: WorkerState;
  readonly slots: number;
  readonly busy: number;
  readonly stuck: number;
  readonly doneTotal: number;
  readonly failedTotal: number;
  readonly acceptedTotal: number;
  readonly refusedTotal: number;
  readonly running: number;
  /** At most {@link RUNNING_IDS_LIMIT}. */
  readonly runningIds: readonly string[];
  /** For each id, the nonce of its submission, or "". */
  readonly runningNonces: readonly string[];
  readonly loopLagMs: number;
}

/** Builds one heartbeat. @param sentAtMs wall clock, milliseconds since the epoch */
export function buildHeartbeat(
  who: HeartbeatIdentity,
  now: HeartbeatFigures,
  seq: bigint,
  sentAtMs: number,
): Heartbeat {
  return create(HeartbeatSchema, {
    pool: who.pool,
    worker: who.worker,
    incarnation: who.incarnation,
    seq,
    state: now.state,
    slots: now.slots,
    busy: now.busy,
    jobsDone: BigInt(now.doneTotal),
    jobsFailed: BigInt(now.failedTotal),
    acceptedTotal: BigInt(now.acceptedTotal),
    refusedTotal: BigInt(now.refusedTotal),
    runningJobs: [...now.runningIds],
    runningTruncated: now.running > now.runningIds.length,
    loopLagMs: now.loopLagMs,
    isolation: who.isolation,
    host: who.host,
    pid: who.pid,
    version: who.version,
    labels: { ...who.labels },
    heartbeatIntervalMs: who.heartbeatIntervalMs,
    stuck: now.stuck,
    startedAt: timestampFromMs(who.startedAtMs),
    takesBundles: true,
    protocolVersion: PROTOCOL_VERSION,
    runningNonces: now.runningNonces.some((nonce) => nonce !== "") ? [...now.runningNonces] : [],
    sentAtMs: BigInt(Math.round(sentAtMs)),
  });
}
