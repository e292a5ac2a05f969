/** The worker as a program: configuration in, a running worker, an exit code out. */
import { readConfig } from "../../mesh/process/config.js";
import { OPTIONS } from "../../mesh/process/options.js";
import { runService } from "../../mesh/process/process.js";
import { toWorkerOptions, WORKER_CONFIG } from "./config.js";
import { Worker } from "./worker.js";

/**
 * Runs a worker until it is told to stop.
 *
 * @param flags option name → text, as the command line gave it
 * @returns the exit code: 0 stopped as asked or drained, 1 failed, 78 configuration
 */
export function main(flags: Readonly<Record<string, string | undefined>>): Promise<number> {
  return runService(
    "worker",
    () => readConfig(WORKER_CONFIG, process.env, flags, OPTIONS),
    (config, log) => new Worker(toWorkerOptions(config, log)),
  );
}
