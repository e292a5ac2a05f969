/** Row 1: throughput of empty jobs with a number of them always in flight, and the processor time of each. */
import { atLeast, type Comparison, figureOf, hasArm, type Target } from "../harness/figures/comparison.js";
import { Samples } from "../harness/figures/samples.js";
import { type Figure, ratio } from "../harness/figures/stats.js";
import type { Fleet } from "../harness/processes/fleet.js";
import type { Row, Run } from "../harness/run.js";
import {
  BARE,
  BARE_2,
  BARE_HEADERS,
  BULLMQ,
  BULLMQ_BULK,
  CLIENT,
  CLIENT_2,
  ECHO_FLEETS,
  MOLECULER,
  NESTJS,
  PAYLOAD_BYTES,
  POOLMESH,
  POOLMESH_2,
  REQUEST,
} from "./echo-fleets.js";

const WINDOWS = [1, 16, 128, 1_024];
const ARMS = [
  ...[CLIENT, CLIENT_2, POOLMESH, POOLMESH_2, BARE, BARE_2, BARE_HEADERS],
  ...[REQUEST, MOLECULER, NESTJS, BULLMQ, BULLMQ_BULK],
];
const PROCESSES = ["caller", "managers", "workers", "broker"] as const;
/** Where processor time is compared. */
const CPU_WINDOW = 128;

interface Lane {
  readonly fleet: Fleet;
  readonly arm: string;
  readonly bulk: boolean;
}

/** The row. */
export const throughput: Row = {
  number: 1,
  title: "Throughput of empty jobs",
  measure: (run) => run.withSharedFleets(ECHO_FLEETS, (fleets) => measure(run, fleets)),
};

async function measure(run: Run, fleets: readonly Fleet[]) {
  const windows = run.pick(WINDOWS.slice(0, 2), WINDOWS);
  const rates = new Samples();
  const cpu = new Samples();
  const lanes = fleets.flatMap((fleet): Lane[] => {
    const lane = { fleet, arm: fleet.name, bulk: false };
    return fleet.name === BULLMQ ? [lane, { ...lane, arm: BULLMQ_BULK, bulk: true }] : [lane];
  });
  await warmUp(run, lanes);
  for (const window of windows) {
    run.say(`window ${window}`);
    await run.interleaved(
      lanes.filter(({ bulk }) => !bulk || window > 1),
      (lane) => measureLane(run, lane, window, rates, cpu),
    );
  }
  const comparison = toRates(rates, windows);
  return {
    comparisons: [comparison, toCpu(cpu, windows)],
    targets: run.extent.quick ? [] : toTargets(comparison, windows),
  };
}

async function warmUp(run: Run, lanes: readonly Lane[]): Promise<void> {
  for (const { fleet, bulk } of lanes) {
    await fleet.caller.ask("closed", { bytes: PAYLOAD_BYTES, window: 64, ms: run.pick(20, 2_000), bulk });
  }
}

async function measureLane(
  run: Run,
  { fleet, arm, bulk }: Lane,
  window: number,
  rates: Samples,
  cpu: Samples,
): Promise<void> {
  const before = await fleet.cpuUs();
  const loop = await fleet.caller.ask("closed", { bytes: PAYLOAD_BYTES, window, ms: run.pick(50, 1_000), bulk });
  const after = await fleet.cpuUs();
  rates.add(arm, label(window), (loop.jobs / loop.ms) * 1_000);
  if (window !== CPU_WINDOW && !run.extent.quick) return;
  cpu.add(arm, "caller", loop.cpuUs / loop.jobs);
  cpu.add(arm, "workers", (after.workers - before.workers) / loop.jobs);
  cpu.add(arm, "managers", (after.managers - before.managers) / loop.jobs);
  cpu.add(arm, "broker", (after.broker - before.broker) / loop.jobs);
}

function toRates(rates: Samples, windows: readonly number[]): Comparison {
  return {
    id: "1-throughput",
    title: "Empty jobs of 128 bytes, by number in flight",
    unit: "jobs/s",
    better: "higher",
    conditions: windows.map(label),
    series: rates.series(ARMS, windows.map(label)),
    against: BARE,
    doesNotShow:
      "Jobs that do something: with work of a millisecond or more all arms are limited by the work. A Client's jobs go " +
      "over managers that are services of their own; an embedded manager is in the caller's process. The bare loop has " +
      "no timeout and no errors, knows no busy workers, and loses jobs silently. With headers as long as Poolmesh's, " +
      "which it does not read, it shows the least that such headers cost. BullMQ stores every job, " +
      "which the others do not; its Redis runs without persistence. Moleculer, NestJS and BullMQ carry JSON.",
  };
}

function toCpu(cpu: Samples, windows: readonly number[]): Comparison {
  const at = windows.includes(CPU_WINDOW) ? CPU_WINDOW : "any number of";
  return {
    id: "1-cpu",
    title: `Processor time of one empty job, ${at} in flight`,
    unit: "µs",
    better: "lower",
    conditions: PROCESSES,
    series: cpu.series(ARMS, PROCESSES),
    doesNotShow:
      "Time that the kernel spends for a process after it has slept. The broker's share comes in steps of 10 ms.",
  };
}

type Ratio = readonly [over: string, under: string, least: number];

/** What is to be at least how many times what, with many in flight. */
const RATIOS: readonly Ratio[] = [
  [CLIENT, BARE, 0.5],
  [CLIENT, REQUEST, 1.5],
  [CLIENT_2, CLIENT, 0.9],
  [POOLMESH, BARE, 0.75],
  [POOLMESH_2, BARE_2, 0.75],
  [POOLMESH, REQUEST, 2.5],
  [POOLMESH, MOLECULER, 2],
  [POOLMESH, BULLMQ, 10],
];
const FEW_WINDOW = 16;
/** The same with few in flight. */
const FEW_RATIOS: readonly Ratio[] = [[POOLMESH_2, BARE_2, 0.75]];

function toTargets(rates: Comparison, windows: readonly number[]): Target[] {
  return windows.flatMap((window) =>
    ratiosAt(window)
      .filter(([over, under]) => hasArm(rates, over) && hasArm(rates, under))
      .map(([over, under, least]) => {
        const figures = [over, under].map((arm) => figureOf(rates, arm, label(window))) as [Figure, Figure];
        return atLeast(`${over} ÷ ${under}, window ${window}`, ratio(...figures), least);
      }),
  );
}

function ratiosAt(window: number): readonly Ratio[] {
  if (window >= CPU_WINDOW) return RATIOS;
  return window === FEW_WINDOW ? FEW_RATIOS : [];
}

function label(window: number): string {
  return `window ${window}`;
}
