/** The meter as a program: configuration in, a running service, an exit code out. */
import { toBusOptions } from "../../mesh/process/bus-config.js";
import { runService } from "../../mesh/process/process.js";
import { METER_LISTEN, readMeterConfig } from "./config.js";
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
    (config, log) => {
      const { id, pools, controlToken, listen, ...rest } = config;
      return new Meter({
        ...rest,
        bus: toBusOptions(config),
        log,
        listen: listen ?? METER_LISTEN,
        ...(id === undefined ? {} : { id }),
        ...(pools === undefined ? {} : { pools }),
        ...(controlToken === undefined ? {} : { controlToken }),
      });
    },
  );
}
