/** Control of several workers at once: by number, by label, of a whole pool. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { EMPTY_INPUT } from "../../support/doors/doors.js";
import { leakGuard } from "../../support/leak-guard.js";
import { type Mesh, startMesh } from "../../support/mesh.js";
import { eventually, gate, settled, within } from "../../support/wait.js";

leakGuard();
const mesh: Mesh = await startMesh(WHOLE_FILE);

const selector = (pool: string, more: { count?: number; labels?: Record<string, string>; worker?: string } = {}) => ({
  selector: { pool, ...more },
});

/** Four workers of one slot, the first two of which hold a job. */
async function halfBusy(pool: string) {
  const held = gate();
  const run = () => held.promise.then(() => "done");
  const jobs: Promise<unknown>[] = [];
  for (const id of ["busy1", "busy2"]) {
    await mesh.addWorker({ pool, id, run, graceMs: 10_000, labels: { zone: "a" } });
    await mesh.untilCapacity(pool, jobs.length + 1);
    jobs.push(mesh.client.submit({ pool, input: EMPTY_INPUT }));
    await mesh.untilCapacity(pool, jobs.length, jobs.length);
  }
  for (const id of ["idle1", "idle2"]) await mesh.addWorker({ pool, id, run, labels: { zone: "b" } });
  await mesh.untilCapacity(pool, 4, 2);
  return { jobs, finish: () => held.open() };
}

async function statesOf(pool: string): Promise<Record<string, string>> {
  const { workers } = await mesh.client.listWorkers({ pool });
  return Object.fromEntries(
    workers.map(({ heartbeat }) => [heartbeat?.worker ?? "", WorkerState[heartbeat?.state ?? 0] ?? ""]),
  );
}

test("control - scaling in by a number stops idle workers first and no work", async () => {
  const { jobs, finish } = await halfBusy("scale-in");
  const { workers } = await within(mesh.client.drainWorker({ ...selector("scale-in", { count: 2 }), wait: true }));
  assert.deepEqual(workers.map(({ worker }) => worker).sort(), ["idle1", "idle2"]);
  await eventually(async () => Object.keys(await statesOf("scale-in")).length === 2);
  assert.deepEqual(await statesOf("scale-in"), { busy1: "READY", busy2: "READY" });
  finish();
  await Promise.all(jobs);
});

test("control - a drain that waits answers when the worker is empty, and not before", async () => {
  const { jobs, finish } = await halfBusy("wait");
  const drained = mesh.client.drainWorker({ ...selector("wait", { worker: "busy1" }), wait: true });
  await eventually(async () => (await statesOf("wait")).busy1 === "DRAINING");
  assert.equal(await settled(drained), "pending");
  finish();
  const { workers } = await within(drained);
  assert.equal(workers[0]?.busy, 0);
  await Promise.all(jobs);
});

test("control - a label and a whole pool are paused and resumed, each worker acknowledging", async () => {
  const { jobs, finish } = await halfBusy("label");
  const paused = await mesh.client.pauseWorker(selector("label", { labels: { zone: "b" } }));
  assert.deepEqual(
    paused.workers.map(({ state }) => state),
    [WorkerState.PAUSED, WorkerState.PAUSED],
  );
  await mesh.untilCapacity("label", 2);
  const resumed = await mesh.client.resumeWorker(selector("label"));
  assert.deepEqual(resumed.workers.map(({ worker }) => worker).sort(), ["idle1", "idle2"], "only who was paused");
  await mesh.untilCapacity("label", 4);
  const resized = await mesh.client.resizeWorker({ ...selector("label"), slots: 3 });
  assert.deepEqual(
    resized.workers.map(({ slots }) => slots),
    [3, 3, 3, 3],
  );
  await mesh.untilCapacity("label", 12);
  finish();
  await Promise.all(jobs);
});
