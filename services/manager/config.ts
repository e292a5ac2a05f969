/** The manager service's configuration: which options it has and what they become. */
import { type ConfigOf, readConfig } from "../../mesh/process/config.js";
import { BUS_OPTIONS, EDGE_OPTIONS, OPTIONS, pick } from "../../mesh/process/options.js";

/** The options of `poolmesh manager`. */
export const MANAGER_OPTIONS = pick([
  ...BUS_OPTIONS,
  "id",
  "pools",
  ...EDGE_OPTIONS,
  "timeoutMs",
  "acceptTimeoutMs",
  "parkedLimit",
  "parkedBytesLimit",
  "clientShare",
  "maxPools",
  "maxWorkers",
  "bare",
  "durable",
  "graceMs",
]);

export type ManagerConfig = ConfigOf<typeof MANAGER_OPTIONS>;

/** Where a manager listens unless told otherwise. */
export const MANAGER_LISTEN = { host: "127.0.0.1", port: 8080 } as const;

/** @throws PoolError `invalid_argument` listing every mistake */
export function readManagerConfig(
  env: Readonly<Record<string, string | undefined>>,
  flags: Readonly<Record<string, string | undefined>>,
): ManagerConfig {
  return readConfig(MANAGER_OPTIONS, env, flags, OPTIONS);
}
