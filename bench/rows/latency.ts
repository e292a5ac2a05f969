/** Row 2: latency of empty jobs, one at a time and at half of the load that each arm can bear. */
import { atMost, type Comparison, figureOf, type Target } from "../harness/figures/comparison.js";
import { Samples } from "../harness/figures/samples.js";
import { percentile, ratio } from "../harness/figures/stats.js";
import type { Fleet } from "../harness/processes/fleet.js";
import type { Row, Run } from "../harness/run.js";
import {
  BARE,
  BULLMQ,
  CLIENT,
  ECHO_FLEETS,
  MOLECULER,
  NESTJS,
  PAYLOAD_BYTES,
  POOLMESH,
  REQUEST,
} from "./echo-fleets.js";

const ARMS = [BARE, CLIENT, POOLMESH, REQUEST, MOLECULER, NESTJS, BULLMQ];
const QUANTILES = { p50: 0.5, p99: 0.99 } as const;
const CONDITIONS = Object.keys(QUANTILES);
/** With this many in flight an arm shows what it can bear. */
const FULL_WINDOW = 128;
const LOAD = 0.5;

/** The row. */
export const latency: Row = {
  number: 2,
  title: "Latency of empty jobs",
  measure: (run) => {
    const specs = ECHO_FLEETS.filter(({ name }) => ARMS.includes(name));
    return run.withFleets(specs, (fleets) => measure(run, fleets));
  },
};

async function measure(run: Run, fleets: readonly Fleet[]) {
  const alone = new Samples();
  const loaded = new Samples();
  const rates = new Samples();
  for (const { caller } of fleets) {
    await caller.ask("closed", { bytes: PAYLOAD_BYTES, window: 1, ms: run.pick(20, 1_000) });
  }
  run.say("one in flight");
  await run.interleaved(fleets, async (fleet) => {
    const ms = run.pick(50, 1_000);
    const { latenciesMs } = await fleet.caller.ask("closed", { bytes: PAYLOAD_BYTES, window: 1, ms });
    addQuantiles(alone, fleet.name, latenciesMs);
  });
  run.say("half load");
  await run.interleaved(fleets, async (fleet, round) => measureLoaded(run, fleet, round, loaded, rates));
  const one = toComparison("2-latency", "Latency with one job in flight", alone, "");
  return {
    comparisons: [one, toComparison("2-half-load", "Latency at half load", loaded, rateText(rates))],
    targets: run.extent.quick ? [] : toTargets(one),
  };
}

async function measureLoaded(run: Run, fleet: Fleet, round: number, loaded: Samples, rates: Samples): Promise<void> {
  const { caller, name } = fleet;
  const full = await caller.ask("closed", { bytes: PAYLOAD_BYTES, window: FULL_WINDOW, ms: run.pick(50, 400) });
  const perSecond = (full.jobs / full.ms) * 1_000 * LOAD;
  const ms = run.pick(50, 1_500);
  rates.add(name, "rate", perSecond);
  addQuantiles(loaded, name, await caller.ask("open", { bytes: PAYLOAD_BYTES, perSecond, ms, seed: round + 1 }));
}

function addQuantiles(samples: Samples, arm: string, latenciesMs: readonly number[]): void {
  for (const [name, q] of Object.entries(QUANTILES)) samples.add(arm, name, percentile(latenciesMs, q) * 1_000);
}

function toComparison(id: string, title: string, samples: Samples, more: string): Comparison {
  return {
    id,
    title,
    unit: "µs",
    better: "lower",
    conditions: CONDITIONS,
    series: samples.series(ARMS, CONDITIONS),
    against: REQUEST,
    doesNotShow: `Networks: everything is on one machine, over loopback.${more}`,
  };
}

function rateText(rates: Samples): string {
  const each = rates
    .series(ARMS, ["rate"])
    .map(({ arm, figures }) => `${arm} ${Math.round(figures[0]?.median ?? 0)}`)
    .join(", ");
  return (
    " Each arm is at half of its own throughput, at random arrivals, so a faster one serves more jobs " +
    `meanwhile (jobs/s: ${each}).`
  );
}

function toTargets(one: Comparison): Target[] {
  const p50 = ratio(figureOf(one, POOLMESH, "p50"), figureOf(one, REQUEST, "p50"));
  return [atMost("Poolmesh ÷ request(), p50, one in flight", p50, 1.15)];
}
