/** Hostile clients: every RPC and every route, with every kind of wrong caller. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { ManagerService, type SubmitManyResponse } from "../../../gen/poolmesh/v1/manager_pb.js";
import { type RightLine, RPC_RIGHTS } from "../../../mesh/auth/rights.js";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { bearing } from "../../support/doors/control-token.js";
import { EDGE_CALLS, type EdgeCall } from "../../support/doors/edge-calls.js";
import { errorOf } from "../../support/doors/http-service.js";
import { makePolicy } from "../../support/doors/policy.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { startMesh } from "../../support/mesh.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const files = await makePolicy(WHOLE_FILE);
const tokens = {
  viewer: files.token("viewer", "viewer", ["adder"]),
  submitter: files.token("submitter", "submitter", ["adder"]),
  rival: files.token("rival", "submitter", ["adder"]),
  elsewhere: files.token("elsewhere", "admin", ["other", "add", "adder-*"]),
  operator: files.token("operator", "operator", ["adder"]),
  admin: files.token("admin", "admin", ["*"]),
};
files.write([{ who: "jwt:alice", role: "admin", pools: ["*"] }]);
const { log, lines } = readableLog();
const edge = { policyFile: files.file, controlToken: undefined as unknown as string, log };
const mesh = await startMesh(WHOLE_FILE, { manager: edge, meter: { ...edge, control: true } });
let runs = 0;
const worker = await mesh.addWorker<number, number>({
  pool: "adder",
  id: "w1",
  slots: 2,
  run: ({ payload }) => {
    runs += 1;
    return payload + 1;
  },
});

const urls = { manager: mesh.manager.url, meter: mesh.meter.url };
const transports = {
  manager: createGrpcTransport({ baseUrl: urls.manager }),
  meter: createGrpcTransport({ baseUrl: urls.meter }),
};
const guarded = EDGE_CALLS.filter(({ path }) => RPC_RIGHTS[path]?.right !== "open");
const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
const client = (token: string) =>
  createClient(
    ManagerService,
    createConnectTransport({ baseUrl: urls.manager, httpVersion: "1.1", interceptors: [bearing(token)] }),
  );

/** What a call is answered with: its code, that of its job, or undefined when it went well. */
async function codeOf(call: EdgeCall, headers: Record<string, string>, jobId = "nobody"): Promise<Code | undefined> {
  try {
    const answer = await call.call(transports[call.server], { pool: "adder", worker: "w1", jobId }, headers);
    const { outcome } = answer as SubmitManyResponse;
    const reason = outcome?.case === "error" ? outcome.value.reason : undefined;
    return reason === "permission_denied" ? Code.PermissionDenied : undefined;
  } catch (error) {
    return ConnectError.from(error).code;
  }
}

/** The refusals that were written down while `work` ran. */
async function refusals(work: () => Promise<unknown>): Promise<Record<string, unknown>[]> {
  const from = lines.length;
  await work();
  return lines.slice(from).filter((line) => line.audit === "refused");
}

test("there is a hostile call for every RPC that needs a right", () => {
  const wanted = Object.entries(RPC_RIGHTS).filter(([, { right }]) => right !== "open");
  const missing = wanted.map(([path]) => path).filter((path) => !guarded.some((each) => each.path === path));
  // Both servers have both versions of reflection; each is called at one.
  assert.deepEqual(missing, []);
});

test("a caller of another pool, or with less than it needs, is refused by every RPC, nothing happens, and it is written down", async () => {
  await eventually(
    async () => (await codeOf(callOf("/poolmesh.v1.MeterService/GetCapacity"), bearer(tokens.admin))) === undefined,
  );
  const less: Record<RightLine["right"], string | undefined> = {
    open: undefined,
    view: undefined,
    jobs: undefined,
    submit: tokens.viewer,
    cancel: undefined,
    read: undefined,
    control: tokens.submitter,
  };
  for (const call of guarded) {
    const { right, pool } = RPC_RIGHTS[call.path] as RightLine;
    const cases = { elsewhere: pool === "any" ? undefined : tokens.elsewhere, less: less[right] };
    for (const [what, token] of Object.entries(cases)) {
      if (token === undefined) continue;
      const written = await refusals(async () =>
        assert.equal(await codeOf(call, bearer(token)), Code.PermissionDenied, `${what} ${call.path}`),
      );
      assert.equal(written.length, 1, `${what} ${call.path}`);
      const [{ who, what: path, from, reason } = {}] = written;
      assert.deepEqual([path, from, reason], [call.path, "127.0.0.1", "permission_denied"]);
      assert.match(String(who), /^token:(elsewhere|viewer|submitter)$/);
    }
  }
  nothingHappened();
});

