/** The meter as a program: configuration in, a running service, an exit code out. */
import { runService } from "../../mesh/process/process.js";
import { readMeterConfig, toMeterOptions } from "./config.js";
import { Meter } from "./meter.js";

/**
 * Runs until stopped.
 *
 * @param flags option name → text, as the command line gave it
 * @returns the exit code
 */
export function main(flags: Readonly<Record<string, string | undefined>>): Promise<number> {
  return runService(
    "meter",
    () => readMeterConfig(process.env, flags),
    (config, log) => new Meter(toMeterOptions(config, log)),
  );
}
