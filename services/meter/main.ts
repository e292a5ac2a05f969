/** The meter as a program: configuration in, a running service, an exit code out. */
import { toBusOptions } from "../../mesh/bus-config.js";
import { createLog } from "../../mesh/log.js";
import { exitCodeOf, runProcess } from "../../mesh/process.js";
import { METER_LISTEN, readMeterConfig } from "./config.js";
import { Meter } from "./meter.js";

/**
 * Runs until stopped.
 *
 * @param flags option name → text, as the command line gave it
 * @returns the exit code
 */
export async function main(flags: Readonly<Record<string, string | undefined>>): Promise<number> {
  try {
    const config = readMeterConfig(process.env, flags);
    const color = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
    const log = createLog("meter", config.logLevel, color);
    const { id, pools, controlToken, listen, ...rest } = config;
    const meter = new Meter({
      ...rest,
      bus: toBusOptions(config),
      log,
      listen: listen ?? METER_LISTEN,
      ...(id === undefined ? {} : { id }),
      ...(pools === undefined ? {} : { pools }),
      ...(controlToken === undefined ? {} : { controlToken }),
    });
    return await runProcess(meter, log, () => log.info({ url: meter.url, id: meter.id }, "ready"));
  } catch (error) {
    process.stderr.write(`poolmesh meter: ${error instanceof Error ? error.message : String(error)}\n`);
    return exitCodeOf(error);
  }
}
