/** The durable lane: where a job stands, and how it is canceled wherever it is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "../../../client/client.js";
import { BrokerOptions } from "../../../mesh/link/broker/options.js";
import { Bus } from "../../../mesh/link/bus.js";
import { systemRuntime } from "../../../mesh/link/runtime.js";
import type { Handler } from "../../../services/worker/worker.js";
import type { Owner } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { runInShell } from "../../support/docs/fake-shell.js";
import { startDurableMesh } from "../../support/durable-mesh.js";
import { failure } from "../../support/failure.js";
import { leakGuard } from "../../support/leak-guard.js";
import { eventually, gate } from "../../support/wait.js";

leakGuard();
const mesh = await startDurableMesh();
const { servers } = mesh;

const startPool = (t: Owner, pool: string, run: Handler<unknown, unknown>) =>
  mesh.startPool(t, pool, run, { slots: 1, graceMs: 0 });

test("durable - a job is running, held, queued, retrying or ended, and lookup says which and where", async (t) => {
  const held = gate();
  const started = gate();
  const [client] = await startPool(t, "l-states", async (job) => {
    if (job.payload === "fail") throw new Error("later");
    started.open();
    await held.promise;
    return job.payload;
  });
  const failing = await client.enqueue('"fail"', { backoff: { baseMs: 60_000, capMs: 60_000 } });
  await eventually(async () => (await client.lookup(failing.id)).state === "retrying");
  const first = await client.enqueue("1");
  await started.promise;
  const others = await Promise.all(Array.from({ length: 40 }, (_, i) => client.enqueue(String(i + 2))));
  await eventually(async () => {
    const { state, worker } = await client.lookup(first.id);
    return state === "running" && worker === "l-states-worker";
  });
  const statesNow = async (): Promise<string> => {
    const states = await Promise.all(others.map(async ({ id }) => (await client.lookup(id)).state));
    return [...new Set(states)].sort().join();
  };
  await eventually(async () => (await statesNow()) === "held,queued", { what: "some to be held, and some queued" });
  held.open();
  await Promise.all(others.map((each) => each.result({ timeoutMs: 60_000 })));
  const ended = await client.lookup(first.id);
  assert.deepEqual([ended.state, ended.attempt, ended.outcome?.ok], ["ended", 1, true]);
  assert.equal((await failure(client.lookup("nobody"))).reason, "not_found");
});

test("durable - cancel ends a job that runs, one that is held, one that is queued and one that waits after a failure", async (t) => {
  const held = gate();
  t.after(() => held.open());
  const started = gate();
  const [client, lane] = await startPool(t, "l-cancel", async (job) => {
    if (job.payload === "fail") throw new Error("later");
    started.open();
    await Promise.race([held.promise, new Promise((resolve) => job.signal.addEventListener("abort", resolve))]);
    return "too late";
  });
  const failing = await client.enqueue('"fail"', { backoff: { baseMs: 60_000, capMs: 60_000 } });
  await eventually(async () => (await client.lookup(failing.id)).state === "retrying");
  const jobs = await Promise.all(Array.from({ length: 40 }, (_, i) => client.enqueue(String(i))));
  await started.promise;
  await eventually(async () => (await lane.figures()).queued > 0);
  let states: string[] = [];
  // The manager that has a job says so within 150 ms, or it is told as the stream has it.
  const chosen = await eventually(async () => {
    states = await Promise.all(jobs.map(async ({ id }) => (await client.lookup(id)).state));
    return ["running", "held", "queued"].map((state) => jobs[states.indexOf(state)] ?? assert.fail(state));
  });
  for (const job of [...chosen, failing]) {
    await client.cancel(job.id);
    assert.equal((await failure(job.result({ timeoutMs: 5_000 }))).reason, "canceled");
    const outcome = await client.outcome(job.id, { waitMs: 5_000 });
    assert.equal(outcome?.ok, false);
  }
  const more = jobs.find((job) => !chosen.includes(job) && states[jobs.indexOf(job)] === "queued") ?? assert.fail();
  assert.equal((await runInShell(["cancel", "l-cancel", more.id], { NATS_URL: servers })).code, 0);
  assert.equal((await failure(more.result({ timeoutMs: 5_000 }))).reason, "canceled");
  held.open();
  const rest = jobs.filter((job) => job !== more && !chosen.includes(job));
  await Promise.all(rest.map((each) => each.result({ timeoutMs: 10_000 })));
  await eventually(async () => (await lane.figures()).stored === 0);
  assert.equal((await lane.figures()).dead, 0);
  assert.equal((await failure(client.cancel(failing.id))).reason, "not_found");
});

for (const hours of [-5, 5]) {
  test(`cancel - a caller whose clock is ${hours} hours off cancels a job of either lane that runs, and hears that it is canceled`, async (t) => {
    const pool = `l-clock-${hours > 0 ? "ahead" : "behind"}`;
    const begun: string[] = [];
    const ended: string[] = [];
    await startPool(t, pool, async (job) => {
      begun.push(job.id);
      await new Promise((resolve) => job.signal.addEventListener("abort", resolve));
      ended.push(job.id);
    });
    const runtime = { ...systemRuntime, wallNow: () => Date.now() + hours * 3_600_000 };
    const connection = new Bus(await (await BrokerOptions.read({ servers })).connect(), {}, runtime);
    cleanUp(t, () => connection.close());
    const client = await Client.connect({ pool, connection });
    cleanUp(t, () => client.close());
    const stored = await client.enqueue("1");
    await eventually(() => begun.length === 1);
    await client.cancel(stored.id);
    assert.equal((await failure(stored.result({ timeoutMs: 5_000 }))).reason, "canceled");
    await eventually(() => ended.length === 1);
    const outcome = new Promise<string>((resolve) => {
      const onOutcome = (end: { ok: boolean; error?: { reason: string } }): void => resolve(end.error?.reason ?? "ok");
      client.detachSubmit("2", { id: "unstored", onOutcome });
    });
    await eventually(() => begun.length === 2);
    await client.cancel("unstored");
    assert.equal(await outcome, "canceled");
    await eventually(() => ended.length === 2);
    assert.deepEqual(ended, begun);
  });
}
