/** A name that is no pool: told at once, and forgotten; a job without an input is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { ManagerService } from "../../../gen/poolmesh/v1/manager_pb.js";
import { ManagerService as ManagerServer } from "../../../services/manager/service.js";
import { connectBus } from "../../support/broker.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { heldJob } from "../../support/core/held-job.js";
import { EMPTY_INPUT, rpcTransports } from "../../support/doors/doors.js";
import { rpcErrorOf } from "../../support/doors/http-service.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { meterClient } from "../../support/meter/meter-rig.js";
import { eventually, within } from "../../support/wait.js";

leakGuard();
const mesh = await startMesh(WHOLE_FILE);
const doors = Object.entries(rpcTransports(mesh.manager.url)).map(
  ([name, transport]) => [name, createClient(ManagerService, transport)] as const,
);

async function post(body: unknown): Promise<{ status: number; message: string; text: string }> {
  const answer = await fetch(`${mesh.manager.url}/poolmesh.v1.ManagerService/Submit`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, message: (JSON.parse(text) as { message?: string }).message ?? "", text };
}

const metrics = async (url: string): Promise<string> => (await fetch(`${url}/metrics`)).text();

test("a field that is mistyped in JSON is refused by its name", async () => {
  for (const [body, name] of [
    [{ pool: "raw", jsn: 1 }, "jsn"],
    [{ pool: "raw", json: 1, timeout: "5" }, "timeout"],
    [{ Pool: "raw", json: 1 }, "Pool"],
  ] as const) {
    const { status, message } = await post(body);
    assert.equal(status, 400, message);
    assert.equal(message, `${name}: there is no such field`);
  }
});

test("a job without an input is refused, one with an empty input runs", async () => {
  await mesh.addWorker<string, string>({ pool: "lengths", codec: "text", run: ({ payload }) => `${payload.length}` });
  const missing = await post({ pool: "lengths" });
  assert.equal(missing.status, 400);
  assert.match(missing.message, /^input: missing/);
  for (const input of [{ payload: "" }, { text: "" }]) {
    const { status, text } = await post({ pool: "lengths", ...input });
    assert.equal(status, 200, text);
  }
  for (const [name, client] of doors) {
    const error = await rpcErrorOf(client.submit({ pool: "lengths" }));
    assert.deepEqual([error.reason, error.field], ["invalid_argument", "input"], name);
    const detached = await rpcErrorOf(client.detachSubmit({ job: { pool: "lengths" } }));
    assert.deepEqual([detached.reason, detached.field], ["invalid_argument", "input"], name);
  }
});

test("a job for a pool that there is not is told so, and does not wait for its deadline", async () => {
  for (const [name, client] of doors) {
    const job = { pool: "mistyped", input: EMPTY_INPUT, timeoutMs: 3_600_000n };
    const error = await within(rpcErrorOf(client.submit(job)), { what: "the refusal" });
    assert.equal(error.reason, "unknown_pool", `${name}: ${error.message}`);
    assert.match(error.message, /no worker has ever sent a heartbeat/);
  }
});

test("every door has the same words for a pool that there is not", async () => {
  const [, client] = doors[0] ?? assert.fail("a door");
  const errors = await Promise.all([
    rpcErrorOf(client.submit({ pool: "not-there", input: EMPTY_INPUT })),
    rpcErrorOf(client.detachSubmit({ job: { pool: "not-there", input: EMPTY_INPUT } })),
    rpcErrorOf(client.listWorkers({ pool: "never-named" })),
    rpcErrorOf(client.pauseWorker({ selector: { pool: "never-named" } })),
    rpcErrorOf(meterClient(mesh.meter).getCapacity({ pool: "never-named" })),
    rpcErrorOf(meterClient(mesh.meter).listWorkers({ pool: "never-named" })),
  ]);
  const said = new Set(errors.map(({ reason, field, message }) => `${reason} ${field}: ${message}`));
  assert.deepEqual([...said], ["unknown_pool pool: no worker has ever sent a heartbeat for this pool"]);
});

test("SubmitMany tells it of each job, and goes on with the others", async (t) => {
  await mesh.addWorker({ pool: "there", run: () => 1 }, t);
  const [, client] = doors.find(([name]) => name === "gRPC") ?? assert.fail("gRPC");
  const jobs = ["nowhere", "there", "nowhere", "there"].map((pool, i) => ({
    ref: BigInt(i),
    job: { pool, input: EMPTY_INPUT },
  }));
  const ends = new Map<bigint, string>();
  for await (const { ref, outcome } of client.submitMany(
    (async function* () {
      yield* jobs;
    })(),
  )) {
    ends.set(ref, outcome.case === "error" ? outcome.value.reason : String(outcome.case));
  }
  assert.deepEqual(
    [0n, 1n, 2n, 3n].map((ref) => ends.get(ref)),
    ["unknown_pool", "result", "unknown_pool", "result"],
  );
});

test("a caller that says so waits for a pool to come", async (t) => {
  const [, client] = doors[0] ?? assert.fail("a door");
  const job = client.submit({ pool: "to-come", input: EMPTY_INPUT, waitForPool: true });
  await eventually(async () => (await metrics(mesh.manager.url)).includes('parked_jobs{pool="to-come"} 1'));
  await mesh.addWorker({ pool: "to-come", run: () => 7 }, t);
  assert.deepEqual((await within(job)).output, { case: "text", value: "7" });
});

test("a pool that the manager's operator named is one, before its first worker", async (t) => {
  const listen = { host: "127.0.0.1", port: 0 };
  const manager = new ManagerServer({ bus: { servers: mesh.natsUrl }, pools: ["by-name"], listen, graceMs: 0 });
  cleanUp(t, () => manager.stop());
  await manager.start();
  const client = createClient(ManagerService, rpcTransports(manager.url).gRPC ?? assert.fail("gRPC"));
  const job = client.submit({ pool: "by-name", input: EMPTY_INPUT });
  await eventually(async () => (await metrics(manager.url)).includes('parked_jobs{pool="by-name"} 1'));
  await mesh.addWorker({ pool: "by-name", run: () => 8 }, t);
  assert.deepEqual((await within(job)).output, { case: "text", value: "8" });
});

test("a pool of a bare worker is a pool, also while that worker is busy", async (t) => {
  const bus = await connectBus(t, { url: mesh.natsUrl });
  const taken: (() => void)[] = [];
  bus.subscribe("pool.bare.job", (msg) => taken.push(() => bus.publish(msg.reply ?? "", msg.data)), "workers");
  await bus.flush();
  const [, client] = doors[0] ?? assert.fail("a door");
  const jobs = [1, 2, 3].map((n) => client.submit({ pool: "bare", input: { case: "text", value: String(n) } }));
  await eventually(() => taken.length === 3, { what: "three jobs at the bare worker" });
  for (const answer of taken) answer();
  assert.deepEqual((await Promise.all(jobs)).map(({ output }) => output.value).sort(), ["1", "2", "3"]);
});

test("a name that was only mistyped is in no metric and on no page", async (t) => {
  const meterUrl = mesh.meter.url;
  const [, client] = doors[0] ?? assert.fail("a door");
  await rpcErrorOf(client.submit({ pool: "a-typo", input: EMPTY_INPUT }));
  const leave = new AbortController();
  cleanUp(t, () => leave.abort());
  const waiting = rpcErrorOf(
    client.submit({ pool: "typo-that-waits", input: EMPTY_INPUT, waitForPool: true }, { signal: leave.signal }),
  );
  await eventually(async () => (await metrics(meterUrl)).includes("typo-that-waits"), { what: "what waits is shown" });
  leave.abort();
  await waiting;
  for (const url of [mesh.manager.url, meterUrl]) {
    await eventually(async () => !(await metrics(url)).includes("typo"), { what: `no typo at ${url}` });
  }
});

test("a job that runs may have run when its call's deadline ends it, one that waits may not", async (t) => {
  for (const [name, client] of doors) {
    const pool = `runs-${name.replace(/\W/g, "-")}`;
    const held = heldJob();
    await mesh.addWorker({ pool, run: held.run }, t);
    const full = heldJob();
    await mesh.addWorker({ pool: `full-${pool}`, run: full.run }, t);
    const keeps = rpcErrorOf(client.submit({ pool: `full-${pool}`, jobId: "keeps", input: EMPTY_INPUT }));
    await within(full.started, { what: "a job that keeps the slot" });
    // The header alone: with an option the client would not wait for the server's word.
    const header = name.startsWith("gRPC") ? ["grpc-timeout", "2000m"] : ["connect-timeout-ms", "2000"];
    const withinTwoSeconds = { headers: Object.fromEntries([header]) as Record<string, string> };
    const expired = rpcErrorOf(client.submit({ pool, input: EMPTY_INPUT }, withinTwoSeconds));
    await within(held.started, { what: "the job runs" });
    const waits = rpcErrorOf(client.submit({ pool: `full-${pool}`, input: EMPTY_INPUT, timeoutMs: 100n }));
    assert.deepEqual(flags(await waits), ["deadline_exceeded", false], name);
    assert.deepEqual(flags(await expired), ["deadline_exceeded", true], name);
    await client.cancel({ pool: `full-${pool}`, jobId: "keeps" });
    assert.equal((await keeps).reason, "canceled");
  }
});

test("a job that was canceled while it ran may have run", async (t) => {
  const held = heldJob();
  await mesh.addWorker({ pool: "cancels", run: held.run }, t);
  const [, client] = doors[0] ?? assert.fail("a door");
  const work = rpcErrorOf(client.submit({ pool: "cancels", jobId: "c1", input: EMPTY_INPUT }));
  await within(held.started, { what: "the job runs" });
  await client.cancel({ pool: "cancels", jobId: "c1" });
  assert.deepEqual(flags(await work), ["canceled", true]);
});

test("GetOutcome answers in the form in which the job came", async (t) => {
  await mesh.addWorker({ pool: "forms", run: ({ payload }) => payload }, t);
  const [, client] = doors[0] ?? assert.fail("a door");
  const inputs = [
    { case: "json", value: { kind: { case: "numberValue", value: 41 } } },
    { case: "text", value: "42" },
    { case: "payload", value: new TextEncoder().encode("43") },
  ] as const;
  for (const input of inputs) {
    const { jobId } = await client.detachSubmit({ job: { pool: "forms", input } });
    for (let i = 0; i < 2; i += 1) {
      const { outcome } = await client.getOutcome({ pool: "forms", jobId });
      assert.equal(outcome.case === "result" ? outcome.value.output.case : outcome.case, input.case);
    }
    const id = `named-${input.case}`;
    await client.submit({ pool: "forms", jobId: id, input });
    const { outcome } = await client.getOutcome({ pool: "forms", jobId: id });
    assert.equal(outcome.case === "result" ? outcome.value.output.case : outcome.case, input.case);
  }
});

function flags({ reason, maybeExecuted }: { reason: string; maybeExecuted: boolean }): [string, boolean] {
  return [reason, maybeExecuted];
}
