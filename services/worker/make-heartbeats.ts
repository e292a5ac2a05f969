/** Where the figures in a worker's heartbeats come from. */
import { hostname } from "node:os";
import type { Isolation } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import type { Bus } from "../../mesh/link/bus.js";
import { newIncarnation, packageVersion } from "../../mesh/process/identity.js";
import { type HeartbeatParts, Heartbeats } from "./heartbeat.js";
import type { WorkerSettings } from "./worker-options.js";

/** Makes the sender of heartbeats of one process start: a new incarnation. */
export function makeHeartbeats(
  bus: Bus,
  settings: WorkerSettings,
  isolation: Isolation,
  source: Pick<HeartbeatParts, "figures" | "onSent">,
): Heartbeats {
  return new Heartbeats({
    bus,
    subject: settings.subjects.heartbeat(settings.pool, settings.id),
    coalesceMs: settings.coalesceMs,
    ...source,
    identity: {
      ...settings,
      worker: settings.id,
      incarnation: newIncarnation(bus.runtime.wallNow(), bus.runtime.random),
      isolation,
      host: hostname(),
      pid: process.pid,
      version: packageVersion(),
      startedAtMs: bus.runtime.wallNow(),
    },
  });
}
