/** Row 3: how long jobs of mixed length wait for a slot, beside one central queue with the same service times. */
import { atLeast, atMost, type Comparison, figureOf, type Target } from "../harness/figures/comparison.js";
import { Samples } from "../harness/figures/samples.js";
import { percentile, ratio } from "../harness/figures/stats.js";
import { type Mix, makeTrace, waitsOf } from "../harness/loops/replay.js";
import type { Fleet, FleetSpec } from "../harness/processes/fleet.js";
import type { Row, Run } from "../harness/run.js";
import { BULLMQ, CLIENT, CLIENT_2, MOLECULER } from "./echo-fleets.js";

const IDEAL = "ideal central queue";
const POOLMESH = "Poolmesh embedded";
const PLAIN = "plain queue group";
const ARMS = [IDEAL, CLIENT, CLIENT_2, POOLMESH, PLAIN, MOLECULER, BULLMQ];
const SEED = 20_261_124;
const QUANTILES = { p50: 0.5, p99: 0.99, max: 1 } as const;
/** Rounds of a trace take long, and the trace is the same for all arms. */
const MAX_ROUNDS = 3;

/** Workers and the slots of each. */
interface Shape {
  readonly workers: number;
  readonly slots: number;
}

/** One table: which jobs come, and how many. */
interface Case {
  readonly load: number;
  readonly mix: Mix;
}

const USUAL: Case = { load: 0.85, mix: "mixed" };
const UNEVEN: Case = { load: 0.85, mix: "logNormal" };
const MEASURED: readonly { readonly shape: Shape; readonly cases: readonly Case[] }[] = [
  {
    shape: { workers: 8, slots: 1 },
    cases: [{ load: 0.7, mix: "mixed" }, USUAL, { load: 0.95, mix: "mixed" }, UNEVEN],
  },
  { shape: { workers: 4, slots: 2 }, cases: [USUAL, UNEVEN] },
];
const QUICK: typeof MEASURED = [{ shape: { workers: 2, slots: 1 }, cases: [USUAL] }];

/** The row. */
export const waiting: Row = {
  number: 3,
  title: "Waiting under mixed job lengths",
  measure: async (run) => {
    const comparisons: Comparison[] = [];
    const targets: Target[] = [];
    for (const nodes of [1, 3]) {
      for (const { shape, cases } of run.pick(QUICK, MEASURED)) {
        const samples = await measureShape(run, nodes, shape, cases);
        for (const one of cases) {
          const comparison = toComparison(samples, nodes, shape, one);
          comparisons.push(comparison);
          if (!run.extent.quick) targets.push(...toTargets(comparison, nodes, shape, one));
        }
      }
    }
    return { comparisons, targets };
  },
};

