/** Row 3: how long jobs of mixed length wait for a slot, beside one central queue with the same service times. */
import { atLeast, atMost, type Comparison, figureOf, type Target } from "../harness/figures/comparison.js";
import { Samples } from "../harness/figures/samples.js";
import { percentile, ratio } from "../harness/figures/stats.js";
import { makeTrace, waitsOf } from "../harness/loops/replay.js";
import type { Fleet, FleetSpec } from "../harness/processes/fleet.js";
import type { Row, Run } from "../harness/run.js";
import { BULLMQ, CLIENT, CLIENT_2, MOLECULER } from "./echo-fleets.js";

const IDEAL = "ideal central queue";
const POOLMESH = "Poolmesh embedded";
const PLAIN = "plain queue group";
const ARMS = [IDEAL, CLIENT, CLIENT_2, POOLMESH, PLAIN, MOLECULER, BULLMQ];
const SLOTS = 8;
const LOADS = [0.7, 0.85, 0.95];
const SEED = 20_261_124;
const QUANTILES = { p50: 0.5, p99: 0.99, max: 1 } as const;
/** Rounds of a trace take long, and the trace is the same for all arms. */
const MAX_ROUNDS = 3;

/** The row. */
export const waiting: Row = {
  number: 3,
  title: "Waiting under mixed job lengths",
  measure: async (run) => {
    const loads = run.pick(LOADS.slice(1, 2), LOADS);
    const one = await measureNodes(run, 1, loads);
    const three = await measureNodes(run, 3, loads);
    return {
      comparisons: [
        ...loads.map((load) => toComparison(one, 1, load)),
        ...loads.map((load) => toComparison(three, 3, load)),
      ],
      targets: run.extent.quick ? [] : [...toTargets(one, "one broker"), ...toTargets(three, "cluster of 3")],
    };
  },
};

async function measureNodes(run: Run, nodes: number, loads: readonly number[]): Promise<Samples> {
  const samples = new Samples();
  const slots = run.pick(2, SLOTS);
  const arms = specs(nodes, slots);
  await run.withFleets(arms, async (fleets) => {
    for (const load of loads) {
      const rounds = Math.min(MAX_ROUNDS, run.extent.rounds);
      for (let round = 0; round < rounds; round += 1) {
        run.say(`${nodes} broker(s), load ${percent(load)}, round ${round + 1}`);
        const trace = makeTrace({ jobs: run.pick(30, 2_000), slots, load, seed: SEED + round });
        for (let i = 0; i < fleets.length; i += 1) {
          await replayOne(fleets[(i + round) % fleets.length] as Fleet, trace, slots, load, samples);
        }
      }
    }
  });
  return samples;
}

async function replayOne(
  fleet: Fleet,
  trace: ReturnType<typeof makeTrace>,
  slots: number,
  load: number,
  samples: Samples,
): Promise<void> {
  const before = (await fleet.runs()).length;
  const submittedAt = await fleet.caller.ask("trace", trace);
  const runs = (await fleet.runs()).slice(before);
  const { waits, ideal } = waitsOf(submittedAt, runs, slots);
  for (const [name, q] of Object.entries(QUANTILES)) {
    samples.add(fleet.name, `${percent(load)} ${name}`, percentile(waits, q));
    if (fleet.name === POOLMESH) samples.add(IDEAL, `${percent(load)} ${name}`, percentile(ideal, q));
  }
}

function specs(nodes: number, slots: number): FleetSpec[] {
  const base = { over: "nats", workers: slots, slots: 1, work: "timed", nodes } as const;
  const onNats: FleetSpec[] = [
    { ...base, name: CLIENT, arm: "client", managers: 1 },
    { ...base, name: CLIENT_2, arm: "client", managers: 2 },
    { ...base, name: POOLMESH, arm: "poolmesh" },
    { ...base, name: PLAIN, arm: "request" },
  ];
  if (nodes > 1) return onNats;
  return [
    ...onNats,
    { ...base, name: MOLECULER, arm: "moleculer" },
    { ...base, name: BULLMQ, arm: "bullmq", over: "redis" },
  ];
}

function toComparison(samples: Samples, nodes: number, load: number): Comparison {
  const conditions = Object.keys(QUANTILES);
  const series = samples.series(
    ARMS,
    conditions.map((name) => `${percent(load)} ${name}`),
  );
  const where = nodes === 1 ? "one broker" : `a cluster of ${nodes}`;
  return {
    id: `3-waiting-${nodes === 1 ? "one" : "cluster"}-${Math.round(load * 100)}`,
    title: `Wait for a slot at ${percent(load)} load, ${where}`,
    unit: "ms",
    better: "lower",
    conditions,
    series,
    against: IDEAL,
    // half of the jobs wait for nothing in an ideal queue
    ratiosAt: ["p99", "max"],
    doesNotShow:
      "Eight workers with one slot each; 90 % of the jobs take 5 ms and 10 % take 200 ms, the same arrivals for all " +
      "arms of a round. Two managers do not know of each other's offers. More slots or jobs of equal length make the arms more alike. The ideal is computed from the " +
      "service times that the workers of the embedded manager measured; no real queue can know of a free slot without a message.",
  };
}

function toTargets(samples: Samples, where: string): Target[] {
  return LOADS.flatMap((load) => {
    const comparison = toComparison(samples, 1, load);
    const p99 = (arm: string) => figureOf(comparison, arm, "p99");
    const most = load > 0.9 ? 1.3 : 1.15;
    const ours = [CLIENT, POOLMESH].map((arm) =>
      atMost(`${arm} ÷ ideal, p99 wait at ${percent(load)}, ${where}`, ratio(p99(arm), p99(IDEAL)), most),
    );
    if (load !== 0.85) return ours;
    return [
      ...ours,
      atLeast(`plain queue group ÷ ${CLIENT}, p99 wait at 85 %, ${where}`, ratio(p99(PLAIN), p99(CLIENT)), 5),
    ];
  });
}

function percent(load: number): string {
  return `${Math.round(load * 100)} %`;
}
