/** The Go programs of examples/go against a real mesh: submit, receive capacity, be a worker. */
import assert from "node:assert/strict";
import { resolve } from "node:path";
import { test } from "node:test";
import { PermanentError } from "../../../mesh/errors.js";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { foreignWorkerTests } from "../../support/core/foreign-worker.js";
import { heldJob } from "../../support/core/held-job.js";
import { goBuild, goProgram } from "../../support/docs/example-programs.js";
import { EMPTY_INPUT } from "../../support/doors/doors.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { run, startProcess } from "../../support/process.js";
import { toolPath, without } from "../../support/tools.js";
import { eventually, gate, within } from "../../support/wait.js";

const skip = without("go");
leakGuard();
const mesh = await startMesh(WHOLE_FILE, { manager: { durable: true } });

test("the generated Go code is what proto/ gives", { skip }, async (t) => {
  const { code, stdout, stderr } = await run(t, "bash", ["scripts/check-go-gen.sh"], {
    env: { PATH: `${process.env.PATH}:${toolPath("go").replace(/\/go$/, "")}` },
    limitMs: 300_000,
  });
  assert.equal(code, 0, stdout + stderr);
});

test("a Go program submits over gRPC and prints the result", { skip }, async (t) => {
  await mesh.addWorker<number, number>({ pool: "go-submit", run: (job) => job.payload + 1 }, t);
  const submit = await goProgram(t, "submit");
  const { code, stdout, stderr } = await run(t, submit, ["-addr", mesh.managerAddress, "go-submit", "41"]);
  assert.deepEqual([code, stdout, stderr], [0, "42\n", ""]);
});

test("a Go program stores a job, waits for it, and finds it again by its id", { skip }, async (t) => {
  let runs = 0;
  const add = (job: { payload: number }): number => {
    runs += 1;
    if (job.payload < 0) throw new PermanentError("negative");
    return job.payload + 1;
  };
  await mesh.addWorker<number, number>({ pool: "go-stored", run: add }, t);
  const enqueue = async (id: string, payload: string) =>
    run(t, await goProgram(t, "enqueue"), ["-addr", mesh.managerAddress, "-id", id, "go-stored", payload]);
  for (let i = 0; i < 2; i += 1) {
    const { code, stdout, stderr } = await enqueue("once", "41");
    assert.deepEqual([code, stdout, stderr], [0, "42\n", "stored as once\n"]);
  }
  assert.equal(runs, 1);
  const failed = await enqueue("fails", "-1");
  assert.deepEqual([failed.code, failed.stdout, failed.stderr], [1, "", "stored as fails\njob_rejected: negative\n"]);
});

test("a Go program hears our reason when its job fails", { skip }, async (t) => {
  const fail = (): never => {
    throw new Error("not today");
  };
  await mesh.addWorker({ pool: "go-fails", run: fail }, t);
  const submit = await goProgram(t, "submit");
  const failed = await run(t, submit, ["-addr", mesh.managerAddress, "go-fails", "41"]);
  assert.deepEqual([failed.code, failed.stderr], [1, "job_failed: not today\n"]);
  const refused = await run(t, submit, ["-addr", mesh.managerAddress, "no.such.name", "41"]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^invalid_argument: pool name has a character that is not allowed/);
});

test("a Go program hears Unimplemented from what is not served", { skip }, async (t) => {
  const source = resolve("test/support/programs/unknown-method.go");
  const program = await goBuild(t, source, "unknown-method");
  const paths = ["/a.B/C", "/poolmesh.v1.ManagerService/Nope"];
  const { stdout, stderr } = await run(t, program, [mesh.managerAddress, ...paths]);
  assert.deepEqual([stdout, stderr], ["Unimplemented\nUnimplemented\n", ""]);
});

test("a Go program's deadline is the job's and reaches the handler", { skip }, async (t) => {
  const held = heldJob();
  await mesh.addWorker({ pool: "go-late", run: held.run }, t);
  const submit = await goProgram(t, "submit");
  const args = ["-addr", mesh.managerAddress, "-timeout", "2500ms", "go-late", "1"];
  const { code, stderr } = await run(t, submit, args);
  assert.equal(code, 1);
  assert.match(stderr, /deadline_?exceeded/i);
  await within(held.aborted, { what: "the handler's signal" });
});

test("a Go client of WorkerStatus receives capacity at once and on every change", { skip }, async (t) => {
  const held = gate();
  await mesh.addWorker({ pool: "go-status", slots: 2, run: () => held.promise }, t);
  await mesh.untilCapacity("go-status", 2);
  const capacity = await goProgram(t, "capacity");
  const client = startProcess(t, capacity, ["-addr", mesh.meterAddress, "-pool", "go-status"]);
  await client.line(/^capacity 0\.000$/);
  const job = mesh.client.submit({ pool: "go-status", input: EMPTY_INPUT });
  await client.line(/^capacity 0\.500$/);
  held.open();
  await job;
  await eventually(() => client.stdout.trimEnd().endsWith("capacity 0.000"), { what: "capacity 0 at the end" });
});

test("a Go client of MeterService receives every pool by name", { skip }, async (t) => {
  await mesh.addWorker({ pool: "go-watch", slots: 3, run: () => null }, t);
  const capacity = await goProgram(t, "capacity");
  const client = startProcess(t, capacity, ["-addr", mesh.meterAddress, "-watch"]);
  await client.line(/^go-watch: 0 of 3 slots busy, 0 parked$/);
});

foreignWorkerTests(mesh, {
  language: "Go",
  skip,
  command: async (t, pool, delayMs) => {
    const options = ["-nats", mesh.natsUrl, "-pool", pool, "-id", "w1", "-slots", "2", "-delay", `${delayMs}ms`];
    return [await goProgram(t, "worker"), ...options];
  },
});
