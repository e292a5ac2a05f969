/** Who sees whose jobs: every RPC is asked by somebody else, at manager and meter. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { DurableService, JobState } from "../../../gen/poolmesh/v1/durable_pb.js";
import { ManagerService } from "../../../gen/poolmesh/v1/manager_pb.js";
import { MeterService } from "../../../gen/poolmesh/v1/meter_pb.js";
import { RPC_RIGHTS } from "../../../mesh/auth/rights.js";
import { NEEDS } from "../../../mesh/durable/broker-needs.js";
import { PermanentError } from "../../../mesh/errors.js";
import { Meter } from "../../../services/meter/meter.js";
import { lacking } from "../../support/broker.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { bearing } from "../../support/doors/control-token.js";
import { EDGE_CALLS, type EdgeCall } from "../../support/doors/edge-calls.js";
import { makePolicy } from "../../support/doors/policy.js";
import { startDurableMesh } from "../../support/durable-mesh.js";
import { leakGuard } from "../../support/leak-guard.js";
import { Stream } from "../../support/meter/meter-rig.js";
import { eventually, gate } from "../../support/wait.js";

leakGuard();
const POOL = "p-mails";
/** Every id of alice's jobs begins with HERS, and what they carry and say has SECRET in it. */
const [HERS, SECRET] = ["hers-", "secret-of-alice"];
const hasCron = (await lacking(NEEDS.cron)) === false;
const files = await makePolicy(WHOLE_FILE);
const roles = { viewer: "viewer", alice: "submitter", bob: "submitter", operator: "operator", admin: "admin" } as const;
type Who = keyof typeof roles;
const tokens = Object.fromEntries(
  Object.entries(roles).map(([who, role]) => [who, files.token(who, role, [POOL])]),
) as Record<Who, string>;
const carol = await files.jwt("carol");
const CAROL = { who: "jwt:carol", role: "submitter", pools: [POOL] };
files.write([CAROL, { ...CAROL, role: "viewer" }]);
const edge = { policyFile: files.file, policyIntervalMs: 20 };
const mesh = await startDurableMesh({ ...edge, showPayloads: true });
const listen = { host: "127.0.0.1", port: 0 };
const meter = new Meter({
  bus: { servers: mesh.servers },
  listen,
  ...edge,
  durable: true,
  control: true,
  coalesceMs: 5,
});
cleanUp(WHOLE_FILE, () => meter.stop());
await meter.start();
const URLS = { manager: mesh.service.url, meter: meter.url };
const at = (server: keyof typeof URLS, token: string): Transport =>
  createGrpcTransport({ baseUrl: URLS[server], interceptors: [bearing(token)] });
const as = (who: Who) => ({
  manager: createClient(ManagerService, at("manager", tokens[who])),
  lane: createClient(DurableService, at("manager", tokens[who])),
  meter: createClient(MeterService, at("meter", tokens[who])),
});

const held = gate();
cleanUp(WHOLE_FILE, () => held.open());
const run = async ({ payload }: { readonly payload: unknown }): Promise<unknown> => {
  if (String(payload).includes("bad")) throw Object.assign(new PermanentError(SECRET), { code: SECRET });
  if (String(payload).includes("held")) await held.promise;
  return payload;
};
await mesh.startPool(WHOLE_FILE, POOL, run, { slots: 16, graceMs: 0 });
const job = (name: string) =>
  ({ pool: POOL, jobId: HERS + name, input: { case: "text", value: JSON.stringify(`${SECRET} ${name}`) } }) as const;
const { manager, lane } = as("alice");
await eventually(async () => (await manager.listWorkers({ pool: POOL })).workers.length === 1);
await manager.submit(job("done"));
for (const name of ["held", "bad"]) await manager.detachSubmit({ job: job(name) });
for (const name of ["stored-held", "stored-bad", "stored-done"]) await lane.enqueue(job(name));
if (hasCron) {
  await lane.enqueue({ ...job("stored-later"), delayMs: 3_600_000n });
  const cron = { name: `${HERS}cron`, schedule: "0 0 0 1 1 *" };
  await as("operator").lane.setCron({ pool: POOL, cron, input: { case: "text", value: SECRET } });
}
await lane.waitOutcome({ pool: POOL, jobId: `${HERS}stored-done` });
const member = { jobId: `${HERS}batch-bad`, input: { case: "text", value: JSON.stringify(`${SECRET} bad`) } } as const;
const completion = { pool: POOL, jobId: `${HERS}batch-held` };
await lane.enqueueBatch({ pool: POOL, batchId: `${HERS}batch`, jobs: [member], onComplete: completion, more: true });
await eventually(async () => (await as("viewer").lane.listJobs({ pool: POOL })).jobs[0]?.state === JobState.RUNNING);
await eventually(async () => (await as("operator").lane.listDead({ pool: POOL })).letters.length === 2);
const IDS = ["done", "held", "bad", "stored-held", "stored-bad", "stored-done", "batch"].map((name) => HERS + name);
// The meter knows them when their worker's and their manager's heartbeats have said so.
await eventually(async () => {
  const { workers } = await as("viewer").meter.listWorkers({ pool: POOL });
  return workers[0]?.heartbeat?.runningJobs.length === 2;
});

