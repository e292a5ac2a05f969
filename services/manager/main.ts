/** The manager as a program: configuration in, a running service, an exit code out. */
import { runService } from "../../mesh/process/process.js";
import { readManagerConfig, toManagerOptions } from "./config.js";
import type { ManagerHooks } from "./pool/pool-settings.js";
import { ManagerService } from "./service.js";

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
    (config, log) => new ManagerService({ ...toManagerOptions(config, log), hooks, log }),
  );
}
