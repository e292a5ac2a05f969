/** DurableService under a policy: whose job a stored job is, and who may do what with it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { DurableService, JobState } from "../../../gen/poolmesh/v1/durable_pb.js";
import { PermanentError } from "../../../mesh/errors.js";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { bearing } from "../../support/doors/control-token.js";
import { errorOf } from "../../support/doors/http-service.js";
import { makePolicy } from "../../support/doors/policy.js";
import { startDurableMesh } from "../../support/durable-mesh.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { eventually, gate } from "../../support/wait.js";

leakGuard();
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

  const deeds = lines.filter(({ audit }) => audit === "allowed").map(({ who, what }) => `${who} ${what}`);
  assert.ok(deeds.includes("token:operator /poolmesh.v1.DurableService/PurgeDead"), deeds.join());
  assert.ok(deeds.includes("token:admin /poolmesh.v1.DurableService/GetJob"), deeds.join());
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

function seenAs(text: string) {
  return { $typeName: "google.protobuf.Value", kind: { case: "stringValue", value: text } };
}
