/** The manager as a program: configuration in, a running service, an exit code out. */
import { toBusOptions } from "../../mesh/process/bus-config.js";
import { runService } from "../../mesh/process/process.js";
import { MANAGER_LISTEN, type ManagerConfig, readManagerConfig } from "./config.js";
import type { ManagerHooks } from "./pool/pool-settings.js";
import { ManagerService, type ManagerServiceOptions } from "./service.js";

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
    (config, log) => new ManagerService({ ...toServiceOptions(config), hooks, log }),
  );
}

function toServiceOptions(config: ManagerConfig): ManagerServiceOptions {
  const { pools, id, logLevel: _logLevel, listen, ...rest } = config;
  return {
    ...rest,
    bus: toBusOptions(config),
    listen: listen ?? MANAGER_LISTEN,
    ...(pools === undefined ? {} : { pools }),
    ...(id === undefined ? {} : { id }),
  };
}
