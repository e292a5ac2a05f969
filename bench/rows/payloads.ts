/** The payload part of row 7: how throughput changes with the size of jobs and results. */
import { atLeast, type Comparison, figureOf, type RowResult, type Target } from "../harness/figures/comparison.js";
import { Samples } from "../harness/figures/samples.js";
import { ratio } from "../harness/figures/stats.js";
import type { FleetSpec } from "../harness/processes/fleet.js";
import type { Run } from "../harness/run.js";
import { BARE, CLIENT, CLIENT_2, ECHO_FLEETS, POOLMESH, REQUEST } from "./echo-fleets.js";

const ARMS = [CLIENT, CLIENT_2, POOLMESH, REQUEST, BARE];
/** From here on the bytes are what a job costs. */
const LARGE_BYTES = 2 ** 14;
type Size = readonly [label: string, bytes: number];

const SIZES: readonly Size[] = [
  ["1 B", 1],
  ["1 KiB", 2 ** 10],
  ["16 KiB", 2 ** 14],
  ["128 KiB", 2 ** 17],
  ["512 KiB", 2 ** 19],
];
const WINDOW = 16;

/** Measures it. */
export async function measurePayloads(run: Run): Promise<Pick<RowResult, "comparisons" | "targets">> {
  const samples = new Samples();
  const sizes = run.pick(SIZES.slice(-1), SIZES);
  const specs: FleetSpec[] = ECHO_FLEETS.filter(({ name }) => ARMS.includes(name));
  await run.withSharedFleets(specs, async (fleets) => {
    for (const [label, bytes] of sizes) {
      run.say(`payload ${label}`);
      for (const { caller } of fleets) await caller.ask("closed", { bytes, window: WINDOW, ms: run.pick(20, 300) });
      await run.interleaved(fleets, async ({ name, caller }) => {
        const { jobs, ms } = await caller.ask("closed", { bytes, window: WINDOW, ms: run.pick(50, 800) });
        samples.add(name, label, (jobs / ms) * 1_000);
      });
    }
  });
  const comparison = toComparison(samples, sizes);
  return { comparisons: [comparison], targets: toTargets(comparison, sizes) };
}

function toComparison(samples: Samples, sizes: readonly Size[]): Comparison {
  const conditions = sizes.map(([label]) => label);
  return {
    id: "7-payload",
    title: `Throughput by payload, ${WINDOW} jobs in flight; results are as large as jobs`,
    unit: "jobs/s",
    better: "higher",
    conditions,
    series: samples.series(ARMS, conditions),
    against: REQUEST,
    doesNotShow:
      "A network's bandwidth: every byte crosses loopback four times, and eight times between a Client and its worker, " +
      "since the manager is a process of its own.",
  };
}

function toTargets(comparison: Comparison, sizes: readonly Size[]): Target[] {
  return sizes
    .filter(([, bytes]) => bytes >= LARGE_BYTES)
    .flatMap(([label]) =>
      [CLIENT, POOLMESH].map((arm) => {
        const share = ratio(figureOf(comparison, arm, label), figureOf(comparison, REQUEST, label));
        return atLeast(`${arm} ÷ ${REQUEST}, ${label}`, share, 1);
      }),
    );
}