test("somebody else's job is neither cancelled nor read, an operator cancels it, an admin reads it", async () => {
  let finish = (): void => {};
  const held = new Promise<void>((resolve) => (finish = resolve));
  await mesh.addWorker<string, string>({
    pool: "adder",
    id: "w2",
    slots: 9,
    codec: "text",
    run: () => held.then(() => "x"),
  });
  await client(tokens.operator).pauseWorker({ selector: { pool: "adder", worker: "w1" } });
  const job = { pool: "adder", input: { case: "text", value: "1" } } as const;
  const { jobId } = await client(tokens.submitter).detachSubmit({ job });
  for (const path of ["/poolmesh.v1.ManagerService/GetOutcome", "/poolmesh.v1.ManagerService/Cancel"]) {
    const written = await refusals(async () =>
      assert.equal(await codeOf(callOf(path), bearer(tokens.rival), jobId), Code.PermissionDenied, path),
    );
    assert.deepEqual([written.length, written[0]?.who, written[0]?.target], [1, "token:rival", jobId]);
  }
  assert.equal(
    await codeOf(callOf("/poolmesh.v1.ManagerService/GetOutcome"), bearer(tokens.operator), jobId),
    Code.PermissionDenied,
  );
  const stolen = client(tokens.rival).submit({ ...job, jobId });
  assert.equal((await errorOf(stolen)).code, Code.AlreadyExists, "its id brings nobody its outcome");
  const unknown = client(tokens.rival).cancel({ pool: "adder", jobId: "job-of-nobody" });
  assert.equal((await errorOf(unknown)).code, Code.NotFound);
  await client(tokens.operator).cancel({ pool: "adder", jobId });
  for (const token of [tokens.submitter, tokens.admin]) {
    const { outcome } = await client(token).getOutcome({ pool: "adder", jobId });
    assert.ok(outcome.case === "error" && outcome.value.reason === "canceled");
  }
  const own = await client(tokens.submitter).detachSubmit({ job });
  await client(tokens.submitter).cancel({ pool: "adder", jobId: own.jobId });
  finish();
  await client(tokens.operator).drainWorker({ selector: { pool: "adder", worker: "w2" }, wait: true });
  await client(tokens.operator).resumeWorker({ selector: { pool: "adder", worker: "w1" } });
  const allowed = lines.filter((line) => line.audit === "allowed");
  const deeds = allowed
    .filter(({ target }) => target === jobId)
    .map(({ who, what }) => `${who} ${String(what).split("/")[2]}`);
  assert.deepEqual(deeds, ["token:operator Cancel", "token:admin GetOutcome"]);
  assert.ok(
    allowed.some(({ who, what, target }) => who === "token:operator" && /Drain/.test(String(what)) && target === "w2"),
  );
});

test("control that was allowed and came to nothing is told as such", async () => {
  const from = lines.length;
  const error = await errorOf(client(tokens.operator).pauseWorker({ selector: { pool: "adder", worker: "nobody" } }));
  assert.equal(error.code, Code.NotFound);
  const written = lines.slice(from).map(({ audit, who, target, reason }) => [audit, who, target, reason]);
  assert.deepEqual(written, [
    ["allowed", "token:operator", "nobody", undefined],
    ["failed", "token:operator", "nobody", "not_found"],
  ]);
});

