/**
 * One service as a process of its own: `service-process.ts worker|manager|meter`,
 * configured by environment as the command is.
 *
 * The manager tells the history what it hears; the worker's handler does so itself.
 */
import { HISTORY_VARIABLE, History } from "../history.js";

/** The sources, or dist/ where scripts/test.sh has just built it: that starts sooner. */
const PRODUCT = new URL(process.env.TEST_BUILT_DIST === "1" ? "../../../dist/" : "../../../", import.meta.url);

function load<M>(file: string): Promise<M> {
  return import(new URL(file, PRODUCT).href) as Promise<M>;
}

async function runWorker(): Promise<number> {
  const { main } = await load<typeof import("../../../services/worker/main.js")>("services/worker/main.js");
  return main({});
}

async function runMeter(): Promise<number> {
  const { main } = await load<typeof import("../../../services/meter/main.js")>("services/meter/main.js");
  return main({});
}

async function runManager(): Promise<number> {
  const history = new History(process.env[HISTORY_VARIABLE] ?? "/dev/null");
  const { main } = await load<typeof import("../../../services/manager/main.js")>("services/manager/main.js");
  return main(
    {},
    { jobStart: ({ id, attemptNumber: attempt, worker }) => history.add({ kind: "accepted", id, attempt, worker }) },
  );
}

const MAINS = { worker: runWorker, meter: runMeter, manager: runManager };

// However the scenario ends, nothing of it stays.
const parent = process.ppid;
setInterval(() => process.ppid !== parent && process.exit(1), 1_000).unref();

process.exit(await MAINS[process.argv[2] as keyof typeof MAINS]());
