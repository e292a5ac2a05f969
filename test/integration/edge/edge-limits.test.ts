/** What a policy changes while it runs, and what one caller may take of what there is for all. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { Health } from "../../../gen/grpc/health/v1/health_pb.js";
import { ManagerService } from "../../../gen/poolmesh/v1/manager_pb.js";
import { MeterService } from "../../../gen/poolmesh/v1/meter_pb.js";
import { WorkerStatus } from "../../../gen/solpipe/solpipe_pb.js";
import { ManagerService as ManagerProgram } from "../../../services/manager/service.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { bearing } from "../../support/doors/control-token.js";
import { echoServer, errorOf, rpcErrorOf } from "../../support/doors/http-service.js";
import { AUDIENCE, ISSUER, makePolicy } from "../../support/doors/policy.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { startMesh } from "../../support/mesh.js";
import { Stream } from "../../support/meter/meter-rig.js";
import { eventually, within } from "../../support/wait.js";

leakGuard();
const files = await makePolicy(WHOLE_FILE);
const alice = files.token("alice", "submitter", ["*"]);
const bob = files.token("bob", "submitter", ["*"]);
const reader = files.token("reader", "viewer", ["*"]);
files.write([]);
const { log, named } = readableLog();
const edge = { policyFile: files.file, policyIntervalMs: 20, controlToken: undefined as unknown as string, log };
const mesh = await startMesh(WHOLE_FILE, {
  manager: { ...edge, pools: ["idle", "shared"], parkedLimit: 4, clientShare: 0.5 },
  meter: { ...edge, maxStreams: 5, maxCallerStreams: 2 },
});

const at = (baseUrl: string, token?: string) =>
  createGrpcTransport({ baseUrl, interceptors: token === undefined ? [] : [bearing(token)] });
const client = (url: string, token?: string) => createClient(ManagerService, at(url, token));
const manager = (token?: string) => client(mesh.manager.url, token);
const meter = (token?: string) => createClient(MeterService, at(mesh.meter.url, token));

test("a caller holds its share of the parked jobs, whatever clients it names, and leaves room for others", async () => {
  const park = (token: string, client: string) =>
    manager(token).detachSubmit({
      job: { pool: "idle", client, waitForPool: true, timeoutMs: 60_000n, input: { case: "text", value: "x" } },
    });
  const ids: { jobId: string }[] = [];
  const error = await rpcErrorOf(
    (async () => {
      while (ids.length < 5) ids.push(await park(alice, `client-${ids.length}`));
    })(),
  );
  assert.deepEqual([error.reason, /its share/.test(error.message)], ["pool_full", true], `${ids.length} parked`);
  await manager(bob).cancel({ pool: "idle", jobId: (await park(bob, "client-0")).jobId });
  for (const { jobId } of ids) await manager(alice).cancel({ pool: "idle", jobId });
});

test("a job belongs to its caller at every manager, and its id brings nobody else its outcome", async (t) => {
  const second = new ManagerProgram({
    bus: { servers: mesh.natsUrl },
    listen: { host: "127.0.0.1", port: 0 },
    ...edge,
  });
  cleanUp(t, () => second.stop());
  await second.start();
  const run = ({ signal }: { signal: AbortSignal }): Promise<string> =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))));
  await mesh.addWorker({ pool: "shared", slots: 64, codec: "text", run }, t);
  const urls = [mesh.manager.url, second.url];
  for (const url of urls) {
    await eventually(async () => (await client(url, alice).listWorkers({ pool: "shared" })).workers.length === 1);
  }
  const job = { pool: "shared", input: { case: "text", value: "same" }, timeoutMs: 20_000n } as const;
  let tries = 0;
  /** What bob hears who submits, cancels and asks for a job of alice at both managers. */
  const bobHears = async (first: string): Promise<string[]> => {
    const jobId = `shared-${tries++}`;
    await client(first, alice).detachSubmit({ job: { ...job, jobId } });
    const heard: string[] = [];
    for (const bobs of urls.map((url) => client(url, bob))) {
      heard.push((await rpcErrorOf(bobs.submit({ ...job, jobId }))).reason);
      for (const work of [bobs.cancel({ pool: "shared", jobId }), bobs.getOutcome({ pool: "shared", jobId })]) {
        const { reason } = await rpcErrorOf(work);
        heard.push(/^(permission_denied|not_found)$/.test(reason) ? "refused" : reason);
      }
    }
    await client(first, alice).cancel({ pool: "shared", jobId });
    return heard;
  };
  // Managers that have just started do not know yet who owns an id: the second submission is then a job of its own.
  const refused = ["duplicate_job", "refused", "refused", "duplicate_job", "refused", "refused"];
  await eventually(async () => {
    const heard = [...(await bobHears(urls[0] ?? "")), ...(await bobHears(urls[1] ?? ""))];
    return JSON.stringify(heard) === JSON.stringify([...refused, ...refused]);
  });
  for (const first of [...urls, ...urls]) assert.deepEqual(await bobHears(first), refused);
});

test("a caller has its number of streams, and leaves room for others", async (t) => {
  const open = async (token: string) => {
    const stream = new Stream(t, (options) => meter(token).watchCapacity({}, options));
    await stream.next();
    return stream;
  };
  await open(alice);
  const second = await open(alice);
  assert.equal((await errorOf(open(alice))).code, Code.ResourceExhausted);
  await open(bob);
  second.leave();
  await eventually(async () => (await errorOf(open(alice))).message.includes("it succeeded"));
});

