/** What a worker claims to do, told by its heartbeat. Pure. */
import type { Heartbeat } from "../../gen/poolmesh/v1/heartbeat_pb.js";

/** From the least to the most; each claims what those before it do. */
export const LEVELS = ["bare", "v0", "v1", "v2"] as const;
/** "bare": no heartbeats. "v0": heartbeats without `protocol_version`. "v1", "v2": they say 1, or 2 and more. */
export type Level = (typeof LEVELS)[number];

/** The level that a heartbeat claims. */
export function levelOf({ protocolVersion }: Pick<Heartbeat, "protocolVersion">): Level {
  if (protocolVersion === 0) return "v0";
  return protocolVersion === 1 ? "v1" : "v2";
}

/** Whether a worker of level `claimed` claims what stands at level `rule`. */
export function claims(claimed: Level, rule: Level): boolean {
  return LEVELS.indexOf(rule) <= LEVELS.indexOf(claimed);
}
