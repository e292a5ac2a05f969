/** The meter as a program: configuration in, a running service, an exit code out. */
import { findControlToken } from "../../mesh/auth/control-token.js";
import { edgeConfig } from "../../mesh/http/edge-options.js";
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
      const { id, pools, prefix, maxPools, maxWorkers } = config;
      const needsToken = config.control && config.policyFile === undefined;
      const controlToken = needsToken ? findControlToken(process.env, config.controlToken, log) : undefined;
      return new Meter({
        ...edgeConfig({ ...config, controlToken }, METER_LISTEN),
        ...{ prefix, maxPools, maxWorkers, control: config.control, log },
        bus: toBusOptions(config),
        ...(id === undefined ? {} : { id }),
        ...(pools === undefined ? {} : { pools }),
      });
    },
  );
}
