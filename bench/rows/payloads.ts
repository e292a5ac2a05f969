/** The payload part of row 7: how throughput changes with the size of jobs and results. */
import type { Comparison } from "../harness/figures/comparison.js";
import { Samples } from "../harness/figures/samples.js";
import type { FleetSpec } from "../harness/processes/fleet.js";
import type { Run } from "../harness/run.js";
import { BARE, ECHO_FLEETS, POOLMESH, REQUEST } from "./echo-fleets.js";

const ARMS = [BARE, POOLMESH, REQUEST];
const SIZES: readonly (readonly [label: string, bytes: number])[] = [
  ["1 B", 1],
  ["1 KiB", 2 ** 10],
  ["16 KiB", 2 ** 14],
  ["128 KiB", 2 ** 17],
  ["512 KiB", 2 ** 19],
];
const WINDOW = 16;

/** Measures it. */
export async function measurePayloads(run: Run): Promise<Comparison[]> {
  const samples = new Samples();
  const sizes = run.pick(SIZES.slice(-1), SIZES);
  const specs: FleetSpec[] = ECHO_FLEETS.filter(({ name }) => ARMS.includes(name));
  await run.withFleets(specs, async (fleets) => {
    for (const [label, bytes] of sizes) {
      run.say(`payload ${label}`);
      for (const { caller } of fleets) await caller.ask("closed", { bytes, window: WINDOW, ms: run.pick(20, 300) });
      await run.interleaved(fleets, async ({ name, caller }) => {
        const { jobs, ms } = await caller.ask("closed", { bytes, window: WINDOW, ms: run.pick(50, 800) });
        samples.add(name, label, (jobs / ms) * 1_000);
      });
    }
  });
  const conditions = sizes.map(([label]) => label);
  return [
    {
      id: "7-payload",
      title: `Throughput by payload, ${WINDOW} jobs in flight; results are as large as jobs`,
      unit: "jobs/s",
      better: "higher",
      conditions,
      series: samples.series(ARMS, conditions),
      against: BARE,
      doesNotShow: "A network's bandwidth: every byte crosses loopback four times.",
    },
  ];
}
