/**
 * Many workers, each with a connection of its own, and many jobs of equal length at once: how long all of them take beside
 * the ideal, which is (jobs ÷ slots, rounded up) × the length of one, and what each part needs. The first round finds
 * processes that have done nothing before. Says also what the processor time of all parts allows on the cores of this machine,
 * if nothing else runs there.
 *
 *   node scripts/build.js && node --import tsx scripts/measure/scale/many-workers.ts [--workers 1000] [--processes 4] [--jobs 5000] [--job-ms 200] [--managers 1]
 */
import { availableParallelism } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Broker } from "../../../broker/broker.js";
import { Client } from "../../../client/client.js";
import { type Part, startPart, type TimedRun } from "./part.js";
import { shares } from "./usage.js";

const { values } = parseArgs({
  options: {
    workers: { type: "string", default: "1000" },
    processes: { type: "string", default: "4" },
    jobs: { type: "string", default: "5000" },
    "job-ms": { type: "string", default: "200" },
    managers: { type: "string", default: "1" },
    rounds: { type: "string", default: "3" },
  },
});
const [workers, processes, jobs, jobMs, managers, rounds] = (
  ["workers", "processes", "jobs", "job-ms", "managers", "rounds"] as const
).map((name) => Number(values[name])) as [number, number, number, number, number, number];
const POOL = "many";
/** The workers start within a second, and the manager asks them for a pace within ten. */
const SETTLE_MS = 12_000;
const TIMEOUT_MS = 120_000;

const broker = new Broker({ port: "any", jetStream: false });
await broker.start();
const servers = broker.url;
const parts: Part[] = [];
const client = await Client.connect({ pool: POOL, servers });
try {
  for (let i = 0; i < managers; i += 1) parts.push(await startPart({ kind: "manager", servers }));
  parts.push(await startPart({ kind: "meter", servers }));
  const ids = Array.from({ length: workers }, (_, i) => `w${i}`);
  const fleet = await Promise.all(
    Array.from({ length: processes }, (_, p) =>
      startPart({ kind: "workers", servers, slots: 1, pool: [POOL], ids: ids.filter((_, i) => i % processes === p) }),
    ),
  );
  parts.push(...fleet);
  await delay(SETTLE_MS);
  const pidsOfManagers = parts.slice(0, managers).map(({ pid }) => pid);
  const pids = {
    managers: pidsOfManagers,
    meter: [parts[managers]?.pid ?? 0],
    broker: [broker.pid],
    workers: fleet.map(({ pid }) => pid),
    client: [process.pid],
  };
  const idealMs = Math.ceil(jobs / workers) * jobMs;
  for (let round = 1; round <= rounds; round += 1) {
    let failed = 0;
    const lagsMs: number[] = [];
    const runOne = async (): Promise<void> => {
      const [, toMs] = (await client.submit(jobMs, { timeoutMs: TIMEOUT_MS })).json() as TimedRun;
      lagsMs.push(Date.now() - toMs);
    };
    const { ms, cpuMs, text } = await shares(pids, async () => {
      const outcomes = await Promise.allSettled(Array.from({ length: jobs }, runOne));
      for (const { status } of outcomes) if (status === "rejected") failed += 1;
    });
    lagsMs.sort((a, b) => a - b);
    const least = Math.max(1, cpuMs / availableParallelism() / idealMs);
    console.log(
      `round ${round}: ${jobs} jobs of ${jobMs} ms at ${workers} workers in ${ms.toFixed(0)} ms, ${(ms / idealMs).toFixed(2)} × ideal`,
    );
    console.log(
      `${text}\n  all: ${(cpuMs / jobs).toFixed(2)} ms of a processor for a job, so ${least.toFixed(2)} × ideal on ${availableParallelism()} cores that do nothing else`,
    );
    console.log(
      `  handler's end → result at the caller: median ${lagsMs[Math.floor(lagsMs.length / 2)]} ms, longest ${lagsMs.at(-1)} ms; ${failed} failed`,
    );
    if (failed > 0) process.exitCode = 1;
    await delay(2_000);
  }
} finally {
  await client.close();
  await Promise.all(parts.map((part) => part.stop()));
  await broker.stop();
}
