/** JobService of a manager and of a meter under a policy: who sees whose jobs, and who sees payloads. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { JobOrder, JobService } from "../../../gen/poolmesh/v1/job_pb.js";
import { ManagerService } from "../../../gen/poolmesh/v1/manager_pb.js";
import { Meter } from "../../../services/meter/meter.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
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
const meter = new Meter({
  bus: { servers: mesh.natsUrl },
  listen: { host: "127.0.0.1", port: 0 },
  policyFile: files.file,
  log,
});
cleanUp(WHOLE_FILE, () => meter.stop());
await meter.start();
const DOORS = ["manager", "meter"] as const;
type Door = (typeof DOORS)[number];
const transportOf = (token: string, door: Door = "manager") =>
  createConnectTransport({
    baseUrl: door === "meter" ? meter.url : mesh.manager.url,
    httpVersion: "1.1",
    interceptors: [bearing(token)],
  });
const jobsOf = (who: keyof typeof tokens, door?: Door) => createClient(JobService, transportOf(tokens[who], door));
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
await eventually(async () => (await jobsOf("admin", "meter").listJobs({ filter: { pool: POOL } })).jobs.length === 3);

for (const door of DOORS)
  test(`${door}: a submitter sees its own jobs as if there were no others; a viewer, an operator and an admin see all`, async () => {
    const seen = async (who: keyof typeof tokens, filter: object = {}): Promise<string[]> => {
      const { jobs } = await jobsOf(who, door).listJobs({ filter: { pool: POOL, ...filter } });
      return jobs.map(({ jobId }) => jobId).sort();
    };
    assert.deepEqual(await seen("alice"), ["hers", "hers-bad"]);
    assert.deepEqual(await seen("bob"), ["his"]);
    assert.deepEqual(await seen("bob", { client: "token:alice" }), []);
    for (const who of ["viewer", "operator", "admin"] as const)
      assert.deepEqual(await seen(who), ["hers", "hers-bad", "his"]);
    assert.equal((await errorOf(jobsOf("bob", door).getJob({ pool: POOL, jobId: "hers" }))).code, Code.NotFound);
    const { jobs: slowest } = await jobsOf("bob", door).listJobs({ filter: { pool: POOL }, order: JobOrder.SLOWEST });
    assert.deepEqual(
      slowest.map(({ jobId }) => jobId),
      ["his"],
    );
  });

for (const door of DOORS)
  test(`${door}: what an error says is for the one whose job it is and for who may read any outcome; others see its reason`, async () => {
    const shown = async (who: keyof typeof tokens): Promise<(string | undefined)[]> => {
      const { job } = await jobsOf(who, door).getJob({ pool: POOL, jobId: "hers-bad" });
      const { jobs } = await jobsOf(who, door).listJobs({ filter: { pool: POOL, jobIdPrefix: "hers-bad" } });
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

test("a meter shows nobody's payload, so that a page that asks over and over writes nothing into the audit", async () => {
  const before = lines.filter(({ audit }) => audit === "allowed").length;
  for (const who of ["alice", "admin"] as const) {
    const { job } = await jobsOf(who, "meter").getJob({ pool: POOL, jobId: "hers" });
    assert.deepEqual([job?.payload, job?.result, job?.payloadBytes], [undefined, undefined, 10n]);
  }
  assert.equal(lines.filter(({ audit }) => audit === "allowed").length, before);
});

test("a caller of another pool is refused by each RPC, and so is all pools together for who has one", async () => {
  for (const [who, pool] of [
    ["stranger", POOL],
    ["viewer", ""],
    ["alice", "other"],
  ] as const) {
    for (const door of DOORS) {
      const client = jobsOf(who, door);
      assert.equal((await errorOf(client.listJobs({ filter: { pool } }))).code, Code.PermissionDenied);
      assert.equal((await errorOf(client.getJob({ pool, jobId: "hers" }))).code, Code.PermissionDenied);
    }
    const watch = jobsOf(who).watchJobs({ filter: { pool } })[Symbol.asyncIterator]();
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
