/**
 * The demo: a whole mesh on this machine digests every file of node_modules.
 *
 * Real processes, real input: `poolmesh up` with workers whose threads compute
 * SHA-256 and gzip sizes, a light client that submits a job for every few files,
 * the meter for utilization, and `sha256sum` to check a sample. Ends by itself; exit
 * code 1 when a job failed or a digest differs.
 */
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { Output } from "../../cli/output/output.js";
import { ProgressDisplay } from "../../cli/output/progress-display.js";
import { Client } from "../../index.js";
import { checkDigests } from "./check-digests.js";
import { evenly, FILES_PER_JOB, type InputFile, inGroups, listFiles } from "./list-files.js";
import { MeshProcess, type Ready } from "./mesh-process.js";
import { summaryLines } from "./summary.js";
import { Tally } from "./tally.js";
import { type Utilization, UtilizationSampler } from "./utilization.js";

const POOL = "digest";
const WORKERS = 2;
/** Above this, files are taken evenly from all of them, so that the demo stays under a minute. */
const MAX_FILES = 24_000;
const SAMPLE = 250;
/** A group of large files may take long on a slow machine, and the time counts from its submission. */
const JOB_TIMEOUT_MS = 600_000;
/** Jobs for each slot until its thread has loaded for sure: the first one, and one behind it. */
const WARM_UP_JOBS = 2;
const INTERRUPTED = 130;
const HANDLER = fileURLToPath(new URL("../handlers/digest.ts", import.meta.url));
const INPUT = fileURLToPath(new URL("../../node_modules", import.meta.url));

const out = new Output(process.stdout, process.env);
const screen = new Output(process.stderr, process.env);
const abort = new AbortController();
process.on("SIGINT", () => abort.abort());
process.on("SIGTERM", () => abort.abort());
process.exitCode = await main();

async function main(): Promise<number> {
  const slots = Math.max(2, Math.ceil(availableParallelism() / WORKERS));
  const mesh = new MeshProcess([
    ...["--pool", POOL, "--handler", HANDLER, "--isolation", "thread"],
    ...["--workers", String(WORKERS), "--slots", String(slots)],
  ]);
  try {
    say("starting a broker, a manager, a meter and two workers");
    const ready = await mesh.ready(abort.signal);
    say(`manager ${ready.manager}   meter and live page ${ready.meter}/`);
    const run = await digestAll(ready, await chooseFiles());
    if (abort.signal.aborted) return INTERRUPTED;
    return await report(run, ready.slots);
  } catch (error) {
    if (abort.signal.aborted) return INTERRUPTED;
    say(error instanceof Error ? error.message : String(error));
    return 1;
  } finally {
    await mesh.stop();
  }
}

async function chooseFiles(): Promise<InputFile[]> {
  const all = await listFiles(INPUT);
  const files = evenly(all, MAX_FILES);
  const some = files.length < all.length ? ` of ${all.length}, taken evenly` : "";
  say(`${files.length} files${some}, ${FILES_PER_JOB} a job`);
  return files;
}

interface Run {
  readonly tally: Tally;
  readonly elapsedMs: number;
  readonly utilization: Utilization;
}

async function digestAll(ready: Ready, files: readonly InputFile[]): Promise<Run> {
  const sampler = new UtilizationSampler(ready.meter, POOL);
  const bar = new ProgressDisplay(screen, "digest");
  const tally = new Tally();
  const client = await Client.connect({ pool: POOL, servers: ready.nats });
  const begunAt = performance.now();
  sampler.start();
  const jobs = inGroups(files).map((group) => JSON.stringify(group.map(({ path }) => path)));
  bar.start(jobs.length);
  try {
    for await (const outcome of client.submitMany(jobs, {
      window: 8 * ready.slots,
      timeoutMs: JOB_TIMEOUT_MS,
      signal: abort.signal,
    })) {
      tally.add(outcome);
      if (tally.jobs >= WARM_UP_JOBS * ready.slots) sampler.warm();
      bar.add(outcome.ok);
    }
    return { tally, elapsedMs: performance.now() - begunAt, utilization: sampler.stop() };
  } finally {
    sampler.stop();
    bar.stop();
    await client.close();
  }
}

/** Checks a sample, prints the summary, and gives the exit code. */
async function report(run: Run, slots: number): Promise<number> {
  const check = await checkDigests(evenly(run.tally.digests, SAMPLE));
  for (const line of summaryLines({ ...run, slots, check, style: out.style.bind(out) })) await out.line(line);
  return run.tally.failures.length + check.different.length > 0 ? 1 : 0;
}

function say(text: string): void {
  void screen.line(`${screen.style("cyan", "demo:")} ${text}`);
}
