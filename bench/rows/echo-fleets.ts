/** The arms of rows 1 and 2: each runs empty jobs that answer with their own payload. */
import type { FleetSpec } from "../harness/processes/fleet.js";

/** The payload of an empty job, in bytes. */
export const PAYLOAD_BYTES = 128;
/** More than the largest window, so that no job ever waits for a slot. */
const SLOTS = 2_048;

/** A manager that is embedded in the caller's process. */
export const POOLMESH = "Poolmesh embedded, 1 worker";
export const POOLMESH_2 = "Poolmesh embedded, 2 workers";
/** What most programs use: a Client, and managers that are services of their own. */
export const CLIENT = "Poolmesh Client, 1 manager";
export const CLIENT_2 = "Poolmesh Client, 2 managers";
export const BARE = "bare loop, 1 worker";
export const BARE_2 = "bare loop, 2 workers";
export const BARE_HEADERS = "bare loop with headers";
export const REQUEST = "nats.js request()";
export const MOLECULER = "Moleculer";
export const NESTJS = "NestJS";
export const BULLMQ = "BullMQ add and wait";
export const BULLMQ_BULK = "BullMQ addBulk";

const base = { over: "nats", workers: 1, slots: SLOTS, work: "echo" } as const;

/** BullMQ's two ways share processes: {@link BULLMQ_BULK} is the same fleet. */
export const ECHO_FLEETS: readonly FleetSpec[] = [
  { ...base, name: CLIENT, arm: "client", managers: 1 },
  { ...base, name: CLIENT_2, arm: "client", managers: 2 },
  { ...base, name: POOLMESH, arm: "poolmesh" },
  { ...base, name: POOLMESH_2, arm: "poolmesh", workers: 2 },
  { ...base, name: BARE, arm: "bare" },
  { ...base, name: BARE_2, arm: "bare", workers: 2 },
  { ...base, name: BARE_HEADERS, arm: "bare-headers" },
  { ...base, name: REQUEST, arm: "request" },
  { ...base, name: MOLECULER, arm: "moleculer" },
  { ...base, name: NESTJS, arm: "nestjs" },
  { ...base, name: BULLMQ, arm: "bullmq", over: "redis" },
];
