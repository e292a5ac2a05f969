/**
 * One service as a process of its own: `service-process.ts worker|manager|meter`,
 * configured by environment as the command is.
 *
 * The manager tells the history what it hears; the worker's handler does so itself.
 */
import { HISTORY_VARIABLE, History } from "./history.js";

async function runWorker(): Promise<number> {
  const { main } = await import("../../services/worker/main.js");
  return main({});
}

async function runMeter(): Promise<number> {
  const { main } = await import("../../services/meter/main.js");
  return main({});
}

async function runManager(): Promise<number> {
  const history = new History(process.env[HISTORY_VARIABLE] ?? "/dev/null");
  const { main } = await import("../../services/manager/main.js");
  return main({}, { jobStart: ({ id, attempt, worker }) => history.add({ kind: "accepted", id, attempt, worker }) });
}

const MAINS = { worker: runWorker, meter: runMeter, manager: runManager };

// However the scenario ends, nothing of it stays.
const parent = process.ppid;
setInterval(() => process.ppid !== parent && process.exit(1), 1_000).unref();

process.exit(await MAINS[process.argv[2] as keyof typeof MAINS]());
