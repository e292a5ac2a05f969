/** DurableService: what a caller over HTTP can do with stored jobs, by curl's JSON and by gRPC. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { DurableService, type EnqueueManyResponse } from "../../../gen/poolmesh/v1/durable_pb.js";
import { NEEDS } from "../../../mesh/durable/broker-needs.js";
import { PermanentError } from "../../../mesh/errors.js";
import { ManagerService } from "../../../services/manager/service.js";
import { lacking } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { bearControl, CONTROL_TOKEN } from "../../support/doors/control-token.js";
import { startDurableMesh } from "../../support/durable-mesh.js";
import { leakGuard } from "../../support/leak-guard.js";
import { eventually, gate } from "../../support/wait.js";

leakGuard();
const mesh = await startDurableMesh({ controlToken: CONTROL_TOKEN });

type Json = Record<string, unknown>;

/** As curl sends it. */
async function post(method: string, body: Json, url = mesh.service.url): Promise<{ status: number; body: Json }> {
  const answer = await fetch(`${url}/poolmesh.v1.DurableService/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${CONTROL_TOKEN}` },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: (await answer.json()) as Json };
}

async function ask(method: string, body: Json): Promise<Json> {
  const answer = await post(method, body);
  assert.equal(answer.status, 200, `${method}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

const messageOf = ({ body }: { body: Json }): string => `${body.code}: ${body.message}`;

test("durable HTTP - a job is enqueued in JSON, and its outcome is waited for and kept as JSON", async (t) => {
  await mesh.startPool(t, "h-adder", (job) => Number(job.payload) + 1, { slots: 2, graceMs: 0 });
  const receipt = await ask("Enqueue", { pool: "h-adder", json: 41, jobId: "first", maxAttempts: 2 });
  assert.deepEqual([receipt.jobId, typeof receipt.sequence, receipt.duplicate], ["first", "string", undefined]);
  const waited = await ask("WaitOutcome", { pool: "h-adder", jobId: "first", waitMs: 10_000 });
  const { result } = waited.outcome as { result: Json };
  assert.deepEqual([result.json, result.jobId, result.worker, result.attempt], [42, "first", "h-adder-worker", 1]);
  const { job, outcome } = await ask("GetJob", { pool: "h-adder", jobId: "first" });
  const { state, enqueuedAt, endedAt } = job as { state: string; enqueuedAt: string; endedAt: string };
  assert.equal(state, "JOB_STATE_ENDED");
  assert.ok(Date.parse(enqueuedAt) <= Date.parse(endedAt));
  assert.equal((outcome as { result: Json }).result.json, 42);
  const bytes = await ask("GetJob", { pool: "h-adder", jobId: "first", form: "PAYLOAD_FORM_BYTES" });
  assert.equal((bytes.outcome as { result: Json }).result.payload, Buffer.from("42").toString("base64"));
  const again = await ask("Enqueue", { pool: "h-adder", json: 1, jobId: "first", rerun: true });
  assert.ok(Number(again.sequence) > Number(receipt.sequence));
  await eventually(async () => {
    const now = await ask("GetJob", { pool: "h-adder", jobId: "first" });
    return (now.outcome as { result?: Json } | undefined)?.result?.json === 2;
  });
});

test("durable HTTP - an id that is enqueued again is answered by its kept outcome, also before a manager has looked", {
  skip: await lacking(NEEDS.pauses),
}, async (t) => {
  const [client, lane] = await mesh.startPool(t, "h-again", (job) => Number(job.payload) + 1, { slots: 1, graceMs: 0 });
  const job = { pool: "h-again", jobId: "again" };
  await ask("Enqueue", { ...job, json: 41 });
  assert.equal((await (await client.enqueue("41", { id: "again" })).result({ timeoutMs: 10_000 })).json(), 42);
  await eventually(async () => (await lane.figures()).queued + (await lane.figures()).delivered === 0);
  // No manager takes it now, so it stays in its stream.
  await lane.pause();
  await ask("Enqueue", { ...job, json: 41 });
  assert.equal((await lane.figures()).queued, 1);
  const waited = await ask("WaitOutcome", { ...job, waitMs: 10_000 });
  assert.equal((waited.outcome as { result: Json }).result.json, 42);
  assert.equal(((await ask("GetJob", job)).job as Json).state, "JOB_STATE_ENDED");
  await lane.resume();
});

test("durable HTTP - a chain of jobs is enqueued, and each that has ended names the next one", async (t) => {
  await mesh.startPool(t, "h-chain", (job) => Number(job.payload) + 1, { slots: 2, graceMs: 0 });
  const then = [{ pool: "h-chain", jobId: "c2" }, { pool: "h-chain" }];
  await ask("Enqueue", { pool: "h-chain", json: 1, jobId: "c1", then });
  const first = await ask("WaitOutcome", { pool: "h-chain", jobId: "c1", waitMs: 10_000 });
  assert.deepEqual((first.job as Json).next, { pool: "h-chain", jobId: "c2" });
  const second = await eventually(async () => {
    const { body } = await post("WaitOutcome", { pool: "h-chain", jobId: "c2", waitMs: 10_000 });
    return (body.job as Json | undefined)?.next as { jobId: string } | undefined;
  });
  const last = await eventually(async () => {
    const { body } = await post("WaitOutcome", { pool: "h-chain", jobId: second.jobId, waitMs: 10_000 });
    return body.outcome as { result: Json } | undefined;
  });
  assert.equal(last.result.json, 4);
});

test("durable HTTP - where a job stands is told while it waits and runs, it is listed, and it is canceled", async (t) => {
  const held = gate();
  t.after(() => held.open());
  const run = async ({ signal }: { signal: AbortSignal }): Promise<string> => {
    await Promise.race([held.promise, new Promise((resolve) => signal.addEventListener("abort", resolve))]);
    return "done";
  };
  await mesh.startPool(t, "h-slow", run, { slots: 1, graceMs: 0 });
  const ids = Array.from({ length: 30 }, (_, i) => `slow-${i}`);
  for (const jobId of ids) await ask("Enqueue", { pool: "h-slow", json: "x", jobId, priority: "PRIORITY_HIGH" });
  // Which of them runs first is not promised.
  let running = "";
  await eventually(async () => {
    const { jobs: [first] = [] } = (await ask("ListJobs", { pool: "h-slow", state: "JOB_STATE_RUNNING" })) as {
      jobs?: Json[];
    };
    running = String(first?.jobId ?? "");
    return running !== "";
  });
  // The manager that has a job says so within 150 ms, or it is told as the stream has it.
  await eventually(async () => {
    assert.equal(((await ask("GetJob", { pool: "h-slow", jobId: running })).job as Json).state, "JOB_STATE_RUNNING");
    const late = await ask("WaitOutcome", { pool: "h-slow", jobId: running, waitMs: 1 });
    assert.deepEqual([late.outcome, (late.job as Json).state], [undefined, "JOB_STATE_RUNNING"]);
    return true;
  });

  const jobs: Json[] = [];
  for (let pageToken = ""; ; ) {
    const page = await ask("ListJobs", { pool: "h-slow", pageSize: 7, pageToken });
    jobs.push(...((page.jobs ?? []) as Json[]));
    pageToken = (page.nextPageToken ?? "") as string;
    if (pageToken === "") break;
  }
  assert.deepEqual(
    jobs.map(({ jobId }) => jobId),
    ids,
  );
  assert.ok(jobs.every(({ priority, maxAttempts }) => priority === "PRIORITY_HIGH" && maxAttempts === 5));
  const queued = (await ask("ListJobs", { pool: "h-slow", state: "JOB_STATE_QUEUED" })).jobs as Json[];
  assert.ok(queued.length > 0 && queued.length < 30, String(queued.length));

  for (const jobId of [running, String(queued.at(-1)?.jobId)]) {
    await ask("CancelJob", { pool: "h-slow", jobId });
    const { outcome } = await ask("WaitOutcome", { pool: "h-slow", jobId, waitMs: 10_000 });
    assert.equal((outcome as { error: Json }).error.reason, "canceled");
    assert.match(messageOf(await post("CancelJob", { pool: "h-slow", jobId })), /^not_found/);
  }
  const { lanes, streams } = await ask("GetLanes", { pool: "h-slow" });
  const [lane = {}] = lanes as Json[];
  assert.deepEqual([lane.pool, Number(lane.queued) + Number(lane.delivered) > 0], ["h-slow", true]);
  assert.deepEqual(
    (streams as Json[]).map(({ name, differences }) => [name, differences]),
    [["pool-jobs-h-slow", undefined]],
  );
  const all = await ask("GetLanes", {});
  assert.ok((all.lanes as Json[]).some(({ pool }) => pool === "h-slow"));
  assert.ok(
    (all.streams as Json[]).some(({ name, maxMessages }) => name === "pool-outcomes" && maxMessages === "1000000"),
  );
});

test("durable HTTP - dead letters are listed, shown, run again and purged", async (t) => {
  let isMended = false;
  const run = ({ payload }: { payload: unknown }): unknown => {
    if (!isMended) throw new PermanentError(`no ${JSON.stringify(payload)}`);
    return "mended";
  };
  await mesh.startPool(t, "h-dead", run, { slots: 4, graceMs: 0 });
  for (const jobId of ["a", "b", "c"]) await ask("Enqueue", { pool: "h-dead", json: { of: jobId }, jobId });
  const list = async (body: Json = {}): Promise<Json[]> =>
    ((await ask("ListDead", { pool: "h-dead", ...body })).letters ?? []) as Json[];
  await eventually(async () => (await list()).length === 3);
  const first = await ask("ListDead", { pool: "h-dead", pageSize: 2 });
  assert.deepEqual([(first.letters as Json[]).length, (await list({ pageToken: first.nextPageToken })).length], [2, 1]);
  assert.deepEqual(
    [(await list({ reason: "job_failed" })).length, (await list({ olderThanMs: 3_600_000 })).length],
    [0, 0],
  );
  const [{ error, payload } = {}] = await list({ reason: "job_rejected" });
  assert.deepEqual([(error as Json).reason, payload], ["job_rejected", undefined]);
  const shown = await ask("GetDead", { pool: "h-dead", jobId: "b" });
  assert.deepEqual([shown.json, (shown.letter as Json).jobId, (shown.letter as Json).attempt], [{ of: "b" }, "b", 1]);

  isMended = true;
  const retried = await ask("RetryDead", { selector: { pool: "h-dead", jobIds: ["a", "nobody"] } });
  const changes = retried.changes as { jobId: string; sequence?: string; error?: Json }[];
  assert.deepEqual(
    changes.map(({ jobId, sequence, error }) => [jobId, Number(sequence) > 0, error?.reason]),
    [
      ["a", true, undefined],
      ["nobody", false, "not_found"],
    ],
  );
  await eventually(async () => {
    const { outcome } = await ask("GetJob", { pool: "h-dead", jobId: "a" });
    return (outcome as { result?: Json } | undefined)?.result?.json === "mended";
  });
  assert.match(messageOf(await post("PurgeDead", { selector: { pool: "h-dead" } })), /all/);
  const one = await ask("PurgeDead", { selector: { pool: "h-dead", all: true, limit: 1 } });
  assert.deepEqual([(one.changes as Json[]).length, one.more], [1, true]);
  const rest = await ask("PurgeDead", { selector: { pool: "h-dead", reason: "job_rejected" } });
  assert.deepEqual([(rest.changes as Json[]).length, rest.more, (await list()).length], [1, undefined, 0]);
});

test("durable HTTP - EnqueueMany answers each job by its ref, as soon as it is stored, a bad one too", async (t) => {
  await mesh.startPool(t, "h-many", (job) => job.payload, { slots: 4, graceMs: 0 });
  const client = createClient(
    DurableService,
    createGrpcTransport({ baseUrl: mesh.service.url, interceptors: [bearControl] }),
  );
  const answers = new Map<bigint, EnqueueManyResponse>();
  const heard = gate();
  const job = (pool: string, value: string) => ({ pool, input: { case: "text", value } }) as const;
  async function* jobs() {
    yield { ref: 1n, job: job("h-many", "1") };
    // The stream stays open: the first answer comes all the same.
    await heard.promise;
    for (let ref = 2n; ref < 600n; ref += 1n) yield { ref, job: job("h-many", String(ref)) };
    yield { ref: 600n, job: job("not a pool", "1") };
    yield { ref: 601n };
  }
  for await (const answer of client.enqueueMany(jobs())) {
    answers.set(answer.ref, answer);
    heard.open();
  }
  assert.equal(answers.size, 601);
  const reasons = [600n, 601n].map((ref) => answers.get(ref)?.outcome);
  assert.deepEqual(
    reasons.map((each) => each?.case === "error" && each.value.field),
    ["pool", "job"],
  );
  for (let ref = 1n; ref < 600n; ref += 1n) assert.equal(answers.get(ref)?.outcome.case, "receipt", String(ref));
});

test("durable HTTP - a mistake is told by its field, and nothing is stored", async (t) => {
  const [, lane] = await mesh.startPool(t, "h-wrong", (job) => job.payload, { slots: 1, graceMs: 0 });
  const before = (await lane.figures()).stored;
  const wrong: Record<string, Json> = {
    input: {},
    pool: { pool: "a b", text: "1" },
    timeoutMs: { text: "1", timeoutMs: 86_400_001 },
    maxAttempts: { text: "1", maxAttempts: 101 },
    backoff: { text: "1", backoff: { baseMs: 9, capMs: 1 } },
    expiresInMs: { text: "1", expiresInMs: -1 },
    job: { text: "1", jobId: "a.b" },
    client: { text: "1", client: "a b" },
    priority: { text: "1", priority: 9 },
  };
  for (const [field, body] of Object.entries(wrong)) {
    const answer = await post("Enqueue", { pool: "h-wrong", ...body });
    assert.deepEqual([answer.status, answer.body.code], [400, "invalid_argument"], `${field} ${messageOf(answer)}`);
    assert.ok(String(answer.body.message).startsWith(field), messageOf(answer));
  }
  for (const [method, body, text] of [
    ["ListJobs", { pageSize: 1_001 }, "limit"],
    ["ListJobs", { pageToken: "-1" }, "page_token"],
    ["ListJobs", { state: "JOB_STATE_ENDED" }, "state"],
    ["ListDead", { pageSize: 1_001 }, "page_size"],
    ["ListDead", { reason: "nonsense" }, "reason"],
    ["WaitOutcome", { jobId: "x", waitMs: 300_001 }, "wait_ms"],
    ["GetJob", { jobId: "x y" }, "job"],
    ["GetJob", { jobId: "nobody" }, "no live job"],
    ["WaitOutcome", { jobId: "nobody" }, "no live job"],
    ["GetDead", { jobId: "nobody" }, "no dead letter"],
    ["RetryDead", { selector: { pool: "h-wrong", jobIds: Array(1_001).fill("x") } }, "job_ids"],
  ] as const) {
    const answer = await post(method, method === "RetryDead" ? body : { pool: "h-wrong", ...body });
    assert.match(String(answer.body.message), new RegExp(`^${text}`), method);
  }
  const mistyped = await post("Enqueue", { pool: "h-wrnog", text: "1" });
  assert.deepEqual([mistyped.status, /h-wrong/.test(messageOf(mistyped))], [404, true], messageOf(mistyped));
  assert.equal((await lane.figures()).stored, before);
});

test("durable HTTP - a manager without the lane says so to every call", async (t) => {
  const listen = { host: "127.0.0.1", port: 0 };
  const plain = new ManagerService({ bus: { servers: mesh.servers }, listen, graceMs: 0, controlToken: CONTROL_TOKEN });
  cleanUp(t, () => plain.stop());
  await plain.start();
  const calls: Record<string, Json> = {
    Enqueue: { pool: "h-adder", text: "1" },
    GetJob: { pool: "h-adder", jobId: "first" },
    WaitOutcome: { pool: "h-adder", jobId: "first" },
    CancelJob: { pool: "h-adder", jobId: "first" },
    ListJobs: { pool: "h-adder" },
    ListDead: { pool: "h-adder" },
    GetDead: { pool: "h-adder", jobId: "first" },
    RetryDead: { selector: { pool: "h-adder", all: true } },
    PurgeDead: { selector: { pool: "h-adder", all: true } },
    GetLanes: {},
  };
  for (const [method, body] of Object.entries(calls)) {
    const answer = await post(method, body, plain.url);
    assert.deepEqual(
      [answer.status, /--durable/.test(messageOf(answer))],
      [404, true],
      `${method} ${messageOf(answer)}`,
    );
  }
});
