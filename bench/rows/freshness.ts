/** Row 5: how soon a subscriber of the meter sees that a job has started, and what the meter needs for it. */
import { setTimeout as delay } from "node:timers/promises";
import type { Sightings } from "../agents/subscribers.js";
import { atMost, type Comparison, figureOf, type Target } from "../harness/figures/comparison.js";
import { Samples } from "../harness/figures/samples.js";
import { percentile } from "../harness/figures/stats.js";
import { Agent } from "../harness/processes/agent.js";
import { residentBytesOf } from "../harness/processes/processes.js";
import type { Row, Run } from "../harness/run.js";

const COALESCE_MS = 50;
const STARTS_PER_SECOND = 100;
/** So many subscribers decode and note; the others only read. */
const NOTING = 10;
const QUANTILES = { p50: 0.5, p99: 0.99, max: 1 } as const;
const MAX_ROUNDS = 3;

interface Scene {
  readonly subscribers: number;
  readonly workers: number;
}

/** Jobs that were started and hold their slot. */
interface Jobs {
  /** When, by the machine's clock. */
  readonly starts: readonly number[];
  /** How many were started before these, to warm up. */
  readonly warmUp: number;
}

type Noting = Agent<typeof import("../agents/subscribers.js")>;

/** How long subscribers may take to see the last start, in milliseconds: a machine may stand still. */
const SEEN_LIMIT_MS = 30_000;
const SCENES: readonly Scene[] = [
  { subscribers: 1, workers: 1_000 },
  { subscribers: 100, workers: 1_000 },
  { subscribers: 1_000, workers: 1_000 },
  { subscribers: 100, workers: 10 },
  { subscribers: 100, workers: 10_000 },
];
const QUICK_SCENES: readonly Scene[] = [{ subscribers: 12, workers: 10 }];

/** The row. */
export const freshness: Row = {
  number: 5,
  title: "Freshness of the meter",
  async measure(run) {
    const scenes = run.pick(QUICK_SCENES, SCENES);
    const fresh = new Samples();
    const cost = new Samples();
    for (let round = 0; round < Math.min(run.extent.rounds, MAX_ROUNDS); round += 1) {
      for (const scene of scenes) {
        run.say(`${nameOf(scene)}, round ${round + 1}`);
        await measureScene(run, scene, round, fresh, cost);
      }
    }
    const comparisons = [toFresh(fresh, scenes), toCost(cost, scenes)];
    return { comparisons, targets: run.extent.quick ? [] : toTargets(comparisons) };
  },
};

async function measureScene(run: Run, scene: Scene, round: number, fresh: Samples, cost: Samples): Promise<void> {
  const { urls } = await run.servers.nats();
  const meter = await Agent.start<typeof import("../agents/meter.js")>("meter");
  const beats = await Agent.start<typeof import("../agents/beats.js")>("beats");
  const noting = await Agent.start<typeof import("../agents/subscribers.js")>("subscribers");
  const reading = await Agent.start<typeof import("../agents/subscribers.js")>("subscribers");
  try {
    const url = await meter.ask("start", urls);
    await beats.ask("start", urls, `fresh-${round}-${scene.subscribers}-${scene.workers}`, scene.workers);
    const notes = Math.min(NOTING, scene.subscribers);
    await noting.ask("watch", url, notes);
    await reading.ask("read", url, scene.subscribers - notes);
    await delay(run.pick(200, 500));
    const warm = { perSecond: STARTS_PER_SECOND, ms: run.pick(100, 1_000), seed: 0 };
    const warmUp = (await beats.ask("startJobs", warm)).length;
    await delay(run.pick(200, 500));
    const [cpuBefore, before] = [await meter.ask("cpuUs"), performance.now()];
    const ms = run.pick(500, 4_000);
    const starts = await beats.ask("startJobs", { perSecond: STARTS_PER_SECOND, ms, seed: round + 1 });
    const cpuUs = (await meter.ask("cpuUs")) - cpuBefore;
    const elapsedMs = performance.now() - before;
    await delay(run.pick(200, 500));
    const jobs = { starts, warmUp };
    addFreshness(fresh, nameOf(scene), jobs, await sightingsOf(noting, jobs));
    cost.add(nameOf(scene), "% of a core", cpuUs / elapsedMs / 10);
    cost.add(nameOf(scene), "MiB resident", residentBytesOf(meter.pid) / 2 ** 20);
  } finally {
    await Promise.all([noting, reading, beats].map((agent) => agent.stop()));
    await meter.ask("stop").catch(() => undefined);
    await meter.stop();
  }
}