test("callers without a token fill no more than half of the streams, and the rest is for callers who are known", async (t) => {
  const { server } = echoServer({ access: { policyFile: files.file }, maxStreams: 4, maxCallerStreams: 9 });
  cleanUp(t, () => server.stop());
  await server.start();
  const watch = async () => {
    const stream = new Stream(t, (options) => createClient(Health, at(server.url)).watch({ service: "" }, options));
    await stream.next();
  };
  await watch();
  await watch();
  const refused = await errorOf(watch());
  assert.deepEqual([refused.code, /callers without a token/.test(refused.message)], [Code.ResourceExhausted, true]);
  for (const token of [alice, bob]) {
    const status = createClient(WorkerStatus, at(server.url, token));
    await new Stream(t, (options) => status.onStatus({}, { ...options, headers: { pool: "adder" } })).next();
  }
});

test("an open stream ends when its caller's token is taken away, and no new one begins", async (t) => {
  const stream = new Stream(t, (options) => meter(reader).watchCapacity({}, options));
  await stream.next();
  files.revoke("reader");
  assert.equal((await errorOf(within(stream.until(() => false)))).code, Code.Unauthenticated);
  assert.equal((await errorOf(meter(reader).getCapacity({}))).code, Code.Unauthenticated);
});

test("a new policy counts at once, a wrong one is told with every mistake and changes nothing", async () => {
  const status = async (): Promise<number> => (await fetch(`${mesh.meter.url}/metrics`)).status;
  assert.equal(await status(), 401);
  files.write([{ who: "everyone", role: "viewer", pools: ["*"] }]);
  await eventually(async () => (await status()) === 200);
  files.writeText('{ "grant": [], "jwt": {} }');
  await eventually(() => named("the policy is wrong; the one before it stays in force").length >= 2);
  const [line] = named("the policy is wrong; the one before it stays in force");
  assert.match(String(line?.error), /grant: unknown; did you mean grants\?\n {2}jwt\.jwks/);
  assert.equal(await status(), 200);
  files.write([]);
  await eventually(async () => (await status()) === 401);
});

test("keys that are fetched from a URL check signed tokens, and an outage of theirs is no wrong token", async (t) => {
  const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: "fetched" }] });
  let isDown = true;
  const idp = createServer((_, res) => (isDown ? res.writeHead(503).end() : res.end(keys)));
  await new Promise<void>((resolve) => idp.listen(0, "127.0.0.1", resolve));
  cleanUp(t, () => new Promise((resolve) => idp.close(resolve)));
  const { port } = idp.address() as AddressInfo;
  const jwt = { jwks: `http://127.0.0.1:${port}/keys`, issuer: ISSUER, audience: AUDIENCE };
  files.write([{ who: "jwt:carol", role: "viewer", pools: ["*"] }], { jwt });
  const signed = await new SignJWT({ sub: "carol", iss: ISSUER, aud: AUDIENCE })
    .setProtectedHeader({ alg: "RS256", kid: "fetched" })
    .setExpirationTime("5m")
    .sign(privateKey);
  const wrongBefore = named("a request with a wrong token").length;
  await eventually(async () => (await rpcErrorOf(meter(signed).getCapacity({}))).message.includes("cannot be had now"));
  isDown = false;
  await eventually(async () => (await rpcErrorOf(meter(signed).getCapacity({}))).message.includes("it succeeded"));
  assert.ok(named("a request with a wrong token").length - wrongBefore <= 3);
});

test("a key set that is not there is asked for once a second, whatever tokens come, and one without end is not read", async (t) => {
  let asked = 0;
  let isEndless = false;
  const idp = createServer((_, res) => {
    asked += 1;
    if (!isEndless) return void res.writeHead(503).end();
    res.writeHead(200);
    const more = (): void => {
      while (!res.destroyed && res.write(Buffer.alloc(65_536, 32)));
    };
    res.on("drain", more);
    more();
  });
  await new Promise<void>((resolve) => idp.listen(0, "127.0.0.1", resolve));
  cleanUp(t, () => new Promise((resolve) => idp.close(resolve)));
  const { port } = idp.address() as AddressInfo;
  const warned = named("the keys of signed tokens (jwt.jwks) cannot be fetched").length;
  files.write([], { jwt: { jwks: `http://127.0.0.1:${port}/keys`, issuer: ISSUER, audience: AUDIENCE } });
  const signed = await files.jwt("carol");
  const refusal = async (): Promise<string> => (await rpcErrorOf(meter(signed).getCapacity({}))).message;
  await eventually(async () => (await refusal()).includes("cannot be had now") && asked > 0);
  const startedAtMs = performance.now();
  const before = asked;
  for (let i = 0; i < 50; i += 1) assert.match(await refusal(), /cannot be had now/);
  const mostSeconds = Math.ceil((performance.now() - startedAtMs) / 1_000);
  assert.ok(asked - before <= mostSeconds, `${asked - before} times in ${mostSeconds} s`);
  isEndless = true;
  const endless = asked;
  await eventually(async () => (await refusal()).includes("cannot be had now") && asked > endless);
  assert.ok(named("the keys of signed tokens (jwt.jwks) cannot be fetched").length > warned);
});
