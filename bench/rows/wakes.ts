/** Row 10: how often the processes of a mesh are woken: for a job under a light load, and in a second without any job. */
import { setTimeout as delay } from "node:timers/promises";
import { atMost, type Comparison, figureOf, type Target } from "../harness/figures/comparison.js";
import { exponential, seededRandom } from "../harness/figures/random.js";
import { Samples } from "../harness/figures/samples.js";
import type { Arrival } from "../harness/loops/replay.js";
import { Agent } from "../harness/processes/agent.js";
import type { Fleet, FleetSpec } from "../harness/processes/fleet.js";
import { wakesOf } from "../harness/processes/wakes.js";
import type { Row, Run } from "../harness/run.js";

type Meter = Agent<typeof import("../agents/meter.js")>;

const PER_SECOND = 200;
const SERVICE_MS = 5;
const SEED = 20_261_129;
const [WORKER, MANAGER, METER] = ["worker", "manager", "meter"];
const PARTS = [WORKER, MANAGER, METER];
const LOADED = `${PER_SECOND} jobs/s, for a job`;
const IDLE = "idle, in a second";
/** The timers of a load go on for a second or two after its last job. */
const SETTLE_MS = 3_000;
const MOST: Readonly<Record<string, readonly [loaded: number, idle: number]>> = {
  [WORKER]: [3, 3],
  [MANAGER]: [2, 3],
  [METER]: [0.3, 3],
};
const SPEC: FleetSpec = {
  name: "Poolmesh Client, 1 manager",
  arm: "client",
  over: "nats",
  workers: 1,
  managers: 1,
  slots: 64,
  work: "timed",
};

/** The row. */
export const wakes: Row = {
  number: 10,
  title: "Wakes",
  measure: (run) => run.withFleets([SPEC], ([fleet]) => measure(run, fleet as Fleet)),
};

async function measure(run: Run, fleet: Fleet) {
  const samples = new Samples();
  const meter: Meter = await Agent.start("meter");
  try {
    await meter.ask("start", fleet.place.servers, [fleet.place.group]);
    for (let round = 0; round < run.extent.rounds; round += 1) {
      run.say(`wakes, round ${round + 1}`);
      await measureRound(run, fleet, meter, round, samples);
    }
  } finally {
    await meter.ask("stop").catch(() => undefined);
    await meter.stop();
  }
  const comparison = toComparison(samples);
  return { comparisons: [comparison], targets: run.extent.quick ? [] : toTargets(comparison) };
}

async function measureRound(run: Run, fleet: Fleet, meter: Meter, round: number, samples: Samples): Promise<void> {
  const pids = pidsOf(fleet, meter);
  const trace = makeLightTrace(run.pick(20, 4 * PER_SECOND), SEED + round);
  const add = async (condition: string, units: number, work: () => Promise<unknown>): Promise<void> => {
    const before = pids.map(wakesOf);
    await work();
    const after = pids.map(wakesOf);
    for (const [i, part] of PARTS.entries()) {
      samples.add(part, condition, ((after[i] as number) - (before[i] as number)) / units);
    }
  };
  await add(LOADED, trace.length, () => fleet.caller.ask("trace", trace));
  await delay(run.pick(100, SETTLE_MS));
  const idleMs = run.pick(200, 5_000);
  await add(IDLE, idleMs / 1_000, () => delay(idleMs));
}

function pidsOf({ pids }: Fleet, meter: Meter): number[] {
  return [...pids.workers, ...pids.managers, meter.pid];
}

/** Jobs at random instants, {@link PER_SECOND} of them a second. */
function makeLightTrace(jobs: number, seed: number): Arrival[] {
  const random = seededRandom(seed);
  let atMs = 0;
  return Array.from({ length: jobs }, () => {
    atMs += exponential(random, 1_000 / PER_SECOND);
    return { atMs, serviceMs: SERVICE_MS };
  });
}

function toComparison(samples: Samples): Comparison {
  const conditions = [LOADED, IDLE];
  return {
    id: "10-wakes",
    title: `Wakes of a process, with ${PER_SECOND} jobs of ${SERVICE_MS} ms a second and without any job`,
    unit: "wakes",
    better: "lower",
    conditions,
    series: samples.series(PARTS, conditions),
    doesNotShow:
      "Wakes of other threads than the main one. Linux only: voluntary context switches of the main thread. On a busy machine a process " +
      "finds more work at each wake, so the figures are lower there. One worker, one manager, one meter that nobody reads.",
    chart: false,
  };
}

function toTargets(comparison: Comparison): Target[] {
  return PARTS.flatMap((part) => {
    const [loaded, idle] = MOST[part] as readonly [number, number];
    return [
      atMost(`wakes of the ${part}, ${LOADED}`, figureOf(comparison, part, LOADED), loaded, ""),
      atMost(`wakes of the ${part}, ${IDLE}`, figureOf(comparison, part, IDLE), idle, ""),
    ];
  });
}