test("one job of a stream for another pool is refused, the others of the stream run", async () => {
  const job = (pool: string) => ({ pool, input: { case: "text", value: "1" } }) as const;
  const transport = createGrpcTransport({ baseUrl: urls.manager, interceptors: [bearing(tokens.submitter)] });
  async function* jobs() {
    yield { ref: 1n, job: job("adder") };
    yield { ref: 2n, job: job("other") };
    yield { ref: 3n, job: job("adder") };
  }
  const seen = new Map<bigint, string | undefined>();
  for await (const { ref, outcome } of createClient(ManagerService, transport).submitMany(jobs())) {
    seen.set(ref, outcome.case === "error" ? outcome.value.reason : outcome.case);
  }
  assert.deepEqual([seen.get(1n), seen.get(2n), seen.get(3n)], ["result", "permission_denied", "result"]);
  const [line] = lines.filter(({ audit, pool }) => audit === "refused" && pool === "other").slice(-1);
  assert.equal(line?.target, "ref 2");
  runs = 0;
});

test("reflection describes the services to who may view one pool at least", async () => {
  for (const call of guarded.filter(({ path }) => path.includes("ServerReflection"))) {
    assert.equal(await codeOf(call, bearer(tokens.viewer)), undefined, call.path);
    assert.equal(await codeOf(call, {}), Code.Unauthenticated, call.path);
  }
});

test("a caller who shows nothing, or a token that is false, is told so by every RPC, nothing happens, and it is written down", async () => {
  const ended = files.token("ended", "admin", ["*"], new Date(Date.now() - 1_000).toISOString());
  await eventually(async () => (await codeOf(guarded[0] as EdgeCall, bearer(ended))) === Code.Unauthenticated);
  const bad = { ...(await files.badJwts("alice")), unknown: "pm_made-up", "static and expired": ended };
  const headers: [what: string, Record<string, string>][] = [
    ["nothing", {}],
    ["another scheme", { authorization: "Basic YWxpY2U6eA==" }],
    ["a cookie", { cookie: `authorization=Bearer ${tokens.admin}` }],
    ...Object.entries(bad).map(([what, token]): [string, Record<string, string>] => [what, bearer(token)]),
  ];
  for (const call of guarded) {
    for (const [what, each] of headers) {
      const written = await refusals(async () =>
        assert.equal(await codeOf(call, each), Code.Unauthenticated, `${what} ${call.path}`),
      );
      assert.deepEqual(
        [written.length, written[0]?.who, written[0]?.what],
        [1, "nobody", call.path],
        `${what} ${call.path}`,
      );
    }
  }
  nothingHappened();
  const text = JSON.stringify(lines);
  for (const token of [...Object.values(tokens), ...Object.values(bad)]) {
    assert.ok(!text.includes(token) && !text.includes(token.slice(-20)), "no token is in the log");
  }
  assert.ok(lines.some(({ msg, source }) => /wrong token/.test(msg) && source === "127.0.0.1"));
});

test("a flood of wrong tokens shuts out nobody whose token was right lately", async () => {
  assert.equal(await codeOf(callOf("/poolmesh.v1.ManagerService/ListWorkers"), bearer(tokens.viewer)), undefined);
});

test("health and readiness are open, metrics need a viewer of all pools, and the page's files hold nothing", async () => {
  for (const url of Object.values(urls)) {
    const status = async (path: string, token?: string): Promise<number> =>
      (await fetch(url + path, { headers: token === undefined ? {} : bearer(token) })).status;
    assert.deepEqual(
      [await status("/healthz"), await status("/readyz"), await status("/healthz", "x")],
      [200, 200, 200],
    );
    assert.equal((await fetch(`${url}/metrics`)).headers.get("www-authenticate"), "Bearer");
    assert.deepEqual([await status("/metrics"), await status("/metrics", tokens.submitter)], [401, 403]);
    assert.equal(await status("/metrics", tokens.admin), 200);
    const health = await fetch(`${url}/grpc.health.v1.Health/Check`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    assert.equal(health.status, 200);
  }
});

test("the body of a refused request is not read", async () => {
  const answer = await fetch(`${urls.manager}/poolmesh.v1.ManagerService/Submit`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{this is no JSON",
  });
  assert.equal(answer.status, 401);
  const { code } = (await answer.json()) as { code: string };
  assert.equal(code, "unauthenticated");
});

function callOf(path: string): EdgeCall {
  return EDGE_CALLS.find((each) => each.path === path) ?? assert.fail(path);
}

function nothingHappened(): void {
  assert.equal(runs, 0);
  assert.deepEqual([worker.slots, worker.workerState], [2, WorkerState.READY]);
}