/** RPCs of both servers: what a meter has of DurableService is asked there, too. */
const CALLS: readonly EdgeCall[] = EDGE_CALLS.flatMap((call) =>
  /DurableService\/(GetLanes|ListBatches|ListDead)/.test(call.path)
    ? [call, { ...call, server: "meter" as const }]
    : [call],
);

/** All that a caller hears from an RPC about the jobs of alice. */
async function heardBy(call: EdgeCall, who: Who): Promise<{ readonly answers: string; readonly errors: string }> {
  let answers = "";
  let errors = "";
  for (const jobId of IDS) {
    try {
      answers += textOf(await call.call(at(call.server, tokens[who]), { pool: POOL, worker: "nobody", jobId }));
    } catch (error) {
      errors += String(error);
    }
  }
  return { answers, errors };
}

function textOf(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (typeof each === "bigint") return String(each);
    return each instanceof Uint8Array ? Buffer.from(each).toString() : each;
  });
}

test("no RPC tells a submitter of somebody else's job: no id, no payload, no result, no message", async () => {
  for (const call of CALLS) {
    const { answers, errors } = await heardBy(call, "bob");
    const where = `${call.path} of the ${call.server}`;
    assert.ok(!answers.includes(HERS), `${where}: ${answers}`);
    assert.ok(!answers.includes(SECRET) && !errors.includes(SECRET), where);
  }
});

test("a viewer hears the ids of all jobs from every RPC that leaves them out for a submitter, and nothing that they carry", async () => {
  const lists = CALLS.filter(({ path }) => RPC_RIGHTS[path]?.ofOthers === "jobs");
  assert.ok(lists.length >= 8);
  for (const call of lists) {
    const { answers, errors } = await heardBy(call, "viewer");
    const where = `${call.path} of the ${call.server}`;
    assert.ok(!answers.includes(SECRET) && !errors.includes(SECRET), where);
    // What happens from then on is heard in job-service-policy.test.ts.
    if (call.path.endsWith("/WatchJobs") || (call.path.endsWith("/ListCron") && !hasCron)) continue;
    assert.ok(answers.includes(HERS), `${where}: ${answers}`);
  }
});

test("an operator hears the reasons of others' dead letters, an admin and the owner what they say", async () => {
  for (const server of ["manager", "meter"] as const) {
    const said = async (who: Who) => {
      const { letters } = await createClient(DurableService, at(server, tokens[who])).listDead({ pool: POOL });
      return [letters[0]?.jobId, letters[0]?.error?.reason, letters[0]?.error?.message, letters[0]?.error?.code];
    };
    assert.deepEqual(await said("operator"), [`${HERS}stored-bad`, "job_rejected", "", ""], server);
    assert.deepEqual(await said("admin"), [`${HERS}stored-bad`, "job_rejected", SECRET, SECRET], server);
  }
  const request = { pool: POOL, jobId: `${HERS}stored-bad` };
  const [told, all] = [await as("operator").lane.getDead(request), await as("admin").lane.getDead(request)];
  assert.deepEqual([told.letter?.error?.message, told.input.case], ["", undefined]);
  assert.deepEqual([all.letter?.error?.message, all.input.case], [SECRET, "json"]);
});

test("a submitter lists its own stored jobs, those that wait for their time among them", async () => {
  const listed = async (who: Who, state = JobState.UNSPECIFIED) =>
    (await as(who).lane.listJobs({ pool: POOL, state })).jobs.map(({ jobId }) => jobId);
  assert.deepEqual(await listed("alice"), [`${HERS}stored-held`]);
  assert.deepEqual(await listed("bob"), []);
  if (!hasCron) return;
  assert.deepEqual(await listed("alice", JobState.SCHEDULED), [`${HERS}stored-later`]);
  assert.deepEqual(await listed("bob", JobState.SCHEDULED), []);
});

test("a stream of workers names jobs for as long as its caller sees everybody's, and goes on without", async (t) => {
  const watch = createClient(MeterService, at("meter", carol));
  const stream = new Stream(t, (options) => watch.watchWorkers({ pool: POOL }, options));
  assert.ok(textOf(await stream.next()).includes(HERS));
  files.write([CAROL]);
  // Each job of bob's is a change of the worker's row.
  await eventually(async () => {
    await as("bob").manager.submit({ pool: POOL, input: { case: "text", value: "1" } });
    const seen = await stream.next();
    return seen.changed.length > 0 && !textOf(seen).includes(HERS);
  });
  await as("bob").manager.submit({ pool: POOL, input: { case: "text", value: "1" } });
  const [row] = (await stream.until(({ changed }) => changed.length > 0)).changed;
  assert.deepEqual([row?.heartbeat?.runningJobs, row?.heartbeat?.runningTruncated], [[], true]);
});
