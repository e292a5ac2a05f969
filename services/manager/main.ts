/** The manager as a program: configuration in, a running service, an exit code out. */
import { findControlToken } from "../../mesh/auth/control-token.js";
import { edgeConfig } from "../../mesh/http/edge-options.js";
import { toBusOptions } from "../../mesh/process/bus-config.js";
import type { Logger } from "../../mesh/process/log.js";
import { runService } from "../../mesh/process/process.js";
import { MANAGER_LISTEN, type ManagerConfig, readManagerConfig } from "./config.js";
import type { ManagerHooks } from "./pool/pool-settings.js";
import { ManagerService, type ManagerServiceOptions } from "./service.js";

/** With a policy one caller may hold this part of what is parked: the others find room. */
const SHARE_WITH_POLICY = 0.5;

/**
 * Runs until stopped.
 *
 * @param flags option name → text, as the command line gave it
 * @param hooks for a program that runs the service and listens to it
 * @returns the exit code
 */
export function main(flags: Readonly<Record<string, string | undefined>>, hooks: ManagerHooks = {}): Promise<number> {
  return runService(
    "manager",
    () => readManagerConfig(process.env, flags),
    (config, log) => new ManagerService({ ...toServiceOptions(config, log), hooks, log }),
  );
}

function toServiceOptions(config: ManagerConfig, log: Logger): ManagerServiceOptions {
  const { pools, id, timeoutMs, acceptTimeoutMs, parkedLimit, parkedBytesLimit } = config;
  const { maxPools, maxWorkers, bare, durable, graceMs, prefix, policyFile } = config;
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
    clientShare: config.clientShare ?? (policyFile === undefined ? 1 : SHARE_WITH_POLICY),
    bus: toBusOptions(config),
    ...(pools === undefined ? {} : { pools }),
    ...(id === undefined ? {} : { id }),
  };
}
