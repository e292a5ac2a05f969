/** The worker as a program. */
import { readConfig } from "../../mesh/config.js";
import { createLog } from "../../mesh/log.js";
import { OPTIONS } from "../../mesh/options.js";
import { exitCodeOf, runProcess } from "../../mesh/process.js";
import { toWorkerOptions, WORKER_CONFIG } from "./config.js";
import { Worker } from "./worker.js";

/**
 * Runs a worker until it is told to stop.
 *
 * @param flags option name → text, as the command line gave it
 * @returns the exit code: 0 stopped as asked or drained, 1 failed, 78 configuration
 */
export async function main(flags: Readonly<Record<string, string | undefined>>): Promise<number> {
  const color = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
  try {
    const config = readConfig(WORKER_CONFIG, process.env, flags, OPTIONS);
    const log = createLog("worker", config.logLevel, color);
    return await runProcess(new Worker(toWorkerOptions(config, log)), log);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return exitCodeOf(error);
  }
}
