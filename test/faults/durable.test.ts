/**
 * The durable lane under kill -9 of everything: what was acknowledged is not lost.
 *
 * The consumers have a short ack wait, so that what a killed manager held comes
 * back in seconds. Managers take it as they find it.
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "../../client/client.js";
import { DurableLane } from "../../client/durable/operator.js";
import { DurableNames, LEVELS } from "../../mesh/durable/names.js";
import { LaneStore } from "../../mesh/durable/store.js";
import { jobsStream, levelConsumer, sharedStreams } from "../../mesh/durable/streams.js";
import { type PoolError, toPoolError } from "../../mesh/errors.js";
import { connectBus, startBroker } from "../support/broker.js";
import { cleanUp, type Owner } from "../support/clean-up.js";
import { leakGuard } from "../support/leak-guard.js";
import { startCli, type TestProcess } from "../support/process.js";
import { programFile } from "../support/program-file.js";
import { eventually } from "../support/wait.js";
import type { Work } from "./rig/durable-handler.js";

leakGuard();
const POOL = "work";
const JOBS = 400;
const ACK_WAIT_MS = 3_000;
const KINDS = ["plain", "once", "plain", "failing"] as const;

interface Given extends Work {
  readonly once: boolean;
}

/** What was seen of one job. */
interface Seen {
  readonly given: Given;
  readonly runs: number;
  /** Times that the stream said that its outcome is stored. */
  readonly ended: number;
  readonly outcome: "result" | "error" | "live" | "none";
  readonly dead: boolean;
}

/** What of the lane's promise does not hold for a job; empty when all holds. */
function broken({ given, runs, ended, outcome, dead }: Seen): string[] {
  const problems: string[] = [];
  if (outcome === "none" && !dead) problems.push("it was acknowledged, and is lost");
  if (outcome === "live") problems.push("it is still live at the end");
  if (ended > 1) problems.push(`${ended} outcomes were stored`);
  if (given.once && runs > 1) problems.push(`it may run once, and ran ${runs} times`);
  if (outcome === "error" && !dead) problems.push("it ended with an error, and is no dead letter");
  if (outcome === "result" && dead) problems.push("it has a result, and is a dead letter");
  if (outcome === "result" && runs === 0) problems.push("it has a result, and never ran");
  return problems.map((problem) => `${given.id}: ${problem}`);
}

test("durable - kill -9 of workers, managers and the broker under load: nothing that was acknowledged is lost", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "poolmesh-durable-"));
  cleanUp(t, () => rm(folder, { recursive: true, force: true }));
  const broker = await startBroker(t, { storeFolder: join(folder, "store") });
  const bus = await connectBus(t, broker, { waitOnFirstConnect: true });
  await provision(new LaneStore(bus));
  const runsFile = join(folder, "runs");
  const env = { NATS_URL: broker.url, DURABLE_RUNS: runsFile };
  const start = (...args: string[]): Promise<TestProcess> => startReady(t, env, args);
  const manager = (): Promise<TestProcess> =>
    start("manager", "--durable", "--pools", POOL, "--listen", "127.0.0.1:0", "--grace-ms", "1000");
  const worker = (): Promise<TestProcess> =>
    start(
      "worker",
      "--pool",
      POOL,
      "--handler",
      programFile("./rig/durable-handler", import.meta.url),
      "--slots",
      "4",
      "--grace-ms",
      "0",
    );
  const [managers, workers] = await Promise.all([
    Promise.all([manager(), manager()]),
    Promise.all([worker(), worker(), worker()]),
  ]);
  const client = await Client.connect({ pool: POOL, connection: bus });
  cleanUp(t, () => client.close());
  const ended = new Map<string, number>();
  bus.subscribe(`pool.${POOL}.ended.*`, ({ subject }) => {
    const id = subject.slice(subject.lastIndexOf(".") + 1);
    ended.set(id, (ended.get(id) ?? 0) + 1);
  });

  const jobs = Array.from({ length: JOBS }, (_, index) => given(index));
  let acknowledged = 0;
  const enqueueing = inTurn(jobs, 16, async (job) => {
    await untilStored(client, job);
    acknowledged += 1;
  });
  const after = (part: number): Promise<true> =>
    eventually(() => acknowledged >= JOBS * part, { limitMs: 60_000, what: `${part} of all jobs acknowledged` });
  await after(0.15);
  await workers[0]?.kill();
  void worker();
  await after(0.35);
  await managers[0]?.kill();
  void manager();
  await after(0.55);
  await broker.crash();
  await broker.revive();
  await after(0.75);
  await Promise.all([managers[1]?.kill(), workers[1]?.kill()]);
  void worker();
  await enqueueing;

  const lane = await DurableLane.open({ pool: POOL, connection: bus });
  cleanUp(t, () => lane.close());
  await eventually(async () => (await lane.figures().catch(() => undefined))?.stored === 0, {
    limitMs: 60_000,
    pollMs: 100,
    what: "an empty stream",
  });
  const seen = await look(client, lane, jobs, await readFile(runsFile, "utf8"), ended);
  assert.deepEqual(seen.flatMap(broken), []);
  const second = seen.reduce((sum, { runs, given: { fails } }) => sum + (fails ? 0 : Math.max(0, runs - 1)), 0);
  const dead = seen.filter((each) => each.dead && !each.given.fails).length;
  t.diagnostic(`${JOBS} jobs, ${second} second runs, ${dead} given up that may run once`);
});

