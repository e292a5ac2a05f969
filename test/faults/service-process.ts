/**
 * One service as a process of its own: `service-process.ts worker|manager|meter`,
 * configured by environment as the command is.
 *
 * The manager tells the history what it hears; the worker's handler does so itself.
 */
import { toBusOptions } from "../../mesh/bus-config.js";
import { createLog } from "../../mesh/log.js";
import { runProcess } from "../../mesh/process.js";
import { readManagerConfig } from "../../services/manager/config.js";
import { ManagerService } from "../../services/manager/service.js";
import { main as runMeter } from "../../services/meter/main.js";
import { main as runWorker } from "../../services/worker/main.js";
import { HISTORY_VARIABLE, History } from "./history.js";

async function runManager(): Promise<number> {
  const history = new History(process.env[HISTORY_VARIABLE] ?? "/dev/null");
  const { pools: _pools, id, logLevel, listen, ...config } = readManagerConfig(process.env, {});
  const log = createLog("manager", logLevel);
  const service = new ManagerService({
    ...config,
    bus: toBusOptions({ ...config, logLevel } as Parameters<typeof toBusOptions>[0]),
    log,
    listen: listen ?? { host: "127.0.0.1", port: 0 },
    ...(id === undefined ? {} : { id }),
    hooks: {
      jobStart: ({ id: job, attempt, worker }) => history.add({ kind: "accepted", id: job, attempt, worker }),
    },
  });
  return runProcess(service, log, () => log.info({ url: service.url, id: service.id }, "ready"));
}

const MAINS = { worker: () => runWorker({}), meter: () => runMeter({}), manager: runManager };

process.exit(await MAINS[process.argv[2] as keyof typeof MAINS]());
