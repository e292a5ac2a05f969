/** Row 8: jobs that compute, in threads and in processes, over cores. */
import { availableParallelism } from "node:os";
import { atLeast, type Comparison, figureOf, type Target } from "../harness/figures/comparison.js";
import { slotsText } from "../harness/figures/numbers.js";
import { Samples } from "../harness/figures/samples.js";
import { ratio } from "../harness/figures/stats.js";
import type { FleetSpec } from "../harness/processes/fleet.js";
import type { Row, Run } from "../harness/run.js";

const PISCINA = "piscina alone";
const CLIENT_THREADS = "Poolmesh Client, threads";
const CLIENT_PROCESSES = "Poolmesh Client, processes";
const THREADS = "Poolmesh embedded, threads";
const PROCESSES = "Poolmesh embedded, processes";
const OURS = [CLIENT_THREADS, CLIENT_PROCESSES, THREADS, PROCESSES];
const ARMS = [...OURS, PISCINA];
/** Jobs in flight for each slot, so that a slot that gets free finds the next. */
const WINDOW_PER_SLOT = 3;
/** Lengths of the jobs, in units of about ten milliseconds; a unit is a byte of the payload. */
const LENGTHS = [1, 5];
/** What share of piscina's work is wanted, by the length. */
const LEAST: Readonly<Record<number, number>> = { 1: 0.95, 5: 0.9 };

/** The row. */
export const computing: Row = {
  number: 8,
  title: "Jobs that compute",
  async measure(run) {
    const samples = new Samples();
    const counts = [...new Set(run.pick([1], [1, availableParallelism()]))];
    for (const slots of counts) await measureSlots(run, slots, samples);
    const comparison = toComparison(
      samples,
      counts.flatMap((slots) => LENGTHS.map((length) => labelOf(slots, length))),
    );
    return { comparisons: [comparison], targets: run.extent.quick ? [] : toTargets(comparison, counts) };
  },
};

async function measureSlots(run: Run, slots: number, samples: Samples): Promise<void> {
  run.say(slotsText(slots));
  const base = { workers: 1, slots, work: "timed" } as const;
  const specs: FleetSpec[] = [
    { ...base, name: PISCINA, arm: "piscina", over: "none", workers: 0 },
    { ...base, name: CLIENT_THREADS, arm: "client-threads", over: "nats", managers: 1 },
    { ...base, name: CLIENT_PROCESSES, arm: "client-processes", over: "nats", managers: 1 },
    { ...base, name: THREADS, arm: "poolmesh-threads", over: "nats" },
    { ...base, name: PROCESSES, arm: "poolmesh-processes", over: "nats" },
  ];
  await run.withFleets(specs, async (fleets) => {
    const window = WINDOW_PER_SLOT * slots;
    for (const { caller } of fleets) await caller.ask("closed", { bytes: 1, window, ms: run.pick(50, 1_500) });
    for (const bytes of LENGTHS) {
      await run.interleaved(fleets, async ({ name, caller }) => {
        const { jobs, ms } = await caller.ask("closed", { bytes, window, ms: run.pick(50, 2_000) });
        samples.add(name, labelOf(slots, bytes), (jobs / ms) * 1_000);
      });
    }
  });
}

function toComparison(samples: Samples, conditions: readonly string[]): Comparison {
  return {
    id: "8-computing",
    title: "Jobs that compute for about ten and fifty milliseconds",
    unit: "jobs/s",
    better: "higher",
    conditions,
    series: samples.series(ARMS, conditions),
    against: PISCINA,
    doesNotShow:
      "More than one machine, which piscina alone cannot use. With as many threads as cores, broker, manager and worker " +
      "take their part of the same cores.",
  };
}

function toTargets(comparison: Comparison, counts: readonly number[]): Target[] {
  const conditions = counts.flatMap((slots) =>
    LENGTHS.map((length) => [labelOf(slots, length), LEAST[length]] as const),
  );
  return conditions.flatMap(([condition, least = 0]) =>
    OURS.map((arm) => {
      const share = ratio(figureOf(comparison, arm, condition), figureOf(comparison, PISCINA, condition));
      return atLeast(`${arm} ÷ ${PISCINA}, ${condition}`, share, least);
    }),
  );
}

function labelOf(slots: number, length: number): string {
  return `${slotsText(slots)}, ${length * 10} ms`;
}
