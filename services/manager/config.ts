/** The manager service's configuration: which options it has and what they become. */
import { findControlToken } from "../../mesh/auth/control-token.js";
import { edgeConfig } from "../../mesh/http/edge-options.js";
import { toBusOptions } from "../../mesh/process/bus-config.js";
import { type ConfigOf, readConfig } from "../../mesh/process/config.js";
import type { Logger } from "../../mesh/process/log.js";
import { BUS_OPTIONS, EDGE_OPTIONS, OPTIONS, pick } from "../../mesh/process/options.js";
import type { ManagerServiceOptions } from "./service.js";

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
  "jobHistory",
  "showPayloads",
  "jobEvents",
  "graceMs",
]);

export type ManagerConfig = ConfigOf<typeof MANAGER_OPTIONS>;

/** Where a manager listens unless told otherwise. */
export const MANAGER_LISTEN = { host: "127.0.0.1", port: 8080 } as const;

/** With a policy one caller may hold this part of what is parked: the others find room. */
const SHARE_WITH_POLICY = 0.5;

/** @throws PoolError `invalid_argument` listing every mistake */
export function readManagerConfig(
  env: Readonly<Record<string, string | undefined>>,
  flags: Readonly<Record<string, string | undefined>>,
): ManagerConfig {
  return readConfig(MANAGER_OPTIONS, env, flags, OPTIONS);
}

/** A configuration as options of the service. */
export function toManagerOptions(config: ManagerConfig, log: Logger): ManagerServiceOptions {
  const { pools, id, timeoutMs, acceptTimeoutMs, parkedLimit, parkedBytesLimit } = config;
  const { maxPools, maxWorkers, bare, durable, graceMs, prefix, policyFile } = config;
  const { jobHistory, showPayloads, jobEvents } = config;
  const controlToken = policyFile === undefined ? findControlToken(process.env, config.controlToken, log) : undefined;
  return {
    ...edgeConfig({ ...config, controlToken }, MANAGER_LISTEN),
    ...{
      timeoutMs,
      acceptTimeoutMs,
      parkedLimit,
      parkedBytesLimit,
      maxPools,
      maxWorkers,
      bare,
      durable,
      graceMs,
      prefix,
    },
    ...{ jobHistory, showPayloads, jobEvents },
    clientShare: config.clientShare ?? (policyFile === undefined ? 1 : SHARE_WITH_POLICY),
    bus: toBusOptions(config),
    ...(pools === undefined ? {} : { pools }),
    ...(id === undefined ? {} : { id }),
  };
}
