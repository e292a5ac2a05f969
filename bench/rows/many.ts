/** Row 9: many jobs in one go, by each of the ways that Poolmesh has for that. */
import { atLeast, type Comparison, figureOf, type Target } from "../harness/figures/comparison.js";
import { Samples } from "../harness/figures/samples.js";
import { ratio } from "../harness/figures/stats.js";
import { Agent } from "../harness/processes/agent.js";
import type { Fleet, FleetSpec } from "../harness/processes/fleet.js";
import { pipeThroughMap } from "../harness/processes/map.js";
import type { Row, Run } from "../harness/run.js";
import { CLIENT, CLIENT_2, ECHO_FLEETS, PAYLOAD_BYTES, POOLMESH, REQUEST } from "./echo-fleets.js";

type DoorClient = Agent<typeof import("../agents/door-client.js")>;

const WINDOW = 256;
const MAP = "poolmesh map, 1 manager";
const MAP_FEW = "poolmesh map, 2 workers of 1 slot";
const STREAM = "Poolmesh SubmitMany over Connect, 1 manager";
const CALLERS = [CLIENT, CLIENT_2, POOLMESH, REQUEST];
const ARMS = [CLIENT, CLIENT_2, MAP, MAP_FEW, STREAM, POOLMESH, REQUEST];
const RATE = "jobs/s";
const FEW_SLOTS: FleetSpec = {
  ...{ name: MAP_FEW, arm: "client", over: "nats", managers: 1 },
  ...{ workers: 2, slots: 1, work: "echo" },
};

/** The row. */
export const many: Row = {
  number: 9,
  title: "Many jobs in one go",
  measure: (run) => {
    const callers = ECHO_FLEETS.filter(({ name }) => CALLERS.includes(name));
    return run.withSharedFleets([...callers, FEW_SLOTS], (fleets) => measure(run, fleets));
  },
};

async function measure(run: Run, fleets: readonly Fleet[]) {
  const samples = new Samples();
  const [mesh, few] = [CLIENT, MAP_FEW].map((arm) => fleets.find(({ name }) => name === arm)) as [Fleet, Fleet];
  const client: DoorClient = await Agent.start("door-client");
  try {
    const ms = run.pick(50, 1_500);
    const arms = [
      ...fleets
        .filter((fleet) => fleet !== few)
        .map(({ name, caller }) => ({
          name,
          rate: async () => perSecond(await caller.ask("closed", { bytes: PAYLOAD_BYTES, window: WINDOW, ms })),
        })),
      { name: MAP, rate: () => pipeThroughMap(mesh.place, { lines: run.pick(500, 50_000), bytes: PAYLOAD_BYTES }) },
      { name: MAP_FEW, rate: () => pipeThroughMap(few.place, { lines: run.pick(100, 10_000), bytes: PAYLOAD_BYTES }) },
      {
        name: STREAM,
        rate: async () => {
          const load = {
            protocol: "connect-h2",
            pool: mesh.place.group,
            bytes: PAYLOAD_BYTES,
            window: WINDOW,
            ms,
          } as const;
          return perSecond(await client.ask("stream", { ...load, url: mesh.place.managerUrls[0] as string }));
        },
      },
    ];
    for (const arm of arms) await arm.rate();
    await run.interleaved(arms, async ({ name, rate }) => samples.add(name, RATE, await rate()));
  } finally {
    await client.stop();
  }
  const comparison = toComparison(samples);
  return { comparisons: [comparison], targets: run.extent.quick ? [] : toTargets(comparison) };
}

function toComparison(samples: Samples): Comparison {
  return {
    id: "9-many",
    title: `Many empty jobs, ${WINDOW} in flight`,
    unit: RATE,
    better: "higher",
    conditions: [RATE],
    series: samples.series(ARMS, [RATE]),
    against: REQUEST,
    doesNotShow:
      "`poolmesh map` reads lines of text from a pipe and writes a line of JSON for each job; its rate counts from its first line to " +
      "its last, without the start of its process. SubmitMany is one stream over HTTP/2. One worker of 2,048 slots each, but where the " +
      "arm says two workers of one slot: there a slot is idle for a round trip between two jobs.",
  };
}

function toTargets(comparison: Comparison): Target[] {
  const share = ratio(figureOf(comparison, MAP, RATE), figureOf(comparison, REQUEST, RATE));
  return [
    atLeast(`${MAP} ÷ ${REQUEST}`, share, 0.5),
    atLeast(MAP_FEW, figureOf(comparison, MAP_FEW, RATE), 20_000, RATE),
  ];
}

function perSecond({ jobs, ms }: { readonly jobs: number; readonly ms: number }): number {
  return (jobs / ms) * 1_000;
}
