/** `poolmesh enqueue` against a mesh with a durable lane. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PermanentError } from "../../../mesh/errors.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { runInShell, type ShellExit, type ShellOptions } from "../../support/docs/fake-shell.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const mesh = await startMesh(WHOLE_FILE, { manager: { durable: true } });
await mesh.addWorker({ pool: "adder", slots: 4, run: (job) => Number(job.payload) + 1 });
await mesh.addWorker({
  pool: "fussy",
  run: (job) => {
    if (job.payload === "never") throw new PermanentError("not this one");
    throw new Error("try again");
  },
});
for (const pool of ["adder", "fussy"]) {
  await eventually(() => mesh.manager.pools?.durable?.of(mesh.manager.pools.get(pool)) !== undefined);
}

// The broker goes first: a manager that still has it waits until its open pulls are over.
cleanUp(WHOLE_FILE, () => mesh.broker.stop());

function poolmesh(argv: readonly string[], options: ShellOptions = {}): Promise<ShellExit> {
  return runInShell(argv, { NATS_URL: mesh.natsUrl }, options);
}

test("enqueue - prints the id of the stored job, or its receipt, or waits for its result", async () => {
  const plain = await poolmesh(["enqueue", "adder", "1"]);
  assert.equal(plain.code, 0, plain.stderr);
  assert.match(plain.stdout, /^\w+\n$/);
  const receipt = await poolmesh(["enqueue", "adder", "2", "--id", "two", "--json"]);
  assert.match(receipt.stdout, /^\{"id":"two","sequence":\d+,"duplicate":false\}\n$/);
  assert.equal((await poolmesh(["enqueue", "adder", "41", "--wait"])).stdout, "42");
  assert.equal((await poolmesh(["enqueue", "adder", "-", "--wait"], { input: "7" })).stdout, "8");
  const again = await poolmesh(["enqueue", "adder", "2", "--id", "two", "--wait", "--json"]);
  assert.match(again.stdout, /"result":3,/, "the kept outcome");
});

test("enqueue - a job that fails for good ends with its error, and a pool without a lane is told", async () => {
  const rejected = await poolmesh(["enqueue", "fussy", '"never"', "--wait"]);
  assert.equal(rejected.code, 1);
  assert.match(rejected.stderr, /job_rejected: not this one/);
  const nowhere = await poolmesh(["enqueue", "nowhere", "1"]);
  assert.deepEqual([nowhere.code, /--durable/.test(nowhere.stderr)], [69, true], nowhere.stderr);
  const wrong = await poolmesh(["enqueue", "adder", "1", "--backoff", "9-1"]);
  assert.deepEqual([wrong.code, wrong.stderr.includes("backoff")], [2, true], wrong.stderr);
});
