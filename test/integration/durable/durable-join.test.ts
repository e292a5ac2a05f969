/** What workers run for a killed manager is joined by the survivor, and does not run a second time. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Client } from "../../../client/client.js";
import { DurableLane } from "../../../client/durable/operator.js";
import { decodeHeldList, sizeOf } from "../../../mesh/durable/held-list.js";
import { connectBus, startBroker } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import type { Gated } from "../../support/handlers/gated.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startCli, type TestProcess } from "../../support/process.js";
import { programFile } from "../../support/program-file.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const POOL = "join";
const GATED = programFile("../../support/handlers/gated", import.meta.url);
const WORKERS = 2;
const SLOTS = 150;
const JOBS = WORKERS * SLOTS;
/** The share of jobs that may run a second time. */
const MAX_SECOND = 0.05;
/** Long before the ack wait of 30 s; it takes about 2 s. */
const TAKEOVER_LIMIT_MS = 15_000;

/** A mesh of processes: the doomed manager has sent every job to a worker, and a survivor knows what it holds. */
async function startMesh(t: TestContext, idempotent: (index: number) => boolean) {
  const folder = await mkdtemp(join(tmpdir(), "poolmesh-join-"));
  cleanUp(t, () => rm(folder, { recursive: true, force: true }));
  const broker = await startBroker(t);
  const env = { NATS_URL: broker.url, GATES: folder };
  const start = async (...args: string[]): Promise<TestProcess> => {
    const child = startCli(t, [...args, "--log-level", "info"], { env });
    await child.line(/"msg":"ready"/, 60_000);
    return child;
  };
  const manager = (id: string): Promise<TestProcess> =>
    start("manager", "--id", id, "--durable", "--pools", POOL, "--listen", "127.0.0.1:0", "--grace-ms", "0");
  const worker = (): Promise<TestProcess> => {
    return start("worker", "--pool", POOL, "--handler", GATED, "--slots", String(SLOTS), "--grace-ms", "0");
  };
  const doomed = await manager("doomed");
  await Promise.all(Array.from({ length: WORKERS }, worker));
  const bus = await connectBus(t, broker);
  const client = await Client.connect({ pool: POOL, connection: bus });
  cleanUp(t, () => client.close());
  const ended = new Map<string, number>();
  bus.subscribe(`pool.${POOL}.ended.*`, ({ subject }) => {
    const id = subject.slice(subject.lastIndexOf(".") + 1);
    ended.set(id, (ended.get(id) ?? 0) + 1);
  });
  const ids: string[] = [];
  const jobs = Array.from({ length: JOBS }, (_, index) => ({ index, id: `job-${index}` }));
  await Promise.all(
    jobs.map(async ({ index, id }) => {
      const job: Gated = { id, gate: index % 2 === 0 ? "early" : "late" };
      const options = { id, idempotent: idempotent(index), timeoutMs: 300_000 };
      ids[index] = (await client.enqueue(JSON.stringify(job), options)).id;
    }),
  );
  const runs = async (): Promise<string[]> =>
    (await readFile(join(folder, "runs"), "utf8").catch(() => "")).split("\n").filter((id) => id !== "");
  await eventually(async () => (await runs()).length === JOBS, { limitMs: 60_000, what: "every job at a worker" });
  await manager("survivor");
  let lists = 0;
  bus.subscribe(`pool.${POOL}.held.doomed`, ({ data }) => {
    const list = decodeHeldList(data);
    if (list !== undefined && sizeOf(list) === JOBS) lists += 1;
  });
  await bus.flush();
  await eventually(() => lists > 0, { what: "a list of what the doomed manager holds" });
  const open = (gate: string): Promise<void> => writeFile(join(folder, gate), "");
  return { doomed, client, bus, ids, ended, runs, open };
}

/** Kills the manager; the even jobs end while nobody hears, the odd ones after the survivor has joined them. */
async function killAndEnd(mesh: Awaited<ReturnType<typeof startMesh>>): Promise<number> {
  const { doomed, client, ids, ended, open } = mesh;
  const begunAtMs = performance.now();
  await doomed.kill();
  await open("early");
  const early = ids.filter((_, index) => index % 2 === 0);
  const late = ids.filter((_, index) => index % 2 === 1);
  await eventually(() => early.every((id) => ended.has(id)), {
    limitMs: 60_000,
    what: "the outcomes of the early jobs",
  });
  const tookMs = performance.now() - begunAtMs;
  await eventually(async () => (await client.lookup(late.at(-1) ?? "")).state === "running" || ended.size === JOBS, {
    limitMs: 60_000,
    what: "the last job at the survivor",
  });
  await open("late");
  await eventually(() => ids.every((id) => ended.has(id)), { limitMs: 60_000, what: "all outcomes" });
  return tookMs;
}

test("durable - kill -9 of a manager that holds 300 running jobs: a survivor has them in seconds, at most 5 % run twice, and each has one outcome", async (t) => {
  const mesh = await startMesh(t, () => true);
  const tookMs = await killAndEnd(mesh);
  const runs = await mesh.runs();
  const second = runs.length - new Set(runs).size;
  t.diagnostic(`outcomes of what ended meanwhile were stored after ${Math.round(tookMs)} ms; ${second} second runs`);
  assert.ok(tookMs < TAKEOVER_LIMIT_MS, `${tookMs} ms`);
  assert.ok(second <= JOBS * MAX_SECOND, `${second} second runs`);
  for (const id of mesh.ids) {
    assert.equal(mesh.ended.get(id), 1, id);
    const outcome = await mesh.client.outcome(id);
    assert.ok(outcome?.ok, id);
    assert.equal(outcome.result.json(), id);
  }
});

test("durable - kill -9 of a manager that holds 300 running jobs that may run once: each runs once, and has its result or is a dead letter", async (t) => {
  const mesh = await startMesh(t, () => false);
  await killAndEnd(mesh);
  const runs = await mesh.runs();
  assert.equal(runs.length, new Set(runs).size, "none ran twice");
  const lane = await DurableLane.open({ pool: POOL, connection: mesh.bus });
  cleanUp(t, () => lane.close());
  const dead = new Set<string>();
  for await (const { id } of lane.dead.list({ limit: JOBS })) dead.add(id);
  for (const id of mesh.ids) {
    assert.equal(mesh.ended.get(id), 1, id);
    const outcome = await mesh.client.outcome(id);
    assert.equal(outcome?.ok, !dead.has(id), id);
  }
  t.diagnostic(`${dead.size} of ${JOBS} are dead letters`);
  assert.ok(dead.size <= JOBS * MAX_SECOND, `${dead.size} dead letters`);
});
