/** Row 11: jobs that are stored before they run, what the same costs elsewhere, and what they cost the jobs beside them. */
import { atLeast, atMost, type Comparison, figureOf, hasArm, type Target } from "../harness/figures/comparison.js";
import { Samples } from "../harness/figures/samples.js";
import { figure, percentile, ratio } from "../harness/figures/stats.js";
import type { Fleet, FleetSpec } from "../harness/processes/fleet.js";
import type { Row, Run } from "../harness/run.js";
import { PAYLOAD_BYTES } from "./echo-fleets.js";

const KEPT = "Poolmesh enqueue";
const BULK = "Poolmesh enqueueMany";
const UNKEPT = "Poolmesh, no outcome kept";
const OWN = "own workers, outcomes kept";
const LIBRARY = "own workers, by the library";
const LIMIT = "publish, pull and ack";
const BULLMQ = "BullMQ add and wait";
const BULLMQ_BULK = "BullMQ addBulk";
const ARMS = [KEPT, BULK, UNKEPT, LIBRARY, OWN, LIMIT, BULLMQ, BULLMQ_BULK];
const SYNCED_ARMS = [KEPT, BULK, OWN, BULLMQ, BULLMQ_BULK];
const WINDOWS = [1, 128, 1_024];
const SYNCED_WINDOWS = [1, 128];
const SLOTS = 2_048;
const P50 = "p50";

const base = { workers: 1, slots: SLOTS, work: "echo" } as const;
const stored = { ...base, over: "jetstream" } as const;
const FLEETS: readonly FleetSpec[] = [
  { ...stored, name: KEPT, arm: "stored/durable", managers: 1, durable: true },
  { ...stored, name: UNKEPT, arm: "stored/durable-unkept", managers: 1, durable: true },
  { ...stored, name: LIBRARY, arm: "stored/jetstream-library" },
  { ...stored, name: OWN, arm: "stored/jetstream-workers" },
  { ...stored, name: LIMIT, arm: "stored/jetstream-limit" },
  { ...base, over: "redis", name: BULLMQ, arm: "bullmq" },
];
const BULKS: ReadonlyMap<string, string> = new Map([
  [KEPT, BULK],
  [BULLMQ, BULLMQ_BULK],
]);
/** Those whose queues write each job to the disk before they acknowledge it. */
const SYNCED_FLEETS: readonly FleetSpec[] = FLEETS.filter(({ name }) => SYNCED_ARMS.includes(name)).map((spec) => ({
  ...spec,
  synced: true,
}));

const NOTHING_BESIDE = "submit, nothing stored";
const PAUSED_BESIDE = "submit, stored jobs wait";
const RUNNING_BESIDE = "submit, stored jobs run";
const BESIDE_ARMS = [NOTHING_BESIDE, PAUSED_BESIDE, RUNNING_BESIDE];
const beside = { ...stored, slots: 64, managers: 1, durable: true } as const;
/** The core lane of a pool whose durable lane is empty, or full. */
const BESIDE_FLEETS: readonly FleetSpec[] = [
  { ...beside, name: NOTHING_BESIDE, arm: "client" },
  { ...beside, name: PAUSED_BESIDE, arm: "stored/beside-paused" },
  { ...beside, name: RUNNING_BESIDE, arm: "stored/beside-running" },
];
/** Stored jobs that have not ended, and submissions a second beside them. */
const BESIDE_JOBS = 100_000;
const BESIDE_PER_SECOND = 200;
const P99 = "p99";

interface Lane {
  readonly fleet: Fleet;
  readonly arm: string;
  readonly bulk: boolean;
}

interface Measured {
  readonly rates: Samples;
  /** Of one job at a time, milliseconds. */
  readonly alone: Samples;
}

/** The row. */
export const durable: Row = {
  number: 11,
  title: "Jobs that are stored",
  measure: async (run) => {
    const windows = run.pick(WINDOWS.slice(0, 2), WINDOWS);
    const { rates, alone } = await run.withFleets(FLEETS, (fleets) => measure(run, fleets, windows));
    const synced = await run.withFleets(SYNCED_FLEETS, (fleets) => measure(run, fleets, SYNCED_WINDOWS));
    const [busy, quiet] = [toRates(rates, windows), toAlone(alone)];
    const targets = run.extent.quick ? [] : [...toTargets(busy, windows), aloneTarget(quiet)];
    const { comparison, targets: besideTargets } = await measureBeside(run);
    return { comparisons: [busy, quiet, toSynced(synced.rates), comparison], targets: [...targets, ...besideTargets] };
  },
};

/** How long jobs of `submit` take in a pool of which many stored jobs have not ended. */
export async function measureBeside(run: Run): Promise<{ comparison: Comparison; targets: Target[] }> {
  const waits = new Samples();
  const jobs = run.pick(200, BESIDE_JOBS);
  await run.withFleets(BESIDE_FLEETS, async (fleets) => {
    run.say(`submit beside ${jobs} stored jobs`);
    for (const { caller } of fleets) {
      await caller.ask("closed", { bytes: PAYLOAD_BYTES, window: 16, ms: run.pick(20, 1_000) });
    }
    await run.interleaved(fleets, async ({ name, caller }, round) => {
      await caller.ask("fill", { jobs, bytes: PAYLOAD_BYTES });
      const load = { bytes: PAYLOAD_BYTES, perSecond: BESIDE_PER_SECOND, ms: run.pick(100, 5_000), seed: round + 1 };
      const latenciesMs = await caller.ask("open", load);
      waits.add(name, P50, percentile(latenciesMs, 0.5));
      waits.add(name, P99, percentile(latenciesMs, 0.99));
    });
  });
  const comparison = toBeside(waits);
  return { comparison, targets: run.extent.quick ? [] : besideTargetsOf(comparison) };
}

