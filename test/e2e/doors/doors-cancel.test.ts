/** Giving up reaches the handler, whichever way the job came in: its signal fires and its slot is free again. */
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { connect as http2Connect } from "node:http2";
import { type TestContext, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { ManagerService } from "../../../gen/poolmesh/v1/manager_pb.js";
import { fromConnectError } from "../../../mesh/wire/connect-errors.js";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { type HeldJob, heldJob } from "../../support/core/held-job.js";
import { EMPTY_INPUT, openDoors, poolErrorOf, rpcTransports } from "../../support/doors/doors.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually, within } from "../../support/wait.js";

const POOL = "held";
const SUBMIT = "/poolmesh.v1.ManagerService/Submit";
/** What a handler's signal may take here; on an idle machine it is a few milliseconds. */
const LIMIT_MS = 15_000;

leakGuard();
const mesh = await startMesh(WHOLE_FILE);
const jobs = new Map<string, HeldJob>();
const worker = await mesh.addWorker({
  pool: POOL,
  slots: 2,
  run: (job) => (jobs.get(job.id) as HeldJob).run(job),
});
await mesh.untilCapacity(POOL, 2);
const doors = await openDoors(WHOLE_FILE, mesh, POOL);
const transports = rpcTransports(mesh.manager.url);

/** One held job and what is checked of it. */
function hold(name: string): { id: string; job: HeldJob } {
  const id = name.replaceAll(/[^A-Za-z0-9]+/g, "-").slice(0, 63);
  const job = heldJob();
  jobs.set(id, job);
  return { id, job };
}

/** Gives up once the handler runs, and checks that it hears of it. */
async function giveUp(t: TestContext, job: HeldJob, work: () => unknown): Promise<void> {
  await within(job.started, { what: "the start of the handler" });
  const dueAt = performance.now();
  await work();
  await ends(t, job, dueAt);
}

/** Checks that the handler's signal fires and its slot is free again; prints the time since `dueAt`. */
async function ends(t: TestContext, job: HeldJob, dueAt: number): Promise<void> {
  const abortedAt = await within(job.aborted, { limitMs: LIMIT_MS, what: "the handler's signal" });
  t.diagnostic(`the handler's signal fired after ${Math.round(abortedAt - dueAt)} ms`);
  await eventually(() => worker.busy === 0, { limitMs: LIMIT_MS, what: "a free slot" });
}

for (const door of doors) {
  test(`${door.name}: the caller's AbortSignal ends the job as canceled`, async (t) => {
    const { id, job } = hold(`abort ${door.name}`);
    const caller = new AbortController();
    const end = poolErrorOf(door.submit(new Uint8Array(), { id, signal: caller.signal }));
    await giveUp(t, job, () => caller.abort());
    assert.equal((await end).reason, "canceled");
  });

  test(`${door.name}: the job's deadline ends it as deadline_exceeded`, async (t) => {
    const { id, job } = hold(`deadline ${door.name}`);
    const dueAt = performance.now() + 1_500;
    const end = poolErrorOf(door.submit(new Uint8Array(), { id, timeoutMs: 1_500 }));
    await ends(t, job, dueAt);
    assert.equal((await end).reason, "deadline_exceeded");
  });

  test(`${door.name}: ManagerService.Cancel ends the job as canceled`, async (t) => {
    const { id, job } = hold(`rpc-cancel ${door.name}`);
    const end = poolErrorOf(door.submit(new Uint8Array(), { id }));
    await giveUp(t, job, () => mesh.client.cancel({ pool: POOL, jobId: id }));
    assert.equal((await end).reason, "canceled");
  });
}

for (const [name, transport] of Object.entries(transports)) {
  test(`${name}: the call's own deadline is the job's`, async (t) => {
    const { id, job } = hold(`call-deadline ${name}`);
    const dueAt = performance.now() + 1_500;
    const call = createClient(ManagerService, transport).submit(
      { pool: POOL, jobId: id, input: EMPTY_INPUT },
      { timeoutMs: 1_500 },
    );
    const end = call.catch((error: unknown) => fromConnectError(error).reason);
    await ends(t, job, dueAt);
    assert.equal(await end, "deadline_exceeded");
  });
}

test("a TCP connection that closes cancels its job", async (t) => {
  const { id, job } = hold("tcp-close");
  const headers = { "content-type": "application/json" };
  const request = httpRequest(mesh.manager.url + SUBMIT, { method: "POST", headers, agent: false });
  request.on("error", () => {});
  request.end(JSON.stringify({ pool: POOL, jobId: id, text: "" }));
  await giveUp(t, job, () => request.destroy());
});

test("a fetch that is aborted cancels its job", async (t) => {
  const { id, job } = hold("fetch-abort");
  const caller = new AbortController();
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ pool: POOL, jobId: id, text: "" });
  const answer = fetch(mesh.manager.url + SUBMIT, { method: "POST", headers, body, signal: caller.signal });
  const end = assert.rejects(answer, { name: "AbortError" });
  await giveUp(t, job, () => caller.abort());
  await end;
});

test("an HTTP/2 stream that is reset cancels its job, and a session that is cut all of its jobs", async (t) => {
  const session = http2Connect(mesh.manager.url);
  session.on("error", () => {});
  const ask = (id: string) => {
    const stream = session.request({ ":path": SUBMIT, ":method": "POST", "content-type": "application/json" });
    stream.on("error", () => {});
    stream.end(JSON.stringify({ pool: POOL, jobId: id, text: "" }));
    return stream;
  };
  const first = hold("h2-reset");
  const stream = ask(first.id);
  await giveUp(t, first.job, () => stream.close(8));
  const [second, third] = [hold("h2-cut-1"), hold("h2-cut-2")];
  ask(second.id);
  ask(third.id);
  await third.job.started;
  await giveUp(t, second.job, () => session.destroy());
  await within(third.job.aborted, { limitMs: LIMIT_MS });
});

test("a stream of jobs that is aborted cancels all that it has under way", async (t) => {
  const [first, second] = [hold("many-1"), hold("many-2")];
  const caller = new AbortController();
  const client = createClient(ManagerService, transports.gRPC as (typeof transports)[string]);
  const requests = (async function* () {
    for (const { id } of [first, second]) yield { ref: 1n, job: { pool: POOL, jobId: id, input: EMPTY_INPUT } };
    await new Promise((resolve) => caller.signal.addEventListener("abort", resolve, { once: true }));
  })();
  const stream = client.submitMany(requests, { signal: caller.signal });
  const end = stream[Symbol.asyncIterator]()
    .next()
    .catch((error: unknown) => fromConnectError(error).reason);
  await first.job.started;
  await giveUp(t, second.job, () => caller.abort());
  await within(first.job.aborted, { limitMs: LIMIT_MS });
  assert.equal(await end, "canceled");
});

test("a detached job outlives its call and ends by Cancel", async (t) => {
  const { id, job } = hold("detached");
  await mesh.client.detachSubmit({ job: { pool: POOL, jobId: id, input: EMPTY_INPUT } });
  await giveUp(t, job, () => mesh.client.cancel({ pool: POOL, jobId: id }));
  const { outcome } = await mesh.client.getOutcome({ pool: POOL, jobId: id });
  assert.equal(outcome.case === "error" && outcome.value.reason, "canceled");
  const again = mesh.client.cancel({ pool: POOL, jobId: id }).catch((error: unknown) => fromConnectError(error).reason);
  assert.equal(await again, "not_found", "it has ended");
});