async function measureShape(run: Run, nodes: number, shape: Shape, cases: readonly Case[]): Promise<Samples> {
  const samples = new Samples();
  const slots = shape.workers * shape.slots;
  await run.withFleets(specs(nodes, shape), async (fleets) => {
    for (const one of cases) {
      const rounds = Math.min(MAX_ROUNDS, run.extent.rounds);
      for (let round = 0; round < rounds; round += 1) {
        run.say(`${nodes} broker(s), ${shapeText(shape)}, ${caseText(one)}, round ${round + 1}`);
        const trace = makeTrace({ ...one, jobs: run.pick(30, 2_000), slots, seed: SEED + round });
        for (let i = 0; i < fleets.length; i += 1) {
          await replayOne(fleets[(i + round) % fleets.length] as Fleet, trace, slots, caseText(one), samples);
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
  name: string,
  samples: Samples,
): Promise<void> {
  const before = (await fleet.runs()).length;
  const submittedAt = await fleet.caller.ask("trace", trace);
  const runs = (await fleet.runs()).slice(before);
  const { waits, ideal } = waitsOf(submittedAt, runs, slots);
  for (const [quantile, q] of Object.entries(QUANTILES)) {
    samples.add(fleet.name, `${name} ${quantile}`, percentile(waits, q));
    if (fleet.name === POOLMESH) samples.add(IDEAL, `${name} ${quantile}`, percentile(ideal, q));
  }
}

function specs(nodes: number, shape: Shape): FleetSpec[] {
  const base = { over: "nats", ...shape, work: "timed", nodes } as const;
  const onNats: FleetSpec[] = [
    { ...base, name: CLIENT, arm: "client", managers: 1 },
    { ...base, name: CLIENT_2, arm: "client", managers: 2 },
    { ...base, name: POOLMESH, arm: "poolmesh" },
    { ...base, name: PLAIN, arm: "request" },
  ];
  if (nodes > 1 || shape.slots > 1) return onNats;
  return [
    ...onNats,
    { ...base, name: MOLECULER, arm: "moleculer" },
    { ...base, name: BULLMQ, arm: "bullmq", over: "redis" },
  ];
}

function toComparison(samples: Samples, nodes: number, shape: Shape, one: Case): Comparison {
  const conditions = Object.keys(QUANTILES);
  const series = samples.series(
    ARMS,
    conditions.map((quantile) => `${caseText(one)} ${quantile}`),
  );
  const load = Math.round(one.load * 100);
  const more = `${shape.slots > 1 ? `-${shape.workers}x${shape.slots}` : ""}${one.mix === "mixed" ? "" : "-log-normal"}`;
  return {
    id: `3-waiting-${nodes === 1 ? "one" : "cluster"}-${load}${more}`,
    title: `Wait for a slot at ${caseText(one)}, ${placeText(nodes, shape)}`,
    unit: "ms",
    better: "lower",
    conditions,
    series,
    against: IDEAL,
    // half of the jobs wait for nothing in an ideal queue
    ratiosAt: ["p99", "max"],
    chart: more === "",
    doesNotShow:
      `${LENGTHS_TEXT[one.mix]}, the same arrivals for all arms of a round. Two managers do not know of each other's offers. ` +
      "More slots or jobs of equal length make the arms more alike. The ideal is computed from the " +
      "service times that the workers of the embedded manager measured; no real queue can know of a free slot without a message.",
  };
}

const LENGTHS_TEXT: Readonly<Record<Mix, string>> = {
  mixed: "90 % of the jobs take 5 ms and 10 % take 200 ms",
  logNormal: "Jobs of log-normal length: mean 20 ms, sigma 1.1",
};

/** The most that our p99 may be of the ideal. */
function mostOf({ load, mix }: Case): number {
  if (mix === "logNormal") return 1.1;
  if (load > 0.9) return 1.3;
  return load === USUAL.load ? 1.05 : 1.15;
}

function toTargets(comparison: Comparison, nodes: number, shape: Shape, one: Case): Target[] {
  const p99 = (arm: string) => figureOf(comparison, arm, "p99");
  const where = `p99 wait at ${caseText(one)}, ${placeText(nodes, shape)}`;
  const ours = [CLIENT, POOLMESH].map((arm) =>
    atMost(`${arm} ÷ ideal, ${where}`, ratio(p99(arm), p99(IDEAL)), mostOf(one)),
  );
  if (one !== USUAL || shape.slots > 1) return ours;
  return [...ours, atLeast(`plain queue group ÷ ${CLIENT}, ${where}`, ratio(p99(PLAIN), p99(CLIENT)), 5)];
}

function caseText({ load, mix }: Case): string {
  return `${Math.round(load * 100)} % load${mix === "mixed" ? "" : ", log-normal lengths"}`;
}

function placeText(nodes: number, shape: Shape): string {
  return `${nodes === 1 ? "one broker" : `a cluster of ${nodes}`}${shape.slots > 1 ? `, ${shapeText(shape)}` : ""}`;
}

function shapeText({ workers, slots }: Shape): string {
  return `${workers} × ${slots} slots`;
}