/** What subscribers saw, when each has seen every start, or after a while. */
async function sightingsOf(noting: Noting, { starts, warmUp }: Jobs): Promise<readonly Sightings[]> {
  const endMs = performance.now() + SEEN_LIMIT_MS;
  for (;;) {
    const sightings = await noting.ask("sightings");
    const hasAll = sightings.every((seen) => (seen.at(-1)?.[0] ?? 0) >= warmUp + starts.length);
    if (hasAll || performance.now() >= endMs) return sightings;
    await delay(100);
  }
}

function addFreshness(fresh: Samples, arm: string, jobs: Jobs, sightings: readonly Sightings[]): void {
  const ages = sightings.flatMap((seen) => agesOf(jobs, seen));
  if (ages.length !== jobs.starts.length * sightings.length) throw new Error("a subscriber did not see every start");
  for (const [name, q] of Object.entries(QUANTILES)) fresh.add(arm, name, percentile(ages, q));
}

/** For each start, how long until this subscriber saw so many slots busy. */
function agesOf({ starts, warmUp }: Jobs, seen: Sightings): number[] {
  const ages: number[] = [];
  let next = 0;
  for (const [busy, at] of seen) {
    for (; next < busy - warmUp && next < starts.length; next += 1) ages.push(at - (starts[next] as number));
  }
  return ages;
}

function toFresh(samples: Samples, scenes: readonly Scene[]): Comparison {
  const conditions = Object.keys(QUANTILES);
  return {
    id: "5-freshness",
    title: `From a job's start to the new capacity at a subscriber (changes are coalesced for ${COALESCE_MS} ms)`,
    unit: "ms",
    better: "lower",
    conditions,
    series: samples.series(scenes.map(nameOf), conditions),
    doesNotShow:
      `Clients' own work: ${NOTING} subscribers decode and record the messages, the others only read the bytes. ` +
      `The heartbeats of all workers come from one process; ${STARTS_PER_SECOND} jobs a second start at random workers.`,
  };
}

function toCost(samples: Samples, scenes: readonly Scene[]): Comparison {
  const conditions = ["% of a core", "MiB resident"];
  return {
    id: "5-meter-cost",
    title: "What the meter needs for it",
    unit: "as headed",
    better: "lower",
    conditions,
    series: samples.series(scenes.map(nameOf), conditions),
    doesNotShow: "The broker's part of the heartbeats, and the page.",
  };
}

function toTargets([fresh, cost]: readonly Comparison[]): Target[] {
  const [, , crowd, , fleet] = SCENES as readonly [Scene, Scene, Scene, Scene, Scene];
  const p99 = figureOf(fresh as Comparison, nameOf(crowd), "p99");
  const cpu = figureOf(cost as Comparison, nameOf(fleet), "% of a core");
  return [
    atMost(`start → subscriber, p99, ${nameOf(crowd)}`, p99, COALESCE_MS + 50, "ms"),
    atMost(`the meter's processor, ${nameOf(fleet)}`, cpu, 50, "% of a core"),
  ];
}

function nameOf({ subscribers, workers }: Scene): string {
  const grouped = (value: number): string => value.toLocaleString("en-US");
  return `${grouped(subscribers)} subscribers, ${grouped(workers)} workers`;
}
