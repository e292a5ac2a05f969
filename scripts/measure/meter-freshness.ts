/**
 * How fresh a subscriber's value is: from the start of a job at a worker to the
 * message that shows it, with 200 workers' heartbeats and 200 subscribers. The
 * bar is the coalescing time + 50 ms.
 *
 *   node --import tsx scripts/measure/meter-freshness.ts [SUBSCRIBERS] [WORKERS] [SECONDS] [STARTS_PER_SECOND]
 *
 * Jobs start at random workers and never end, so the n-th start is seen in the
 * first message with at least n slots busy.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Broker } from "../../broker/broker.js";
import { Bus } from "../../mesh/link/bus.js";
import { HeartbeatGenerator } from "../../test/support/meter/heartbeat-generator.js";
import { seededRandom } from "../../test/support/random.js";
import { forkMeter } from "./meter-child.js";
import { forkReaders, machineMs, type Sightings } from "./meter-readers.js";

const [subscribers = 200, workers = 200, seconds = 15, rate = 200] = process.argv.slice(2).map(Number);
const COALESCE_MS = 50;
const BAR_MS = COALESCE_MS + 50;

const broker = new Broker({ port: "any" });
await broker.start();
const meter = await forkMeter(broker.url);
const bus = await Bus.connect({ servers: broker.url });
const generator = new HeartbeatGenerator(bus, { workers, slots: 60_000, coalesceMs: COALESCE_MS });
try {
  generator.start();
  await delay(1_500);
  const end = await forkReaders(meter.url, subscribers);
  const before = await meter.usage();
  const began = machineMs();
  const starts = await startJobs();
  await delay(1_000);
  const cpuShare = ((await meter.usage()).cpuMs - before.cpuMs) / (machineMs() - began);
  report(starts, await end(), cpuShare);
} finally {
  generator.stop();
  await bus.close();
  await meter.stop();
  await broker.stop();
}

/** Starts jobs at random instants; returns the instants. */
async function startJobs(): Promise<readonly number[]> {
  const random = seededRandom(1);
  const starts: number[] = [];
  let dueMs = machineMs();
  const endMs = dueMs + seconds * 1_000;
  while (dueMs < endMs) {
    dueMs += (-Math.log(1 - random()) / rate) * 1_000;
    const waitMs = dueMs - machineMs();
    if (waitMs > 0) await delay(waitMs);
    starts.push(machineMs());
    generator.workers[Math.floor(random() * workers)]?.startJob();
  }
  return starts;
}

function report(starts: readonly number[], sightings: readonly Sightings[], cpuShare: number): void {
  const ages = sightings.flatMap((seen) => agesOf(starts, seen)).sort((a, b) => a - b);
  const at = (share: number): string => (ages[Math.floor((ages.length - 1) * share)] ?? Number.NaN).toFixed(1);
  const messages = sightings.reduce((sum, seen) => sum + seen.length, 0);
  console.log(`${subscribers} subscribers, ${workers} workers, ${starts.length} job starts, ${messages} messages`);
  console.log(`  job start → value at a subscriber, ms: p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)}`);
  console.log(`  bar: coalescing ${COALESCE_MS} + 50 = ${BAR_MS} ms: ${Number(at(0.99)) <= BAR_MS ? "met" : "missed"}`);
  console.log(`  never seen: ${starts.length * subscribers - ages.length}`);
  console.log(`  meter: ${(cpuShare * 100).toFixed(1)} % of a core`);
}

/** For each start, how long until this subscriber saw it. */
function agesOf(starts: readonly number[], seen: Sightings): number[] {
  const ages: number[] = [];
  let next = 0;
  for (const [busy, atMs] of seen) {
    for (; next < busy && next < starts.length; next += 1) ages.push(atMs - (starts[next] as number));
  }
  return ages;
}
