/** DurableService under a policy: whose job a stored job is, and who may do what with it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { DurableService, type EnqueueManyResponse, JobState } from "../../../gen/poolmesh/v1/durable_pb.js";
import { RPC_RIGHTS } from "../../../mesh/auth/rights.js";
import { NEEDS } from "../../../mesh/durable/broker-needs.js";
import { PermanentError } from "../../../mesh/errors.js";
import { lacking } from "../../support/broker.js";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { bearing } from "../../support/doors/control-token.js";
import { EDGE_CALLS, type EdgeCall } from "../../support/doors/edge-calls.js";
import { errorOf } from "../../support/doors/http-service.js";
import { makePolicy } from "../../support/doors/policy.js";
import { startDurableMesh } from "../../support/durable-mesh.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { eventually, gate } from "../../support/wait.js";

leakGuard();
const skip = await lacking(NEEDS.cron);
const POOL = "p-mails";
const files = await makePolicy(WHOLE_FILE);
const tokens = {
  alice: files.token("alice", "submitter", [POOL]),
  bob: files.token("bob", "submitter", [POOL]),
  viewer: files.token("viewer", "viewer", [POOL]),
  operator: files.token("operator", "operator", [POOL]),
  admin: files.token("admin", "admin", ["*"]),
};
files.write([]);
const { log, lines } = readableLog();
const mesh = await startDurableMesh({ policyFile: files.file, log });
const clients = Object.fromEntries(
  Object.entries(tokens).map(([name, token]) => [
    name,
    createClient(
      DurableService,
      createConnectTransport({ baseUrl: mesh.service.url, httpVersion: "1.1", interceptors: [bearing(token)] }),
    ),
  ]),
) as Record<keyof typeof tokens, ReturnType<typeof createClient<typeof DurableService>>>;
const { alice, bob, viewer, operator, admin } = clients;
const codeOf = async (work: Promise<unknown>): Promise<Code> => (await errorOf(work)).code;
const job = (value: string, jobId = "") => ({ pool: POOL, input: { case: "text", value }, jobId }) as const;

test("durable HTTP - a stored job belongs to its caller: others neither read nor cancel it, nor get it by its id", async (t) => {
  const held = gate();
  t.after(() => held.open());
  const run = async ({ payload }: { payload: unknown }): Promise<unknown> => {
    if (payload === "bad") throw new PermanentError("a secret of alice");
    await held.promise;
    return "a secret of alice";
  };
  await mesh.startPool(t, POOL, run, { slots: 2, graceMs: 0 });
  await alice.enqueue({ ...job('"good"', "hers"), client: "bob" });
  await eventually(async () => (await alice.getJob({ pool: POOL, jobId: "hers" })).job?.state === JobState.RUNNING);
  assert.equal((await alice.getJob({ pool: POOL, jobId: "hers" })).job?.client, "token:alice", "not whom she names");
  const mayNot = async (jobId: string): Promise<void> => {
    assert.equal(await codeOf(bob.getJob({ pool: POOL, jobId })), Code.PermissionDenied);
    assert.equal(await codeOf(bob.waitOutcome({ pool: POOL, jobId })), Code.PermissionDenied);
    assert.equal(await codeOf(operator.getJob({ pool: POOL, jobId })), Code.PermissionDenied);
    assert.equal(await codeOf(bob.enqueue(job('"good"', jobId))), Code.AlreadyExists, "the same payload");
    assert.equal(await codeOf(bob.enqueue({ ...job('"good"', jobId), rerun: true })), Code.AlreadyExists);
  };
  await mayNot("hers");
  assert.equal(await codeOf(bob.cancelJob({ pool: POOL, jobId: "hers" })), Code.PermissionDenied);
  assert.equal((await alice.enqueue(job('"good"', "hers"))).duplicate, true, "her own");
  held.open();
  const { outcome } = await alice.waitOutcome({ pool: POOL, jobId: "hers" });
  assert.equal(outcome?.outcome.case, "result");
  await mayNot("hers");
  assert.equal((await admin.getJob({ pool: POOL, jobId: "hers" })).outcome?.outcome.case, "result");

  await alice.enqueue(job('"bad"', "dead"));
  await eventually(async () => (await operator.listDead({ pool: POOL })).letters.length === 1);
  for (const who of [alice, bob, viewer]) {
    assert.equal(await codeOf(who.listDead({ pool: POOL })), Code.PermissionDenied);
    assert.equal(await codeOf(who.getDead({ pool: POOL, jobId: "dead" })), Code.PermissionDenied);
    assert.equal(await codeOf(who.purgeDead({ selector: { pool: POOL, all: true } })), Code.PermissionDenied);
    assert.equal(await codeOf(who.retryDead({ selector: { pool: POOL, all: true } })), Code.PermissionDenied);
  }
  const seen = await operator.getDead({ pool: POOL, jobId: "dead" });
  assert.deepEqual([seen.letter?.client, seen.input.case], ["token:alice", undefined], "the payload is hers");
  assert.deepEqual((await admin.getDead({ pool: POOL, jobId: "dead" })).input, { case: "json", value: seenAs("bad") });
  await operator.purgeDead({ selector: { pool: POOL, jobIds: ["dead"] } });

  const deeds = lines
    .filter(({ audit }) => audit === "allowed")
    .map(({ who, what, target }) => `${who} ${what} ${target}`);
  assert.ok(deeds.includes("token:operator /poolmesh.v1.DurableService/PurgeDead dead"), deeds.join());
  assert.ok(deeds.includes("token:admin /poolmesh.v1.DurableService/GetJob hers"), deeds.join());
});

test("durable HTTP - what follows a job needs the right to submit to its pool, too", async () => {
  const chained = { ...job('"good"', "chained"), then: [{ pool: "p-others" }] };
  assert.equal(await codeOf(alice.enqueue(chained)), Code.PermissionDenied);
  assert.equal(await codeOf(alice.getJob({ pool: POOL, jobId: "chained" })), Code.NotFound, "nothing is stored");
});

test("durable HTTP - a job that waits for its time belongs to its caller, too", { skip }, async () => {
  const later = { ...job('"good"', "hers-later"), delayMs: 3_600_000n };
  assert.ok((await alice.enqueue(later)).runAt);
  assert.equal((await alice.getJob({ pool: POOL, jobId: "hers-later" })).job?.client, "token:alice");
  for (const again of [later, job('"good"', "hers-later"), { ...later, rerun: true }]) {
    assert.equal(await codeOf(bob.enqueue(again)), Code.AlreadyExists);
  }
  assert.equal(await codeOf(bob.getJob({ pool: POOL, jobId: "hers-later" })), Code.PermissionDenied);
  assert.equal(await codeOf(bob.cancelJob({ pool: POOL, jobId: "hers-later" })), Code.PermissionDenied);
  assert.equal((await viewer.listJobs({ pool: POOL, state: JobState.SCHEDULED })).jobs.length, 1);
  await alice.cancelJob({ pool: POOL, jobId: "hers-later" });
  assert.equal(await codeOf(bob.getJob({ pool: POOL, jobId: "hers-later" })), Code.PermissionDenied);
  assert.equal((await viewer.listJobs({ pool: POOL, state: JobState.SCHEDULED })).jobs.length, 0);
});

test("durable HTTP - only who controls the pool pauses it and sets cron schedules, and their jobs are that caller's", {
  skip,
}, async () => {
  const cron = { name: "pulse", schedule: "@every 1s", client: "alice" };
  const input = { case: "text", value: '"good"' } as const;
  for (const who of [alice, viewer]) {
    assert.equal(await codeOf(who.pausePool({ pool: POOL })), Code.PermissionDenied);
    assert.equal(await codeOf(who.resumePool({ pool: POOL })), Code.PermissionDenied);
    assert.equal(await codeOf(who.setCron({ pool: POOL, cron, input })), Code.PermissionDenied);
    assert.equal(await codeOf(who.removeCron({ pool: POOL, name: "pulse" })), Code.PermissionDenied);
  }
  assert.equal(await codeOf(operator.pausePool({ pool: "other" })), Code.PermissionDenied);
  assert.equal(await codeOf(operator.setCron({ pool: "other", cron, input })), Code.PermissionDenied);
  await operator.pausePool({ pool: POOL });
  await operator.resumePool({ pool: POOL });
  await operator.setCron({ pool: POOL, cron, input });
  assert.equal((await viewer.listCron({ pool: POOL })).crons[0]?.client, "token:operator", "not whom it names");
  await eventually(async () => (await admin.getJob({ pool: POOL, jobId: "pulse" })).job?.client === "token:operator");
  assert.equal(await codeOf(alice.getJob({ pool: POOL, jobId: "pulse" })), Code.PermissionDenied);
  await operator.removeCron({ pool: POOL, name: "pulse" });
  // No worker is there: the job of the last firing is canceled.
  await eventually(async () => {
    await operator.cancelJob({ pool: POOL, jobId: "pulse" }).catch(() => undefined);
    return (await viewer.listJobs({ pool: POOL })).jobs.length === 0;
  });
  const deeds = lines.filter(({ audit }) => audit === "allowed").map(({ who, what }) => `${who} ${what}`);
  for (const what of ["PausePool", "ResumePool", "SetCron", "RemoveCron"]) {
    assert.ok(deeds.includes(`token:operator /poolmesh.v1.DurableService/${what}`), what);
  }
});

test("durable HTTP - a viewer sees the jobs and the lane of its pool, and nothing of all pools", async () => {
  assert.deepEqual((await viewer.listJobs({ pool: POOL })).jobs, []);
  assert.equal((await viewer.getLanes({ pool: POOL })).lanes.length, 1);
  assert.equal(await codeOf(viewer.getLanes({})), Code.PermissionDenied);
  assert.equal(await codeOf(viewer.enqueue(job("1"))), Code.PermissionDenied);
  assert.ok((await admin.getLanes({})).streams.length > 3);
});

test("durable HTTP - one job of a stream for another pool is refused, the others are stored", async () => {
  const transport = createGrpcTransport({ baseUrl: mesh.service.url, interceptors: [bearing(tokens.alice)] });
  async function* jobs() {
    yield { ref: 1n, job: job("1") };
    yield { ref: 2n, job: { ...job("1"), pool: "other" } };
    yield { ref: 3n, job: job("1") };
  }
  const seen = new Map<bigint, string | undefined>();
  for await (const { ref, outcome } of createClient(DurableService, transport).enqueueMany(jobs())) {
    seen.set(ref, outcome.case === "error" ? outcome.value.reason : outcome.case);
  }
  assert.deepEqual([seen.get(1n), seen.get(2n), seen.get(3n)], ["receipt", "permission_denied", "receipt"]);
});

test("durable HTTP - whoever may not is refused by every RPC with the right code, nothing is stored, run again or purged, and it is written down", async () => {
  const transport = createGrpcTransport({ baseUrl: mesh.service.url });
  const calls = EDGE_CALLS.filter(({ path }) => path.startsWith("/poolmesh.v1.DurableService/"));
  assert.equal(calls.length, DurableService.methods.length);
  const stateOf = async () => [
    (await admin.listJobs({ pool: POOL })).jobs.map(({ jobId, state }) => `${jobId} ${state}`),
    (await operator.listDead({ pool: POOL })).letters.map(({ jobId }) => jobId),
    (await admin.getLanes({})).streams.map(({ name, messages }) => `${name} ${messages}`),
  ];
  const before = await stateOf();
  const elsewhere = files.token("elsewhere", "admin", ["other"]);
  await eventually(async () => (await answerTo(calls[0] as EdgeCall, elsewhere)) === Code.PermissionDenied);
  const less: Readonly<Record<string, string>> = { submit: tokens.viewer, control: tokens.alice };
  const bad = await files.badJwts("alice");
  const nobodies = {
    none: undefined,
    unknown: "pm_made-up",
    "alg none": bad["alg none"],
    aud: bad["for another audience"],
  };
  async function answerTo(call: EdgeCall, token: string | undefined): Promise<Code | undefined> {
    const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
    try {
      const answer = await call.call(transport, { pool: POOL, worker: "w1", jobId: "nobody" }, headers);
      const { outcome } = answer as EnqueueManyResponse;
      return outcome?.case === "error" && outcome.value.reason === "permission_denied"
        ? Code.PermissionDenied
        : undefined;
    } catch (error) {
      return ConnectError.from(error).code;
    }
  }
  const refuses = async (call: EdgeCall, what: string, token: string | undefined, code: Code): Promise<void> => {
    const from = lines.length;
    assert.equal(await answerTo(call, token), code, `${what} ${call.path}`);
    const written = lines.slice(from).filter((line) => line.audit === "refused");
    assert.deepEqual([written.length, written[0]?.what], [1, call.path], `${what} ${call.path}`);
  };
  for (const call of calls) {
    await refuses(call, "elsewhere", elsewhere, Code.PermissionDenied);
    const weaker = less[RPC_RIGHTS[call.path]?.right ?? ""];
    if (weaker !== undefined) await refuses(call, "less", weaker, Code.PermissionDenied);
  }
  for (const call of calls) {
    for (const [what, token] of Object.entries(nobodies)) await refuses(call, what, token, Code.Unauthenticated);
  }
  assert.deepEqual(await stateOf(), before);
});

function seenAs(text: string) {
  return { $typeName: "google.protobuf.Value", kind: { case: "stringValue", value: text } };
}
