/** The memory part of row 7: parked jobs, slots, and workers known. */

import { atMost, type Comparison, figureOf, type RowResult } from "../harness/figures/comparison.js";
import { slotsText } from "../harness/figures/numbers.js";
import { Samples } from "../harness/figures/samples.js";
import { Agent } from "../harness/processes/agent.js";
import { residentBytesOf } from "../harness/processes/processes.js";
import { untilTrue } from "../harness/processes/wait.js";
import type { Run } from "../harness/run.js";

type Giver = Agent<typeof import("../agents/giver.js")>;
type Holder = Agent<typeof import("../agents/holder.js")>;

const PAYLOAD_BYTES = 128;
const EACH = "bytes";
const PARKED = "one parked job at the manager, over its payload";
const IDLE_WORKER = "one idle worker at the manager";
const SLOT_COUNTS = [1, 100, 1_000];
const [IDLE, BUSY] = ["idle", "all slots busy"];
const MAX_ROUNDS = 3;

/** Measures it. */
export async function measureMemory(run: Run): Promise<Pick<RowResult, "comparisons" | "targets">> {
  const each = new Samples();
  const workers = new Samples();
  const counts = run.pick(SLOT_COUNTS.slice(0, 1), SLOT_COUNTS);
  for (let round = 0; round < Math.min(run.extent.rounds, MAX_ROUNDS); round += 1) {
    run.say(`memory, round ${round + 1}`);
    each.add(PARKED, EACH, await parkedJobBytes(run, round));
    each.add(IDLE_WORKER, EACH, await idleWorkerBytes(run, round));
    for (const slots of counts) await workerBytes(run, slots, round, workers);
  }
  const comparisons = [toEach(each), toWorkers(workers, counts)];
  const parked = figureOf(comparisons[0] as Comparison, PARKED, EACH);
  return { comparisons, targets: [atMost(PARKED, parked, 1_024, "bytes")] };
}

async function withGiver<T>(run: Run, pool: string, work: (giver: Giver) => Promise<T>): Promise<T> {
  const giver: Giver = await Agent.start("giver", ["--expose-gc"]);
  try {
    await giver.ask("start", (await run.servers.nats()).urls, pool, 1_000_000);
    return await work(giver);
  } finally {
    await giver.stop();
  }
}

function parkedJobBytes(run: Run, round: number): Promise<number> {
  const count = run.pick(2_000, 100_000);
  return withGiver(run, `parked-${round}`, async (giver) => {
    await giver.ask("makePayloads", count, PAYLOAD_BYTES);
    const before = await giver.ask("memoryBytes");
    await giver.ask("park");
    return ((await giver.ask("memoryBytes")) - before) / count;
  });
}

function idleWorkerBytes(run: Run, round: number): Promise<number> {
  const count = run.pick(100, 1_000);
  const pool = `idle-${round}`;
  return withGiver(run, pool, async (giver) => {
    const before = await giver.ask("memoryBytes");
    const beats = await Agent.start<typeof import("../agents/beats.js")>("beats");
    try {
      await beats.ask("start", (await run.servers.nats()).urls, pool, count);
      await untilTrue(async () => (await giver.ask("workers")) === count, `${count} workers`);
      return ((await giver.ask("memoryBytes")) - before) / count;
    } finally {
      await beats.stop();
    }
  });
}

async function workerBytes(run: Run, slots: number, round: number, samples: Samples): Promise<void> {
  const pool = `slots-${slots}-${round}`;
  await withGiver(run, pool, async (giver) => {
    const holder: Holder = await Agent.start("holder");
    try {
      await holder.ask("start", { servers: (await run.servers.nats()).urls, pool, id: "w0", slots });
      await giver.ask("untilSlots", slots);
      samples.add(slotsText(slots), IDLE, residentBytesOf(holder.pid) / 2 ** 20);
      await giver.ask("give", slots, PAYLOAD_BYTES);
      await untilTrue(async () => (await holder.ask("busy")) === slots, `${slots} jobs run`);
      samples.add(slotsText(slots), BUSY, residentBytesOf(holder.pid) / 2 ** 20);
    } finally {
      await holder.kill();
    }
  });
}

function toEach(samples: Samples): Comparison {
  return {
    id: "7-memory-each",
    title: "Memory of one more job or worker, after a garbage collection",
    unit: EACH,
    better: "lower",
    conditions: [EACH],
    series: samples.series([PARKED, IDLE_WORKER], [EACH]),
    doesNotShow:
      "What a process keeps back from the system after a peak. A parked job includes the caller's promise; " +
      "its payload, which was made before, is not counted.",
    chart: false,
  };
}

function toWorkers(samples: Samples, counts: readonly number[]): Comparison {
  return {
    id: "7-memory-workers",
    title: "Resident memory of a worker process by its slots",
    unit: "MiB",
    better: "lower",
    conditions: [IDLE, BUSY],
    series: samples.series(counts.map(slotsText), [IDLE, BUSY]),
    doesNotShow: "The handlers' own memory: these wait and hold nothing. Most of it is Node itself.",
  };
}