function besideTargetsOf(waits: Comparison): Target[] {
  const [full, empty] = [figureOf(waits, PAUSED_BESIDE, P99), figureOf(waits, NOTHING_BESIDE, P99)];
  return [atMost(`${PAUSED_BESIDE} ÷ ${NOTHING_BESIDE}, ${P99}`, ratio(full, empty), 1.1)];
}

function toBeside(waits: Samples): Comparison {
  return {
    id: "11-durable-beside",
    title: `Empty jobs of submit, ${BESIDE_PER_SECOND} a second, while 100,000 stored jobs of the same pool have not ended`,
    unit: "ms",
    better: "lower",
    conditions: [P50, P99],
    series: waits.series(BESIDE_ARMS, [P50, P99]),
    against: NOTHING_BESIDE,
    chart: false,
    doesNotShow:
      "Jobs that take time. Where stored jobs run, they take what the machine has: the jobs of submit share its cores " +
      "and the pool's slots with them.",
  };
}

async function measure(run: Run, fleets: readonly Fleet[], windows: readonly number[]): Promise<Measured> {
  const rates = new Samples();
  const alone = new Samples();
  const lanes = fleets.flatMap((fleet): Lane[] => {
    const bulk = BULKS.get(fleet.name);
    const lane = { fleet, arm: fleet.name, bulk: false };
    return bulk === undefined ? [lane] : [lane, { fleet, arm: bulk, bulk: true }];
  });
  for (const { fleet, bulk } of lanes) {
    await fleet.caller.ask("closed", { bytes: PAYLOAD_BYTES, window: 64, ms: run.pick(20, 1_500), bulk });
  }
  for (const window of windows) {
    run.say(`window ${window}`);
    await run.interleaved(
      lanes.filter(({ bulk }) => !bulk || window > 1),
      async ({ fleet, arm, bulk }) => {
        const options = { bytes: PAYLOAD_BYTES, window, ms: run.pick(50, 1_000), bulk };
        const { jobs, ms, latenciesMs } = await fleet.caller.ask("closed", options);
        rates.add(arm, label(window), (jobs / ms) * 1_000);
        if (window === 1) alone.add(arm, P50, percentile(latenciesMs, 0.5));
      },
    );
  }
  return { rates, alone };
}

function toRates(rates: Samples, windows: readonly number[]): Comparison {
  return {
    id: "11-durable",
    title: "Stored empty jobs of 128 bytes whose results are waited for, by number in flight",
    unit: "jobs/s",
    better: "higher",
    conditions: windows.map(label),
    series: rates.series(ARMS, windows.map(label)),
    against: OWN,
    doesNotShow:
      "What is lost when the power fails: neither nats-server nor Redis waits for the disk here. Own workers have no " +
      "retries, no leases, no dead letters and no timeouts; those by the library publish, pull and acknowledge as its " +
      "documentation does, the others write each message by hand. BullMQ keeps the last 5,000 results, Poolmesh all of a day.",
  };
}

function toAlone(alone: Samples): Comparison {
  return {
    id: "11-durable-alone",
    title: "One stored job at a time, from its submission to its result",
    unit: "ms",
    better: "lower",
    conditions: [P50],
    series: alone.series(
      ARMS.filter((arm) => ![...BULKS.values()].includes(arm)),
      [P50],
    ),
    chart: false,
    doesNotShow: "Disks: nobody waits for them here.",
  };
}

/** A manager is one more hop, and it claims, stores and acknowledges in its turn. */
function aloneTarget(alone: Comparison): Target {
  const [ours, own] = [figureOf(alone, KEPT, P50), figureOf(alone, OWN, P50)];
  const above = figure(ours.rounds.map((ms, round) => ms - (own.rounds[round] ?? Number.NaN)));
  return atMost(`${KEPT} above ${OWN}, alone, p50`, above, 1, "ms");
}

function toSynced(rates: Samples): Comparison {
  return {
    id: "11-durable-synced",
    title: "The same with each job on the disk before it is acknowledged",
    unit: "jobs/s",
    better: "higher",
    conditions: SYNCED_WINDOWS.map(label),
    series: rates.series(SYNCED_ARMS, SYNCED_WINDOWS.map(label)),
    against: BULLMQ_BULK,
    ratiosAt: SYNCED_WINDOWS.slice(1).map(label),
    doesNotShow:
      "Other disks: nats-server runs with sync_interval always, which syncs each message, Redis with appendfsync " +
      "always, which syncs what came in one turn together.",
  };
}

function toTargets(rates: Comparison, windows: readonly number[]): Target[] {
  const busy = windows.filter((window) => window > 1).map(label);
  const share = (over: string, under: string, condition: string) =>
    ratio(figureOf(rates, over, condition), figureOf(rates, under, condition));
  const pairs: readonly (readonly [string, string, number])[] = [
    [KEPT, LIBRARY, 0.9],
    [KEPT, OWN, 0.9],
    [UNKEPT, LIMIT, 0.75],
    [KEPT, BULLMQ, 3],
    [BULK, BULLMQ_BULK, 3],
  ];
  return pairs
    .filter(([over, under]) => hasArm(rates, over) && hasArm(rates, under))
    .flatMap(([over, under, least]) =>
      busy.map((at) => atLeast(`${over} ÷ ${under}, ${at}`, share(over, under, at), least)),
    );
}

function label(window: number): string {
  return `window ${window}`;
}
