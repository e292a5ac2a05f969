/** The manager's HTTP door besides submitting: outcomes, cancel, control of workers, metrics, and how it stops. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { ManagerService } from "../../../gen/poolmesh/v1/manager_pb.js";
import { ManagerService as ManagerProgram } from "../../../services/manager/service.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { heldJob } from "../../support/core/held-job.js";
import { EMPTY_INPUT, rpcTransports } from "../../support/doors/doors.js";
import { rpcErrorOf } from "../../support/doors/http-service.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually, gate, within } from "../../support/wait.js";

leakGuard();
const mesh = await startMesh(WHOLE_FILE);
await mesh.addWorker<number, number>({ pool: "adder", slots: 4, run: ({ payload }) => payload + 1 });
const numberJob = (pool: string, n: number) => ({ pool, input: { case: "text", value: String(n) } }) as const;

test("DetachSubmit answers at once and GetOutcome tells how it ended", async (t) => {
  const { client } = mesh;
  const finish = gate();
  await mesh.addWorker<string, string>(
    { pool: "slow", codec: "text", run: ({ payload }) => finish.promise.then(() => payload) },
    t,
  );
  const { jobId } = await client.detachSubmit({ job: { pool: "slow", input: { case: "text", value: "x" } } });
  const waiting = client.getOutcome({ pool: "slow", jobId });
  finish.open();
  for (const { outcome } of [await waiting, await client.getOutcome({ pool: "slow", jobId })]) {
    assert.ok(outcome.case === "result");
    assert.equal(Buffer.from((outcome.value.output.value ?? "") as Uint8Array).toString(), "x");
  }
  assert.equal((await rpcErrorOf(client.getOutcome({ pool: "slow", jobId: "nobody" }))).reason, "not_found");
  assert.equal((await rpcErrorOf(client.detachSubmit({}))).reason, "invalid_argument");
});

test("Cancel ends a job that runs, and says so of one that it does not find", async (t) => {
  const { client } = mesh;
  const held = heldJob();
  await mesh.addWorker({ pool: "cancel", run: held.run }, t);
  const work = rpcErrorOf(client.submit({ pool: "cancel", jobId: "j1", input: EMPTY_INPUT }));
  await within(held.started, { what: "the job runs" });
  await client.cancel({ pool: "cancel", jobId: "j1" });
  assert.equal((await work).reason, "canceled");
  await within(held.aborted, { what: "the handler hears it" });
  assert.equal((await rpcErrorOf(client.cancel({ pool: "cancel", jobId: "j1" }))).reason, "not_found");
});

test("workers are listed, paused, resumed, resized and drained by name and by label", async (t) => {
  const { client } = mesh;
  const pool = "herd";
  await mesh.addWorker({ pool, id: "w1", labels: { zone: "a" }, run: () => 0 }, t);
  const w2 = await mesh.addWorker({ pool, id: "w2", labels: { zone: "b" }, run: () => 0 }, t);
  await mesh.untilCapacity(pool, 2);
  const { workers } = await client.listWorkers({ pool, labels: { zone: "b" } });
  assert.deepEqual(
    workers.map(({ heartbeat }) => heartbeat?.worker),
    ["w2"],
  );
  const paused = await client.pauseWorker({ selector: { pool, worker: "w1" } });
  assert.equal(paused.workers[0]?.state, WorkerState.PAUSED);
  await mesh.untilCapacity(pool, 1);
  await client.resumeWorker({ selector: { pool, labels: { zone: "a" } } });
  await mesh.untilCapacity(pool, 2);
  const resized = await client.resizeWorker({ selector: { pool }, slots: 3 });
  assert.deepEqual(
    resized.workers.map(({ slots }) => slots),
    [3, 3],
  );
  await mesh.untilCapacity(pool, 6);
  await client.drainWorker({ selector: { pool, worker: "w2" }, wait: true });
  await within(w2.closed, { what: "w2 has left" });
  await mesh.untilCapacity(pool, 3);
});

test("control of nobody is not_found or unknown_pool, and a missing selector invalid_argument", async () => {
  const { client } = mesh;
  const nobody = { pool: "adder", worker: "nobody" };
  assert.equal((await rpcErrorOf(client.drainWorker({ selector: nobody }))).reason, "not_found");
  assert.equal((await rpcErrorOf(client.pauseWorker({ selector: { pool: "nowhere" } }))).reason, "unknown_pool");
  assert.equal((await rpcErrorOf(client.listWorkers({ pool: "nowhere" }))).reason, "unknown_pool");
  assert.equal((await rpcErrorOf(client.resumeWorker({}))).field, "selector");
});

test("who does not want to wait hears why at once", async () => {
  const error = await rpcErrorOf(mesh.client.submit({ pool: "nowhere", noWait: true, input: EMPTY_INPUT }));
  assert.equal(error.reason, "unknown_pool");
  assert.ok(error.retryable);
});

test("metrics count outcomes by pool, and no series grows with jobs", async () => {
  const scrape = async (): Promise<string> => (await fetch(`${mesh.manager.url}/metrics`)).text();
  await mesh.client.submit(numberJob("adder", 1));
  await rpcErrorOf(mesh.client.submit({ pool: "adder", input: { case: "text", value: "{" } }));
  const before = await scrape();
  assert.match(before, /^poolmesh_manager_jobs_total\{pool="adder",outcome="ok"\} [1-9]/m);
  assert.match(before, /^poolmesh_manager_jobs_total\{pool="adder",outcome="invalid_argument"\} [1-9]/m);
  assert.match(before, /^poolmesh_manager_parked_jobs\{pool="adder"\} 0/m);
  for (let i = 0; i < 20; i += 1) await mesh.client.submit({ ...numberJob("adder", i), client: `c${i}` });
  assert.equal((await scrape()).split("\n").length, before.split("\n").length);
});

test("readiness follows the broker", async (t) => {
  const own = await startMesh(t);
  const ready = async (): Promise<number> => (await fetch(`${own.manager.url}/readyz`)).status;
  assert.equal(await ready(), 200);
  await own.broker.stop();
  await eventually(async () => (await ready()) === 503, { what: "not ready" });
  assert.equal((await fetch(`${own.manager.url}/healthz`)).status, 200);
  const error = await rpcErrorOf(own.client.submit({ pool: "adder", input: EMPTY_INPUT }));
  assert.equal(error.reason, "bus_unavailable");
});

test("a manager that stops answers the jobs it has within its grace, by the door they came by", async (t) => {
  const program = new ManagerProgram({
    bus: { servers: mesh.natsUrl },
    listen: { host: "127.0.0.1", port: 0 },
    graceMs: 10_000,
  });
  cleanUp(t, () => program.stop());
  await program.start();
  const started = gate();
  const finish = gate();
  const run = async (): Promise<string> => {
    started.open();
    await finish.promise;
    return "done";
  };
  await mesh.addWorker({ pool: "last", slots: 8, run }, t);
  const clients = Object.values(rpcTransports(program.url)).map((transport) => createClient(ManagerService, transport));
  const jobs = clients.map((client) => client.submit({ pool: "last", input: { case: "text", value: '""' } }));
  await within(started.promise, { what: "a job runs" });
  await mesh.untilCapacity("last", 8, jobs.length);
  const stopped = program.stop();
  const refused = await rpcErrorOf(clients[0]!.submit({ pool: "last", input: EMPTY_INPUT }));
  assert.equal(refused.reason, "draining");
  finish.open();
  for (const { output } of await Promise.all(jobs)) assert.deepEqual(output, { case: "text", value: '"done"' });
  await within(stopped, { what: "the manager has stopped" });
});
