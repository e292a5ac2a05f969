/** Batches from the command line and over HTTP. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PermanentError } from "../../../../mesh/errors.js";
import { Meter } from "../../../../services/meter/meter.js";
import type { Handler } from "../../../../services/worker/worker.js";
import { cleanUp } from "../../../support/clean-up.js";
import { runInShell, type ShellExit } from "../../../support/docs/fake-shell.js";
import { startDurableMesh } from "../../../support/durable-mesh.js";
import { leakGuard } from "../../../support/leak-guard.js";
import { eventually } from "../../../support/wait.js";

leakGuard();
const mesh = await startDurableMesh();
const { servers } = mesh;

type Json = Record<string, unknown>;

async function post(url: string, method: string, body: Json): Promise<{ status: number; body: Json }> {
  const answer = await fetch(`${url}/poolmesh.v1.DurableService/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: (await answer.json()) as Json };
}

async function ask(method: string, body: Json): Promise<Json> {
  const answer = await post(mesh.service.url, method, body);
  assert.equal(answer.status, 200, `${method}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

function poolmesh(stdin: string, ...argv: string[]): Promise<ShellExit> {
  return runInShell(argv, { NATS_URL: servers }, { input: stdin });
}

const refuseSevens: Handler<unknown, unknown> = ({ payload }) => {
  if (payload === 7) throw new PermanentError("no sevens");
  return payload;
};

const numbers = (from: number, to: number): Json[] => Array.from({ length: to - from }, (_, i) => ({ json: from + i }));

test("batch HTTP - a batch that comes in several calls is completed once, and a call that is made again changes nothing", async (t) => {
  const summaries: Json[] = [];
  await mesh.startPool(t, "h-batch", refuseSevens, { slots: 4, graceMs: 0 });
  const finish: Handler<unknown, unknown> = ({ payload }) => summaries.push(payload as Json);
  await mesh.startPool(t, "h-batch-done", finish, { slots: 1, graceMs: 0 });
  const batch = { pool: "h-batch", batchId: "http", onComplete: { pool: "h-batch-done" }, context: { to: "ops" } };
  const first = await ask("EnqueueBatch", { ...batch, jobs: numbers(0, 10), more: true });
  assert.equal((first.batch as Json).state, "BATCH_STATE_ADDING");
  await ask("EnqueueBatch", { ...batch, jobs: numbers(0, 10), more: true });
  const last = await ask("EnqueueBatch", { ...batch, jobs: numbers(10, 15), firstIndex: 10 });
  assert.equal((last.batch as Json).total, 15);
  await eventually(() => summaries.length === 1);
  await ask("EnqueueBatch", { ...batch, jobs: numbers(10, 15), firstIndex: 10 });
  const failures = [{ index: 7, id: "http-7", reason: "job_rejected" }];
  const counts = { total: 15, succeeded: 14, failed: 1, canceled: 0 };
  assert.deepEqual(summaries, [{ batch: "http", pool: "h-batch", ...counts, failures, context: { to: "ops" } }]);
  const shown = (await ask("GetBatch", { pool: "h-batch", batchId: "http" })).batch as Json;
  assert.deepEqual(
    [shown.state, shown.succeeded, shown.completion],
    ["BATCH_STATE_COMPLETED", 14, { pool: "h-batch-done", jobId: "http-completed" }],
  );
  assert.deepEqual((await ask("ListBatches", { pool: "h-batch" })).batches, [shown]);
  assert.deepEqual(await ask("ListBatches", { pool: "h-batch", openOnly: true }), {});
});

test("batch HTTP - what is wrong is refused by its field", async (t) => {
  await mesh.startPool(t, "h-wrong", refuseSevens, { slots: 1, graceMs: 0 });
  const good = { pool: "h-wrong", batchId: "w", onComplete: { pool: "h-wrong" }, jobs: numbers(0, 1) };
  const wrong: [Json, RegExp][] = [
    [{ batchId: "" }, /^id: /],
    [{ onComplete: undefined }, /^on_complete: /],
    [{ jobs: numbers(0, 1_001) }, /^jobs: /],
    [{ firstIndex: 100_000 }, /^total: /],
    [{ jobs: [{}] }, /^input: /],
  ];
  for (const [more, text] of wrong) {
    const { status, body } = await post(mesh.service.url, "EnqueueBatch", { ...good, ...more });
    assert.equal(status, 400);
    assert.match(String(body.message), text);
  }
  assert.equal((await post(mesh.service.url, "GetBatch", { pool: "h-wrong", batchId: "nope" })).status, 404);
});

test("batch - the command line enqueues, lists and shows batches, at the broker and over HTTP", async (t) => {
  await mesh.startPool(t, "c-batch", refuseSevens, { slots: 4, graceMs: 0 });
  const lines = Array.from({ length: 12 }, (_, i) => `${i}\n`).join("");
  for (const [id, ...where] of [["nats"], ["http", "--url", mesh.service.url]] as const) {
    const said = ["batches", "c-batch", "enqueue", id, "--on-complete", "c-batch", "--context", "[1]", ...where];
    const added = await poolmesh(lines, ...said);
    assert.deepEqual(
      [added.code, added.stdout.trim()],
      [0, `${id}: 12 jobs, then c-batch:${id}-completed`],
      added.stderr,
    );
    const show = await eventually(async () => {
      const shown = await poolmesh("", "batches", "c-batch", "show", id, ...where);
      return /^state {5}completed$/m.test(shown.stdout) ? shown.stdout : undefined;
    });
    assert.match(show, /^done {6}12 of 12$/m);
    assert.match(show, new RegExp(`^ +${id}-7 {2}job_rejected$`, "m"));
    const listed = await poolmesh("", "batches", "c-batch", ...where);
    assert.match(listed.stdout, new RegExp(`^${id} +completed +12 of 12 +1 +0 +c-batch:${id}-completed$`, "m"));
    const json = JSON.parse((await poolmesh("", "batches", "c-batch", "show", id, "--json", ...where)).stdout);
    assert.deepEqual([json.succeeded, json.failed, json.completion.pool], [11, 1, "c-batch"]);
    const open = await poolmesh("", "batches", "c-batch", "--open", ...where);
    assert.match(open.stderr, /no batches in this pool/);
  }
  assert.match((await poolmesh("", "batches", "c-batch", "enqueue", "x")).stderr, /--on-complete/);
  assert.match((await poolmesh("", "batches", "c-batch", "show", "nothing")).stderr, /no batch of this id/);
  assert.match((await poolmesh("", "batches", "c-batch", "show")).stderr, /the batch's id/);
});

test("batch - a meter with the lane tells of batches, and the manager's metrics of completed ones", async (t) => {
  const [client] = await mesh.startPool(t, "m-batch", refuseSevens, { slots: 4, graceMs: 0 });
  await client.enqueueBatch(["1"], { id: "m", onComplete: { pool: "m-batch" } });
  const meter = new Meter({ bus: { servers }, listen: { host: "127.0.0.1", port: 0 }, durable: true });
  cleanUp(t, () => meter.stop());
  await meter.start();
  const told = await eventually(async () => {
    const { body } = await post(meter.url, "ListBatches", { pool: "m-batch" });
    const [batch] = (body.batches ?? []) as Json[];
    return batch?.state === "BATCH_STATE_COMPLETED" ? batch : undefined;
  });
  assert.equal(told.batchId, "m");
  const metrics = await (await fetch(`${mesh.service.url}/metrics`)).text();
  assert.match(metrics, /^poolmesh_manager_durable_batches_completed_total\{pool="m-batch"\} 1$/m);
});
