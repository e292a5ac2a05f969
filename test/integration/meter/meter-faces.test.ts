import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Client } from "../../../client/client.js";
import { ExternalScaler, type IsActiveResponse } from "../../../gen/externalscaler/externalscaler_pb.js";
import { Health, type HealthCheckResponse } from "../../../gen/grpc/health/v1/health_pb.js";
import { HeartbeatSchema, ManagerHeartbeatSchema, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { WorkerOp } from "../../../gen/poolmesh/v1/meter_pb.js";
import { ServingStatus } from "../../../mesh/http/health.js";
import type { Logger } from "../../../mesh/process/log.js";
import { ManagerService } from "../../../services/manager/service.js";
import { Meter } from "../../../services/meter/meter.js";
import { Worker } from "../../../services/worker/worker.js";
import { connectBus, startBroker, WHOLE_FILE } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { lifecycleContract } from "../../support/core/lifecycle-contract.js";
import { errorOf } from "../../support/doors/http-service.js";
import { leakGuard } from "../../support/leak-guard.js";
import { managerBeatOf } from "../../support/meter/beats.js";
import { meterClient, Stream, startBeating, startMeter } from "../../support/meter/meter-rig.js";
import { eventually, within } from "../../support/wait.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);
const TOKEN = "a-token-of-this-test";
const LISTEN = { host: "127.0.0.1", port: 0 };

lifecycleContract(
  "meter",
  () => new Meter({ bus: { servers: broker.url }, listen: LISTEN }),
  async (t) => {
    const other = await startMeter(t, broker);
    return new Meter({ bus: { servers: broker.url }, listen: { ...LISTEN, port: Number(new URL(other.url).port) } });
  },
);

test("KEDA - the metric is busy + parked against the slots of one worker", async (t) => {
  const meter = await startMeter(t, broker, { pools: ["keda"] });
  const keda = createClient(ExternalScaler, createGrpcTransport({ baseUrl: meter.url }));
  const ref = { name: "so", namespace: "ns", scalerMetadata: { pool: "keda" } };
  assert.equal((await keda.isActive(ref)).result, false);
  const active = new Stream<IsActiveResponse>(t, (options) => keda.streamIsActive(ref, options));
  assert.equal((await within(active.next())).result, false);
  const [none] = (await keda.getMetrics({ scaledObjectRef: ref, metricName: "poolmesh-keda" })).metricValues;
  assert.deepEqual([none?.metricName, none?.metricValue], ["poolmesh-keda", 0n]);

  const { workers } = await startBeating(t, broker, { pool: "keda", workers: 2, slots: 6 });
  workers[0]?.change({ busy: 5, acceptedTotal: 5n });
  const bus = await connectBus(t, broker);
  const beat = managerBeatOf({ pool: "keda", parked: 7, heartbeatIntervalMs: 60_000 });
  bus.publish("pool.keda.manager.m1", toBinary(ManagerHeartbeatSchema, beat));
  await within(active.until(({ result }) => result));
  await eventually(async () => {
    const { metricValues } = await keda.getMetrics({ scaledObjectRef: ref });
    return metricValues[0]?.metricValue === 12n && metricValues[0].metricValueFloat === 12;
  });
  const [spec] = (await keda.getMetricSpec(ref)).metricSpecs;
  assert.deepEqual([spec?.metricName, spec?.targetSize, spec?.targetSizeFloat], ["poolmesh-keda", 6n, 6]);
  const said = { ...ref, scalerMetadata: { pool: "keda", slotsPerWorker: "3" } };
  assert.equal((await keda.getMetricSpec(said)).metricSpecs[0]?.targetSize, 3n);
});

test("KEDA - metadata that is wrong is refused, and names the field", async (t) => {
  const meter = await startMeter(t, broker);
  const keda = createClient(ExternalScaler, createGrpcTransport({ baseUrl: meter.url }));
  for (const [scalerMetadata, field] of [
    [{}, "scalerMetadata.pool"],
    [{ pool: "a.b" }, "scalerMetadata.pool"],
    [{ pool: "a", slotsPerWorker: "0" }, "scalerMetadata.slotsPerWorker"],
    [{ pool: "a", slotsPerWorker: "two" }, "scalerMetadata.slotsPerWorker"],
  ] as const) {
    const error = await errorOf(keda.getMetricSpec({ scalerMetadata }));
    assert.equal(error.code, Code.InvalidArgument);
    assert.ok(error.message.includes(field), error.message);
  }
  const scaledObjectRef = { scalerMetadata: { pool: "a" } };
  const error = await errorOf(keda.getMetrics({ scaledObjectRef, metricName: "poolmesh-b" }));
  assert.equal(error.code, Code.InvalidArgument);
});

test("health - a pool is SERVING while it has a READY worker, and Watch tells when it changes", async (t) => {
  const meter = await startMeter(t, broker, { pools: ["health"], forgetStoppedMs: 1 });
  const health = createClient(Health, createGrpcTransport({ baseUrl: meter.url }));
  assert.equal((await health.check({ service: "" })).status, ServingStatus.SERVING);
  assert.equal((await health.check({ service: "poolmesh.v1.MeterService" })).status, ServingStatus.SERVING);
  assert.equal((await health.check({ service: "solpipe.WorkerStatus" })).status, ServingStatus.SERVING);
  assert.equal((await errorOf(health.check({ service: "pool/health" }))).code, Code.NotFound);
  const watch = new Stream<HealthCheckResponse>(t, (options) => health.watch({ service: "pool/health" }, options));
  assert.equal((await within(watch.next())).status, ServingStatus.SERVICE_UNKNOWN);
  const { workers } = await startBeating(t, broker, { pool: "health", intervalMs: 60_000 });
  assert.equal((await within(watch.next())).status, ServingStatus.SERVING);
  workers[0]?.change({ state: WorkerState.PAUSED });
  assert.equal((await within(watch.next())).status, ServingStatus.NOT_SERVING);
  workers[0]?.change({ state: WorkerState.STOPPED });
  assert.equal((await within(watch.next())).status, ServingStatus.SERVICE_UNKNOWN);
});

test("metrics - are Prometheus text with series for pools, none for workers", async (t) => {
  const meter = await startMeter(t, broker, { pools: ["metrics"] });
  const { workers } = await startBeating(t, broker, { pool: "metrics", workers: 30, slots: 2 });
  workers[0]?.change({ busy: 1, jobsDone: 41n, jobsFailed: 1n, acceptedTotal: 43n });
  const text = await eventually(async () => {
    const answer = await fetch(`${meter.url}/metrics`);
    assert.match(answer.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
    const body = await answer.text();
    return body.includes('poolmesh_pool_jobs_total{pool="metrics",outcome="done"} 41') ? body : undefined;
  });
  assert.match(text, /^# TYPE poolmesh_pool_jobs_total counter$/m);
  assert.match(text, /^poolmesh_pool_slots\{pool="metrics"\} 60$/m);
  assert.match(text, /^poolmesh_pool_busy_slots\{pool="metrics"\} 1$/m);
  assert.match(text, /^poolmesh_pool_workers\{pool="metrics",state="ready"\} 30$/m);
  assert.match(text, /^poolmesh_meter_stale 0$/m);
  assert.doesNotMatch(text, /w0|host-/);
  for (const line of text.split("\n")) assert.match(line, /^$|^# (HELP|TYPE) \S+ .+$|^[a-z_]+(\{.*\})? -?[0-9.e+-]+$/);
});

test("metrics - tell how far the clock of a live worker is off at most", async (t) => {
  const meter = await startMeter(t, broker, { pools: ["clocks"] });
  const bus = await connectBus(t, broker);
  const aheadMs = 3_600_000;
  for (const [worker, offsetMs] of [
    ["w1", 0],
    ["w2", aheadMs],
    ["w3", -5_000],
  ] as const) {
    const sentAtMs = BigInt(Date.now() + offsetMs);
    const beat = { pool: "clocks", worker, incarnation: 1n, seq: 1n, state: WorkerState.READY, slots: 1, sentAtMs };
    bus.publish(`pool.clocks.heartbeat.${worker}`, toBinary(HeartbeatSchema, create(HeartbeatSchema, beat)));
  }
  const seconds = await eventually(async () => {
    const body = await (await fetch(`${meter.url}/metrics`)).text();
    const said = /^poolmesh_pool_clock_offset_max_seconds\{pool="clocks"\} (\S+)$/m.exec(body)?.[1];
    return Number(said) > 100 && Number(said);
  });
  // The heartbeat was on its way for a moment, which counts as an offset.
  assert.ok(seconds > 3_540 && seconds <= 3_600, `${seconds} s`);
});

test("control - is refused unless it is enabled and the caller bears the token", async (t) => {
  const request = { pool: "control", worker: "w1", op: WorkerOp.PAUSE };
  const readOnly = meterClient(await startMeter(t, broker, { pools: ["control"] }));
  const headers = { authorization: `Bearer ${TOKEN}` };
  assert.equal((await errorOf(readOnly.controlWorker(request, { headers }))).code, Code.PermissionDenied);
  const enabled = meterClient(await startMeter(t, broker, { pools: ["control"], control: true, controlToken: TOKEN }));
  for (const authorization of ["", "Bearer", "Bearer wrong", `Basic ${TOKEN}`, `Bearer ${TOKEN} x`, TOKEN]) {
    const error = await errorOf(enabled.controlWorker(request, { headers: { authorization } }));
    assert.equal(error.code, Code.Unauthenticated, authorization);
    assert.ok(!error.message.includes(TOKEN));
  }
  assert.equal((await errorOf(enabled.controlWorker(request, { headers }))).code, Code.NotFound);
  const unspecified = { ...request, op: WorkerOp.UNSPECIFIED };
  assert.equal((await errorOf(enabled.controlWorker(unspecified, { headers }))).code, Code.InvalidArgument);
  assert.throws(() => new Meter({ listen: LISTEN, control: true }), /control: needs a token/);
});

test("control - guesses of the token have to wait and are logged with their source, never with a token", async (t) => {
  const lines: string[] = [];
  const note = (...line: unknown[]): number => lines.push(JSON.stringify(line));
  const log = { info: note, warn: note, error: note, debug: note } as unknown as Logger;
  const meter = await startMeter(t, broker, { pools: ["guess"], control: true, controlToken: TOKEN, log });
  const request = { pool: "guess", worker: "w1", op: WorkerOp.PAUSE };
  const guess = (token: string) =>
    errorOf(meterClient(meter).controlWorker(request, { headers: { authorization: `Bearer ${token}` } }));
  const errors = await Promise.all(Array.from({ length: 200 }, (_, i) => guess(`hunter-${i}`)));
  assert.ok(errors.every(({ code }) => code === Code.Unauthenticated));
  const mustWait = ({ rawMessage }: { rawMessage: string }): boolean => rawMessage.includes("too many wrong tokens");
  assert.ok(errors.filter(mustWait).length >= 190);
  // The wait may have ended meanwhile; another wrong token begins it again.
  await eventually(
    async () => {
      const wrong = await guess(`hunter-again-${errors.length}`);
      errors.push(wrong);
      return mustWait(wrong) && (await guess(TOKEN)).code === Code.Unauthenticated;
    },
    { what: "that the right token is not looked at either" },
  );
  const waiting = errors.filter(mustWait);
  const logged = lines.filter((line) => line.includes("wrong token"));
  assert.equal(logged.length, errors.length - waiting.length);
  assert.match(logged[0] ?? "", /127\.0\.0\.1/);
  assert.doesNotMatch(lines.join("\n"), new RegExp(`hunter|${TOKEN}`));
});

test("control - pauses, resumes and drains a worker, and the view follows", async (t) => {
  const meter = await startMeter(t, broker, { pools: ["control"], control: true, controlToken: TOKEN });
  const worker = new Worker({ pool: "control", id: "w1", run: () => 1, servers: broker.url });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const client = meterClient(meter);
  const state = async () => (await client.listWorkers({ pool: "control" })).workers[0]?.heartbeat?.state;
  await eventually(async () => (await state()) === WorkerState.READY);
  for (const [op, wanted] of [
    [WorkerOp.PAUSE, WorkerState.PAUSED],
    [WorkerOp.RESUME, WorkerState.READY],
    [WorkerOp.DRAIN, WorkerState.STOPPED],
  ] as const) {
    const headers = { authorization: `Bearer ${TOKEN}` };
    await client.controlWorker({ pool: "control", worker: "w1", op }, { headers });
    await eventually(async () => (await state()) === wanted);
  }
});

test("page - is served under a strict policy, with assets that may be kept", async (t) => {
  const pageFolder = await mkdtemp(join(tmpdir(), "poolmesh-page-"));
  cleanUp(t, () => rm(pageFolder, { recursive: true }));
  await mkdir(join(pageFolder, "assets"));
  await writeFile(join(pageFolder, "index.html"), "<!doctype html><title>a page</title>");
  await writeFile(join(pageFolder, "assets", "main-abc123.js"), "export {};");
  const meter = await startMeter(t, broker, { pageFolder, control: true, controlToken: TOKEN });
  const page = await fetch(`${meter.url}/`);
  assert.equal(await page.text(), "<!doctype html><title>a page</title>");
  const policy = page.headers.get("content-security-policy") ?? "";
  for (const rule of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"]) {
    assert.ok(policy.includes(rule), policy);
  }
  assert.deepEqual(
    ["x-content-type-options", "referrer-policy", "cache-control"].map((name) => page.headers.get(name)),
    ["nosniff", "no-referrer", "no-cache"],
  );
  const asset = await fetch(`${meter.url}/assets/main-abc123.js`);
  assert.equal(asset.headers.get("cache-control"), "public, max-age=31536000, immutable");
  assert.match(asset.headers.get("content-type") ?? "", /^text\/javascript/);
  const config = (await (await fetch(`${meter.url}/page-config.json`)).json()) as { control: boolean };
  assert.equal(config.control, true);
  for (const path of ["/../package.json", "/assets/..%2f..%2fpackage.json", "/assets/", "/assets/none.js"]) {
    assert.equal((await fetch(`${meter.url}${path}`)).status, 404, path);
  }
  assert.equal((await fetch(`${meter.url}/`, { method: "POST" })).status, 405);
});

test("page - that is not built is a friendly text", async (t) => {
  const meter = await startMeter(t, broker, { pageFolder: join(tmpdir(), "poolmesh-no-such-folder") });
  const answer = await fetch(`${meter.url}/`);
  assert.match(await answer.text(), /the page is not built/);
  assert.equal(answer.status, 200);
});

test("history - is the last 15 minutes of a pool and of all pools", async (t) => {
  const meter = await startMeter(t, broker, { pools: ["history"] });
  await startBeating(t, broker, { pool: "history", slots: 3 });
  const client = meterClient(meter);
  const history = await eventually(async () => {
    const answer = await client.getHistory({ pool: "history" });
    return answer.slots.length >= 2 && answer.slots.at(-1) === 3 ? answer : undefined;
  });
  assert.equal(history.stepMs, 1_000);
  assert.deepEqual([history.utilization.at(-1), history.parked.at(-1)], [0, 0]);
  assert.equal((await client.getHistory({})).slots.at(-1), 3);
  assert.equal((await errorOf(client.getHistory({ pool: "nobody" }))).code, Code.NotFound);
  assert.equal((await errorOf(client.getHistory({ pool: "a b" }))).code, Code.InvalidArgument);
});

test("GetCapacity and ListWorkers say that no worker has sent a heartbeat for a pool", async (t) => {
  const client = meterClient(await startMeter(t, broker));
  for (const call of [client.getCapacity({ pool: "unheard" }), client.listWorkers({ pool: "unheard" })]) {
    const error = await errorOf(call);
    assert.equal(error.code, Code.NotFound);
    assert.match(error.message, /unknown_pool: no worker has ever sent a heartbeat for this pool/);
  }
});

test("a pool name is never taken for anything else: wildcards and protocol are refused", async (t) => {
  const client = meterClient(await startMeter(t, broker));
  for (const pool of ["*", ">", "a.b", "a b", "a\r\nPUB x 1", "\u200b", "é", "x".repeat(64)]) {
    assert.equal((await errorOf(client.getCapacity({ pool }))).code, Code.InvalidArgument, JSON.stringify(pool));
  }
});

test("KEDA - jobs that are stored for a pool without workers wake it, and are counted once", async (t) => {
  const bus = await connectBus(t, broker);
  const pools = ["stored"];
  const listen = LISTEN;
  for (let i = 0; i < 2; i += 1) {
    const manager = new ManagerService({ bus: { servers: broker.url }, listen, pools, durable: true });
    cleanUp(t, () => manager.stop());
    await manager.start();
  }
  const meter = await startMeter(t, broker, { pools });
  const keda = createClient(ExternalScaler, createGrpcTransport({ baseUrl: meter.url }));
  const ref = { name: "so", namespace: "ns", scalerMetadata: { pool: "stored" } };
  assert.equal((await keda.isActive(ref)).result, false);
  const client = await Client.connect({ pool: "stored", connection: bus });
  cleanUp(t, () => client.close());
  const receipts = await Promise.all([1, 2, 3].map((n) => client.enqueue(String(n))));
  const metric = async (): Promise<bigint | undefined> =>
    (await keda.getMetrics({ scaledObjectRef: ref })).metricValues[0]?.metricValue;
  await eventually(async () => (await metric()) === 3n, { what: "three stored jobs" });
  assert.equal((await keda.isActive(ref)).result, true);
  const worker = new Worker({ pool: "stored", servers: broker.url, run: () => 1 });
  cleanUp(t, () => worker.stop());
  await worker.start();
  await Promise.all(receipts.map((receipt) => receipt.result()));
  await eventually(async () => (await metric()) === 0n, { what: "nothing stored any more" });
});
