/** Where the figures in a worker's heartbeats come from. */
import { hostname } from "node:os";
import type { Isolation } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import type { Bus } from "../../mesh/link/bus.js";
import { newIncarnation, packageVersion } from "../../mesh/process/identity.js";
import type { BeatFigures } from "./beat.js";
import { Beater } from "./heartbeat.js";
import type { WorkerSettings } from "./worker-options.js";

/** Makes the beater of one process start: a new incarnation. */
export function makeBeater(
  bus: Bus,
  settings: WorkerSettings,
  isolation: Isolation,
  figures: () => BeatFigures,
  now: () => number,
): Beater {
  return new Beater({
    bus,
    subject: settings.subjects.heartbeat(settings.pool, settings.id),
    coalesceMs: settings.coalesceMs,
    now,
    figures,
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
