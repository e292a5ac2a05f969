/**
 * What tracing costs while no SDK of OpenTelemetry is registered: processor time a job, with the checks and without.
 *
 * `node --import tsx scripts/measure/tracing-off.ts [--pairs 400] [--jobs 1000]`, after `node scripts/build.js`.
 *
 * Three copies of dist/ run in one process, each with a manager and a worker of its own: `with` as it is, and `without`
 * and `again`, both with every check taken out. Their rounds alternate, in an order that changes. A round's figure is
 * processor time of the process, never time on a clock. What is printed is the median of the ratios of rounds that are
 * neighbours, with a 95 % interval from resampling. The ratio `again / without` shows what noise alone does.
 */
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { Broker } from "../../broker/broker.js";
import type * as Poolmesh from "../../index.js";
import { packageRoot } from "../../mesh/process/identity.js";
import { seededRandom } from "../../test/support/random.js";

const { values } = parseArgs({
  options: { pairs: { type: "string", default: "400" }, jobs: { type: "string", default: "1000" } },
});
const pairs = Number(values.pairs);
const jobsInRound = Number(values.jobs);
const IN_FLIGHT = 128;
const WARM_UP_ROUNDS = 30;
const RESAMPLINGS = 2_000;
const ARMS = ["with", "without", "again"] as const;
type Arm = (typeof ARMS)[number];
const ORDERS: readonly (readonly Arm[])[] = [
  ["with", "without", "again"],
  ["without", "again", "with"],
  ["again", "with", "without"],
  ["again", "without", "with"],
  ["with", "again", "without"],
  ["without", "with", "again"],
];

/** The checks that a job passes: the file, what stands there, and what stands there without tracing and its observers. */
const CHECKS: readonly [file: string, check: RegExp, without: string][] = [
  ["services/manager/manager.js", /if \(this\.#telemetry !== undefined\)\s+return this\.#submitTraced\([^;]*;/, ""],
  ["services/manager/jobs/totals.js", /this\.observer\?\.taken\(job\);/, ""],
  ["services/manager/jobs/totals.js", /this\.observer\?\.refused\([^;]*;/, ""],
  ["services/manager/jobs/totals.js", /this\.observer\?\.ended\([^;]*;/, ""],
  ["services/manager/jobs/retries.js", /totals\.observer\?\.revoked\([^;]*;/, ""],
  ["services/manager/jobs/dispatcher.js", /this\.#parts\.totals\.observer\?\.parked\([^;]*;/, ""],
  ["services/manager/jobs/dispatcher.js", /this\.#parts\.totals\.observer\?\.accepted\([^;]*;/, ""],
  ["services/manager/pool/sender.js", /this\.#parts\.totals\.observer\?\.sent\([^;]*;/, ""],
];

const folder = join(packageRoot(), "build", "tracing-off");
const broker = new Broker({ port: "any" });
await broker.start();
const arms = Object.fromEntries(await Promise.all(ARMS.map(async (arm) => [arm, await start(arm)]))) as Record<
  Arm,
  Awaited<ReturnType<typeof start>>
>;
for (let i = 0; i < WARM_UP_ROUNDS; i += 1) for (const arm of ARMS) await microseconds(arm);

const figures: Record<Arm, number[]> = { with: [], without: [], again: [] };
for (let i = 0; i < pairs; i += 1) {
  for (const arm of ORDERS[i % ORDERS.length] ?? ARMS) figures[arm].push(await microseconds(arm));
}
console.log(`${pairs} rounds of ${jobsInRound} jobs for each copy, ${IN_FLIGHT} in flight, Node ${process.version}`);
console.log(`processor time a job: median ${median(figures.with).toFixed(2)} µs`);
report("with / without", figures.with, figures.without);
report("again / without", figures.again, figures.without);

for (const { manager, worker } of Object.values(arms)) {
  await manager.close();
  await worker.stop();
}
await broker.stop();
await rm(folder, { recursive: true, force: true });

async function start(arm: Arm): Promise<{ manager: Poolmesh.Manager; worker: Poolmesh.Worker }> {
  const copy = join(folder, arm);
  await rm(copy, { recursive: true, force: true });
  await mkdir(copy, { recursive: true });
  await cp(join(packageRoot(), "dist"), copy, { recursive: true });
  await cp(join(packageRoot(), "package.json"), join(copy, "package.json"));
  if (arm !== "with") await takeChecksOut(copy);
  const { Manager, Worker } = (await import(pathToFileURL(join(copy, "index.js")).href)) as typeof Poolmesh;
  const pool = `pool-${arm}`;
  const worker = new Worker({ pool, servers: broker.url, slots: IN_FLIGHT, run: () => 1 });
  await worker.start();
  return { manager: await Manager.connect({ pool, servers: broker.url }), worker };
}

async function takeChecksOut(copy: string): Promise<void> {
  for (const [file, check, without] of CHECKS) {
    const text = await readFile(join(copy, file), "utf8");
    if (!check.test(text)) throw new Error(`${file} has no ${check}: has the check been moved?`);
    await writeFile(join(copy, file), text.replace(check, without));
  }
}

/** Processor time of one job in a round of its own, in microseconds. */
async function microseconds(arm: Arm): Promise<number> {
  const { manager } = arms[arm];
  let left = jobsInRound;
  const caller = async (): Promise<void> => {
    while (left-- > 0) await manager.submit("1");
  };
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: IN_FLIGHT }, caller));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / jobsInRound;
}

/** The median of the ratios of rounds that are neighbours, in percent above 1. */
function report(name: string, ones: readonly number[], others: readonly number[]): void {
  const ratios = ones.map((one, i) => one / (others[i] as number));
  const random = seededRandom(1);
  const medians = Array.from({ length: RESAMPLINGS }, () =>
    median(ratios.map(() => ratios[Math.floor(random() * ratios.length)] as number)),
  ).sort((a, b) => a - b);
  const [low = 0, high = 0] = [medians[RESAMPLINGS * 0.025], medians[RESAMPLINGS * 0.975 - 1]];
  console.log(`${name}: ${percent(median(ratios))} (95 %: ${percent(low)} to ${percent(high)})`);
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

function percent(ratio: number): string {
  return `${ratio >= 1 ? "+" : "−"}${Math.abs((ratio - 1) * 100).toFixed(2)} %`;
}
