/**
 * Prints the files that one job passes through: manager, worker and mesh in one process.
 *
 * Counted by the engine: which functions ran between the submission of a job and
 * its outcome. A file counts when it did so for each of forty quick jobs, so that
 * what a timer does beside them does not. On a busy machine a timer is beside most
 * jobs, so slow ones are passed over.
 *
 * Usage: node --import tsx scripts/job-path.ts [--json]
 */
import { readFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Cluster } from "../broker/cluster.js";
import { json, Manager, Worker } from "../index.js";

const ROOT = pathToFileURL(path.resolve(fileURLToPath(import.meta.url), "../..")).href;
const COUNTED = /^\/(mesh|services)\//;
const JOBS = 40;
/** Between two looks at what ran, in milliseconds: a quick job. */
const QUICK_MS = 20;
const MAX_JOBS = 1_000;
/** Jobs before the first one that is counted: after them the worker is known to be quick, as in a running system. */
const WARM_UP_JOBS = 150;
/** Before a job, in milliseconds: different each time, so that no timer or heartbeat falls into every job. */
const pauseMs = (job: number): number => (job % 2) * ((job * 37) % 150);

/** What ran during one job; undefined when the job was not quick. */
async function filesOf(session: Session, job: () => Promise<unknown>): Promise<Set<string> | undefined> {
  const begunAtMs = performance.now();
  await session.post("Profiler.takePreciseCoverage");
  await job();
  const { result } = await session.post("Profiler.takePreciseCoverage");
  if (performance.now() - begunAtMs > QUICK_MS) return undefined;
  const files = new Set<string>();
  for (const { url, functions } of result) {
    const file = url.slice(ROOT.length).replace(/\?.*$/, "");
    const ran = functions.some(({ ranges }) => (ranges[0]?.count ?? 0) > 0);
    if (ran && url.startsWith(ROOT) && COUNTED.test(file)) files.add(file.slice(1));
  }
  return files;
}

async function pathOfAJob(servers: readonly string[]): Promise<string[]> {
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  const manager = await Manager.connect({ pool: "path", servers: [...servers] });
  await manager.add(new Worker({ pool: "path", slots: 4, run: ({ payload }) => Number(payload) + 1 }));
  const submit = (): Promise<unknown> => manager.submit(json.encode(41));
  try {
    for (let i = 0; i < WARM_UP_JOBS; i += 1) await submit();
    await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
    let common: Set<string> | undefined;
    for (let i = 0, quick = 0; quick < JOBS; i += 1) {
      if (i === MAX_JOBS) throw new Error(`only ${quick} of ${i} jobs were quick`);
      await delay(pauseMs(i));
      const files = await filesOf(session, submit);
      if (files === undefined) continue;
      quick += 1;
      common = new Set([...files].filter((file) => common === undefined || common.has(file)));
    }
    return [...(common ?? [])].sort();
  } finally {
    session.disconnect();
    await manager.close();
  }
}

const cluster = new Cluster(1);
await cluster.start();
try {
  const files = await pathOfAJob(cluster.urls);
  if (process.argv.includes("--json")) console.log(JSON.stringify(files));
  else {
    for (const file of files) {
      const lines = readFileSync(new URL(`${ROOT}/${file}`), "utf8").split("\n").length - 1;
      console.log(`${String(lines).padStart(4)} lines  ${file}`);
    }
    console.log(`${files.length} files`);
  }
} finally {
  await cluster.stop();
}