async function look(
  client: Client,
  lane: DurableLane,
  jobs: readonly Given[],
  runs: string,
  ended: ReadonlyMap<string, number>,
): Promise<Seen[]> {
  const counted = new Map<string, number>();
  for (const id of runs.split("\n")) counted.set(id, (counted.get(id) ?? 0) + 1);
  const dead = new Set<string>();
  for await (const { id } of lane.dead.list({ limit: 10_000 })) dead.add(id);
  const seen: Seen[] = [];
  await inTurn(jobs, 32, async (job) => {
    const outcome = await client.outcome(job.id).then(
      (found) => (found === undefined ? "live" : found.ok ? "result" : "error"),
      (error: PoolError) => (error.reason === "not_found" ? "none" : "live"),
    );
    const { id } = job;
    seen.push({ given: job, runs: counted.get(id) ?? 0, ended: ended.get(id) ?? 0, outcome, dead: dead.has(id) });
  });
  return seen;
}

function given(index: number): Given {
  const kind = KINDS[index % KINDS.length];
  return { id: `job-${index}`, ms: 5 + (index % 7) * 10, fails: kind === "failing", once: kind === "once" };
}

/** As a caller does that must not lose it: again under the same id until the stream says that it has it. */
async function untilStored(client: Client, { once, ...work }: Given): Promise<void> {
  const options = { id: work.id, idempotent: !once, maxAttempts: 2, backoff: { baseMs: 50, capMs: 50 } };
  for (;;) {
    try {
      await client.enqueue(JSON.stringify(work), { ...options, enqueueTimeoutMs: 5_000 });
      return;
    } catch (thrown) {
      const error = toPoolError(thrown);
      if (!error.retryable) throw error;
      await delay(100);
    }
  }
}

async function provision(store: LaneStore): Promise<void> {
  const names = new DurableNames();
  for (const settings of [...sharedStreams(names, 1), jobsStream(names, POOL, 1)]) await store.addStream(settings);
  for (const level of LEVELS) {
    const settings = { ...levelConsumer(names, POOL, level), ack_wait: ACK_WAIT_MS * 1e6 };
    await store.addConsumer(names.jobsStream(POOL), settings);
  }
}

async function startReady(t: Owner, env: Record<string, string>, args: readonly string[]): Promise<TestProcess> {
  const child = startCli(t, [...args, "--log-level", "info"], { env });
  await child.line(/"msg":"ready"/, 60_000);
  return child;
}

/** Runs `work` for each, so many at a time. */
async function inTurn<T>(all: readonly T[], width: number, work: (one: T) => Promise<void>): Promise<void> {
  const rest = all.values();
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const one of rest) await work(one);
    }),
  );
}
