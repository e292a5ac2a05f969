/** The Python programs of examples/python against a real mesh: submit, receive capacity, be a worker. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PermanentError } from "../../../mesh/errors.js";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { foreignWorkerTests } from "../../support/core/foreign-worker.js";
import { heldJob } from "../../support/core/held-job.js";
import { examplePython } from "../../support/docs/example-programs.js";
import { EMPTY_INPUT } from "../../support/doors/doors.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { run, startProcess } from "../../support/process.js";
import { without } from "../../support/tools.js";
import { eventually, gate, within } from "../../support/wait.js";

const skip = without("python3");
const FOLDER = "examples/python";
leakGuard();
const mesh = await startMesh(WHOLE_FILE, { manager: { durable: true } });

test("the generated Python code is what proto/ gives", { skip }, async (t) => {
  const python = await examplePython(t);
  const { code, stdout, stderr } = await run(t, "bash", ["scripts/check-python-gen.sh", python]);
  assert.equal(code, 0, stdout + stderr);
});

test("a Python program submits over gRPC and prints the result", { skip }, async (t) => {
  await mesh.addWorker<number, number>({ pool: "py-submit", run: (job) => job.payload + 1 }, t);
  const args = [`${FOLDER}/submit.py`, "--addr", mesh.managerAddress, "py-submit", "41"];
  const { code, stdout, stderr } = await run(t, await examplePython(t), args);
  assert.deepEqual([code, stdout, stderr], [0, "42\n", ""]);
});

test("a Python program stores a job, waits for it, and finds it again by its id", { skip }, async (t) => {
  let runs = 0;
  const add = (job: { payload: number }): number => {
    runs += 1;
    if (job.payload < 0) throw new PermanentError("negative");
    return job.payload + 1;
  };
  await mesh.addWorker<number, number>({ pool: "py-stored", run: add }, t);
  const enqueue = async (id: string, payload: string) =>
    run(t, await examplePython(t), [
      `${FOLDER}/enqueue.py`,
      "--addr",
      mesh.managerAddress,
      "--id",
      id,
      "py-stored",
      payload,
    ]);
  for (let i = 0; i < 2; i += 1) {
    const { code, stdout, stderr } = await enqueue("once", "41");
    assert.deepEqual([code, stdout, stderr], [0, "42\n", "stored as once\n"]);
  }
  assert.equal(runs, 1);
  const failed = await enqueue("fails", "-1");
  assert.deepEqual([failed.code, failed.stdout, failed.stderr], [1, "", "stored as fails\njob_rejected: negative\n"]);
});

test("a Python program hears UNIMPLEMENTED from what is not served", { skip }, async (t) => {
  const paths = ["/a.B/C", "/poolmesh.v1.ManagerService/Nope"];
  const args = ["test/support/programs/unknown-method.py", mesh.managerAddress, ...paths];
  const { stdout, stderr } = await run(t, await examplePython(t), args);
  assert.deepEqual([stdout, stderr], ["UNIMPLEMENTED\nUNIMPLEMENTED\n", ""]);
});

test("a Python program submits over plain HTTP with JSON and nothing but the standard library", { skip }, async (t) => {
  await mesh.addWorker<number, number>({ pool: "py-http", run: (job) => job.payload + 1 }, t);
  const python = await examplePython(t);
  const submit = (value: string, pool = "py-http") =>
    run(t, python, ["-I", `${FOLDER}/submit_http.py`, "--url", mesh.manager.url, pool, value]);
  const { code, stdout, stderr } = await submit("41");
  assert.deepEqual([code, stdout, stderr], [0, "42\n", ""]);
  const refused = await submit("41", "no such name");
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^invalid_argument: pool name has a character that is not allowed/);
});

test("a Python program hears our reason when its job fails", { skip }, async (t) => {
  const fail = (): never => {
    throw new Error("not today");
  };
  await mesh.addWorker({ pool: "py-fails", run: fail }, t);
  const python = await examplePython(t);
  const overGrpc = await run(t, python, [`${FOLDER}/submit.py`, "--addr", mesh.managerAddress, "py-fails", "41"]);
  assert.deepEqual([overGrpc.code, overGrpc.stderr], [1, "job_failed: not today\n"]);
  const overHttp = await run(t, python, [`${FOLDER}/submit_http.py`, "--url", mesh.manager.url, "py-fails", "41"]);
  assert.deepEqual([overHttp.code, overHttp.stderr], [1, "job_failed: not today\n"]);
});

test("a Python program's deadline is the job's and reaches the handler", { skip }, async (t) => {
  const held = heldJob();
  await mesh.addWorker({ pool: "py-late", run: held.run }, t);
  const args = [`${FOLDER}/submit.py`, "--addr", mesh.managerAddress, "--timeout", "2.5", "py-late", "1"];
  const { code, stderr } = await run(t, await examplePython(t), args);
  assert.equal(code, 1);
  assert.match(stderr, /deadline_?exceeded/i);
  await within(held.aborted, { what: "the handler's signal" });
});

test("a Python client of WorkerStatus receives capacity at once and on every change", { skip }, async (t) => {
  const held = gate();
  await mesh.addWorker({ pool: "py-status", slots: 2, run: () => held.promise }, t);
  await mesh.untilCapacity("py-status", 2);
  const args = [`${FOLDER}/capacity.py`, "--addr", mesh.meterAddress, "--pool", "py-status"];
  const client = startProcess(t, await examplePython(t), args);
  await client.line(/^capacity 0\.000$/);
  const job = mesh.client.submit({ pool: "py-status", input: EMPTY_INPUT });
  await client.line(/^capacity 0\.500$/);
  held.open();
  await job;
  await eventually(() => client.stdout.trimEnd().endsWith("capacity 0.000"), { what: "capacity 0 at the end" });
});

foreignWorkerTests(mesh, {
  language: "Python",
  skip,
  command: async (t, pool, delayMs) => {
    const options = ["--nats", mesh.natsUrl, "--pool", pool, "--id", "w1", "--slots", "2"];
    return [await examplePython(t), `${FOLDER}/worker.py`, ...options, "--delay", String(delayMs / 1_000)];
  },
});
