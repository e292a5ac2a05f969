/** JobService under a policy: who sees whose jobs, and who sees payloads. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { JobService } from "../../../gen/poolmesh/v1/job_pb.js";
import { ManagerService } from "../../../gen/poolmesh/v1/manager_pb.js";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { bearing } from "../../support/doors/control-token.js";
import { errorOf } from "../../support/doors/http-service.js";
import { makePolicy } from "../../support/doors/policy.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { startMesh } from "../../support/mesh.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const POOL = "p-mails";
const files = await makePolicy(WHOLE_FILE);
const tokens = {
  alice: files.token("alice", "submitter", [POOL]),
  bob: files.token("bob", "submitter", [POOL]),
  viewer: files.token("viewer", "viewer", [POOL]),
  operator: files.token("operator", "operator", [POOL]),
  admin: files.token("admin", "admin", ["*"]),
  stranger: files.token("stranger", "admin", ["other"]),
};
files.write([]);
const { log, lines } = readableLog();
const mesh = await startMesh(WHOLE_FILE, { manager: { policyFile: files.file, showPayloads: true, log } });
await mesh.addWorker<string, string>({
  pool: POOL,
  codec: "text",
  run: ({ payload }) => {
    if (payload === "bad") throw new Error("a message");
    return "a secret";
  },
});
const transportOf = (token: string) =>
  createConnectTransport({ baseUrl: mesh.manager.url, httpVersion: "1.1", interceptors: [bearing(token)] });
const jobsOf = (who: keyof typeof tokens) => createClient(JobService, transportOf(tokens[who]));
const submit = (who: keyof typeof tokens, jobId: string, value: string) =>
  createClient(ManagerService, transportOf(tokens[who])).submit({ pool: POOL, jobId, input: { case: "text", value } });

await eventually(async () =>
  submit("alice", "hers", "a question").then(
    () => true,
    () => false,
  ),
);
await submit("bob", "his", "another");
await errorOf(submit("alice", "hers-bad", "bad"));

test("a submitter sees its own jobs as if there were no others; a viewer, an operator and an admin see all", async () => {
  const seen = async (who: keyof typeof tokens, filter: object = {}): Promise<string[]> => {
    const { jobs } = await jobsOf(who).listJobs({ filter: { pool: POOL, ...filter } });
    return jobs.map(({ jobId }) => jobId).sort();
  };
  assert.deepEqual(await seen("alice"), ["hers", "hers-bad"]);
  assert.deepEqual(await seen("bob"), ["his"]);
  assert.deepEqual(await seen("bob", { client: "token:alice" }), []);
  for (const who of ["viewer", "operator", "admin"] as const)
    assert.deepEqual(await seen(who), ["hers", "hers-bad", "his"]);
  assert.equal((await errorOf(jobsOf("bob").getJob({ pool: POOL, jobId: "hers" }))).code, Code.NotFound);
});

test("what an error says is for the one whose job it is and for who may read any outcome; others see its reason", async () => {
  const shown = async (who: keyof typeof tokens): Promise<(string | undefined)[]> => {
    const { job } = await jobsOf(who).getJob({ pool: POOL, jobId: "hers-bad" });
    const { jobs } = await jobsOf(who).listJobs({ filter: { pool: POOL, jobIdPrefix: "hers-bad" } });
    return [job?.error?.reason, job?.error?.message, jobs[0]?.error?.message];
  };
  for (const who of ["alice", "admin"] as const) {
    assert.deepEqual(await shown(who), ["job_failed", "a message", "a message"]);
  }
  for (const who of ["viewer", "operator"] as const) assert.deepEqual(await shown(who), ["job_failed", "", ""]);
});

test("payloads are for the one whose job it is and for who may read any outcome, which is written down", async () => {
  const shown = async (who: keyof typeof tokens): Promise<string[]> => {
    const { job } = await jobsOf(who).getJob({ pool: POOL, jobId: "hers" });
    return [job?.payload, job?.result].map((each) => Buffer.from(each?.bytes ?? []).toString());
  };
  assert.deepEqual(await shown("alice"), ["a question", "a secret"]);
  assert.deepEqual(await shown("viewer"), ["", ""]);
  assert.deepEqual(await shown("operator"), ["", ""]);
  assert.deepEqual(await shown("admin"), ["a question", "a secret"]);
  const deeds = lines
    .filter(({ audit }) => audit === "allowed")
    .map(({ who, what, target }) => `${who} ${what} ${target}`);
  assert.deepEqual(
    deeds.filter((deed) => deed.includes("JobService") && deed.endsWith(" hers")),
    ["token:admin /poolmesh.v1.JobService/GetJob hers"],
  );
});

test("a caller of another pool is refused by each RPC, and so is all pools together for who has one", async () => {
  for (const [who, pool] of [
    ["stranger", POOL],
    ["viewer", ""],
    ["alice", "other"],
  ] as const) {
    const client = jobsOf(who);
    assert.equal((await errorOf(client.listJobs({ filter: { pool } }))).code, Code.PermissionDenied);
    assert.equal((await errorOf(client.getJob({ pool, jobId: "hers" }))).code, Code.PermissionDenied);
    const watch = client.watchJobs({ filter: { pool } })[Symbol.asyncIterator]();
    assert.equal((await errorOf(watch.next())).code, Code.PermissionDenied);
  }
});

test("a submitter that watches hears of its own jobs only", async (t) => {
  const abort = new AbortController();
  t.after(() => abort.abort());
  const heard: string[] = [];
  const stream = jobsOf("alice")
    .watchJobs({ filter: { pool: POOL } }, { signal: abort.signal })
    [Symbol.asyncIterator]();
  await stream.next();
  const reading = (async () => {
    for (let next = await stream.next(); !next.done; next = await stream.next()) {
      heard.push(...next.value.events.map(({ jobId }) => jobId));
    }
  })().catch(() => {});
  await submit("bob", "his-2", "x");
  await submit("alice", "hers-2", "x");
  await eventually(() => heard.includes("hers-2"));
  assert.deepEqual([...new Set(heard)], ["hers-2"]);
  abort.abort();
  await reading;
});
