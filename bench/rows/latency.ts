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
  CLIENT_2,
  ECHO_FLEETS,
  MOLECULER,
  NESTJS,
  PAYLOAD_BYTES,
  POOLMESH,
  REQUEST,
} from "./echo-fleets.js";

const ARMS = [CLIENT, CLIENT_2, POOLMESH, BARE, REQUEST, MOLECULER, NESTJS, BULLMQ];
const QUANTILES = { p50: 0.5, p99: 0.99 } as const;
const CONDITIONS = Object.keys(QUANTILES);
/** With this many in flight an arm shows what it can bear. */
const FULL_WINDOW = 128;
const LOAD = 0.5;
const EQUAL_TEXT = " All arms serve the same random arrivals a second; BullMQ cannot bear them.";

/** The row. */
export const latency: Row = {
  number: 2,
  title: "Latency of empty jobs",
  measure: (run) => {
    const specs = ECHO_FLEETS.filter(({ name }) => ARMS.includes(name));
    return run.withSharedFleets(specs, (fleets) => measure(run, fleets));
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
  run.say("one rate for all");
  const equal = await measureEqual(run, fleets);
  const one = toComparison("2-latency", "Latency with one job in flight", alone, "");
  const same = toComparison("2-equal-load", `Latency at half of the load that ${REQUEST} can bear`, equal, EQUAL_TEXT);
  return {
    comparisons: [one, toComparison("2-half-load", "Latency at half load", loaded, rateText(rates)), same],
    targets: run.extent.quick ? [] : toTargets(one, same),
  };
}

async function measureLoaded(run: Run, fleet: Fleet, round: number, loaded: Samples, rates: Samples): Promise<void> {
  const perSecond = await halfLoadOf(run, fleet);
  rates.add(fleet.name, "rate", perSecond);
  addQuantiles(loaded, fleet.name, await latenciesAt(run, fleet, perSecond, round));
}

/** All arms at the same rate; one that cannot bear it is left out. */
async function measureEqual(run: Run, fleets: readonly Fleet[]): Promise<Samples> {
  const equal = new Samples();
  const able = fleets.filter(({ name }) => name !== BULLMQ);
  const request = able.find(({ name }) => name === REQUEST) as Fleet;
  let perSecond = 0;
  let ratedRound = -1;
  await run.interleaved(able, async (fleet, round) => {
    if (round !== ratedRound) perSecond = await halfLoadOf(run, request);
    ratedRound = round;
    addQuantiles(equal, fleet.name, await latenciesAt(run, fleet, perSecond, round));
  });
  return equal;
}

async function halfLoadOf(run: Run, { caller }: Fleet): Promise<number> {
  const { jobs, ms } = await caller.ask("closed", {
    bytes: PAYLOAD_BYTES,
    window: FULL_WINDOW,
    ms: run.pick(50, 400),
  });
  return (jobs / ms) * 1_000 * LOAD;
}

function latenciesAt(run: Run, { caller }: Fleet, perSecond: number, round: number): Promise<number[]> {
  return caller.ask("open", { bytes: PAYLOAD_BYTES, perSecond, ms: run.pick(50, 1_500), seed: round + 1 });
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

function toTargets(one: Comparison, same: Comparison): Target[] {
  const versus = (comparison: Comparison, arm: string, quantile: string) =>
    ratio(figureOf(comparison, arm, quantile), figureOf(comparison, REQUEST, quantile));
  return [
    atMost(`${CLIENT} ÷ request(), p50, one in flight`, versus(one, CLIENT, "p50"), 2.2),
    atMost(`${POOLMESH} ÷ request(), p50, one in flight`, versus(one, POOLMESH, "p50"), 1.1),
    ...[CLIENT, POOLMESH].map((arm) => atMost(`${arm} ÷ request(), p99, one rate`, versus(same, arm, "p99"), 1.2)),
  ];
}
