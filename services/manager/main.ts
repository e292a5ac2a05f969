/** The manager as a program: configuration in, a running service, an exit code out. */

import { toBusOptions } from "../../mesh/bus-config.js";
import { createLog } from "../../mesh/log.js";
import { exitCodeOf, runProcess } from "../../mesh/process.js";
import { MANAGER_LISTEN, readManagerConfig } from "./config.js";
import type { ManagerHooks } from "./pool.js";
import { ManagerService } from "./service.js";

/**
 * Runs until stopped.
 *
 * @param flags option name → text, as the command line gave it
 * @param hooks for a program that runs the service and listens to it
 * @returns the exit code
 */
export async function main(
  flags: Readonly<Record<string, string | undefined>>,
  hooks: ManagerHooks = {},
): Promise<number> {
  try {
    const config = readManagerConfig(process.env, flags);
    const log = createLog("manager", config.logLevel, process.stdout.isTTY);
    const { pools, id, allowedHosts, logLevel: _logLevel, listen, ...rest } = config;
    const service = new ManagerService({
      ...rest,
      bus: toBusOptions(config),
      log,
      listen: listen ?? MANAGER_LISTEN,
      allowedHosts,
      hooks,
      ...(pools === undefined ? {} : { pools }),
      ...(id === undefined ? {} : { id }),
    });
    return await runProcess(service, log, () => log.info({ url: service.url, id: service.id }, "ready"));
  } catch (error) {
    process.stderr.write(`poolmesh manager: ${error instanceof Error ? error.message : String(error)}\n`);
    return exitCodeOf(error);
  }
}
