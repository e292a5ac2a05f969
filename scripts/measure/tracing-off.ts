/**
 * What tracing costs while no SDK of OpenTelemetry is registered: processor time a job, with the checks and without.
 *
 * `node --import tsx scripts/measure/tracing-off.ts [--rounds 200] [--jobs 500]`, after `node scripts/build.js`.
 *
 * Three copies of dist/ run in one process, each with a manager and a worker of its own: `with` as it is, `without` with
 * every check taken out, and `hundred` with a hundred checks in the place of each, every one on an object of its own. Their
 * rounds alternate, in an order that changes. A round's figure is processor time of the process, never time on a clock.
 * What is printed is the median of the ratios of rounds that are neighbours, with a 95 % interval from resampling. The
 * checks of one job are far below the noise; those of `hundred` are not, so a hundredth of what they add is the figure.
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
  options: { rounds: { type: "string", default: "200" }, jobs: { type: "string", default: "500" } },
});
const rounds = Number(values.rounds);
const jobsInRound = Number(values.jobs);
const IN_FLIGHT = 128;
const WARM_UP_ROUNDS = 20;
const FACTOR = 100;
const REPORT_AFTER_ROUNDS = 50;
const RESAMPLINGS = 2_000;
const ARMS = ["with", "without", "hundred"] as const;
type Arm = (typeof ARMS)[number];
const ORDERS: readonly (readonly Arm[])[] = [
  ["with", "without", "hundred"],
  ["without", "hundred", "with"],
  ["hundred", "with", "without"],
  ["hundred", "without", "with"],
  ["with", "hundred", "without"],
  ["without", "with", "hundred"],
];

/** The checks that a job may pass: the file, and what stands there. */
const CHECKS: readonly [file: string, check: RegExp][] = [
  ["services/manager/manager.js", /if \(this\.#telemetry !== undefined\)\s+return this\.#submitTraced\([^;]*;/],
  ["services/manager/jobs/totals.js", /this\.observer\?\.taken\(job\);/],
  ["services/manager/jobs/totals.js", /this\.observer\?\.refused\([^;]*;/],
  ["services/manager/jobs/totals.js", /this\.observer\?\.ended\([^;]*;/],
  ["services/manager/jobs/retries.js", /totals\.observer\?\.revoked\([^;]*;/],
  ["services/manager/jobs/dispatcher.js", /this\.#parts\.totals\.observer\?\.parked\([^;]*;/],
  ["services/manager/jobs/dispatcher.js", /this\.#parts\.totals\.observer\?\.accepted\([^;]*;/],
  ["services/manager/pool/sender.js", /this\.#parts\.totals\.observer\?\.sent\([^;]*;/],
];

/** A check as it is in the copy `hundred`: the compiler cannot know that one of these objects is as the others. */
const HUNDRED = "for (const one of globalThis.checkedHere) one.observer?.ended(one);";
Object.assign(globalThis, { checkedHere: Array.from({ length: FACTOR }, () => ({ observer: undefined })) });

const folder = join(packageRoot(), "build", "tracing-off");
const broker = new Broker({ port: "any" });
await broker.start();
const arms = Object.fromEntries(await Promise.all(ARMS.map(async (arm) => [arm, await start(arm)]))) as Record<
  Arm,
  Awaited<ReturnType<typeof start>>
>;
for (let i = 0; i < WARM_UP_ROUNDS; i += 1) for (const arm of ARMS) await microseconds(arm);

const figures: Record<Arm, number[]> = { with: [], without: [], hundred: [] };
console.log(`rounds of ${jobsInRound} jobs for each copy, ${IN_FLIGHT} in flight, Node ${process.version}`);
for (let i = 1; i <= rounds; i += 1) {
  for (const arm of ORDERS[i % ORDERS.length] ?? ARMS) figures[arm].push(await microseconds(arm));
  if (i % REPORT_AFTER_ROUNDS === 0 || i === rounds) report(i);
}

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
  if (arm !== "with") await replaceChecks(copy, arm === "hundred" ? HUNDRED : "");
  const { Manager, Worker } = (await import(pathToFileURL(join(copy, "index.js")).href)) as typeof Poolmesh;
  const pool = `pool-${arm}`;
  const worker = new Worker({ pool, servers: broker.url, slots: IN_FLIGHT, run: () => 1 });
  await worker.start();
  return { manager: await Manager.connect({ pool, servers: broker.url }), worker };
}

async function replaceChecks(copy: string, instead: string): Promise<void> {
  for (const [file, check] of CHECKS) {
    const text = await readFile(join(copy, file), "utf8");
    if (!check.test(text)) throw new Error(`${file} has no ${check}: has the check been moved?`);
    await writeFile(join(copy, file), text.replace(check, instead));
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

function report(done: number): void {
  console.log(`${done} rounds; processor time a job: median ${median(figures.with).toFixed(1)} µs`);
  say("with / without", 1, figures.with, figures.without);
  say(`a hundredth of hundred / with`, FACTOR - 1, figures.hundred, figures.with);
}

/** The median of the ratios of rounds that are neighbours: how much it is above 1, divided by `parts`. */
function say(name: string, parts: number, ones: readonly number[], others: readonly number[]): void {
  const ratios = ones.map((one, i) => 1 + (one / (others[i] as number) - 1) / parts);
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
  return `${ratio >= 1 ? "+" : "−"}${Math.abs((ratio - 1) * 100).toFixed(3)} %`;
}
