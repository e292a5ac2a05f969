import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { WatchCapacityResponse, WatchWorkersResponse } from "../../../gen/poolmesh/v1/meter_pb.js";
import type { CapacityResponse } from "../../../gen/solpipe/solpipe_pb.js";
import { startBroker, WHOLE_FILE } from "../../support/broker.js";
import { errorOf, TRANSPORTS } from "../../support/doors/http-service.js";
import { leakGuard } from "../../support/leak-guard.js";
import { meterClient, Stream, startBeating, startMeter, workerStatusClient } from "../../support/meter/meter-rig.js";
import { eventually, within } from "../../support/wait.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);

for (const [name, transportTo] of Object.entries(TRANSPORTS)) {
  test(`solpipe.WorkerStatus - streams utilization over ${name}: at once, and on every change`, async (t) => {
    const meter = await startMeter(t, broker);
    const client = workerStatusClient(meter, transportTo(meter.url));
    const stream = new Stream<CapacityResponse>(t, (options) => client.onStatus({}, options));
    assert.equal((await within(stream.next())).capacity, 1);
    const { workers } = await startBeating(t, broker, { workers: 2, slots: 2, pool: poolOf(name) });
    await within(stream.until(({ capacity }) => capacity === 0));
    workers[0]?.startJob();
    await within(stream.until(({ capacity }) => capacity === 0.25));
    workers[1]?.startJob();
    await within(stream.until(({ capacity }) => capacity === 0.5));
    workers[0]?.endJob();
    await within(stream.until(({ capacity }) => capacity === 0.25));
  });
}

test("solpipe.WorkerStatus - is narrowed to one pool by a request header", async (t) => {
  const meter = await startMeter(t, broker);
  const busy = await startBeating(t, broker, { pool: "busy-pool", slots: 1 });
  await startBeating(t, broker, { pool: "idle-pool", slots: 3 });
  busy.workers[0]?.startJob();
  const client = workerStatusClient(meter);
  const of = (pool: string) =>
    new Stream<CapacityResponse>(t, (options) => client.onStatus({}, { ...options, headers: { pool } }));
  await within(of("busy-pool").until(({ capacity }) => capacity === 1));
  await within(of("idle-pool").until(({ capacity }) => capacity === 0));
  assert.equal((await within(of("nobody").next())).capacity, 1);
  const error = await errorOf(within(of("no name").next()));
  assert.equal(error.code, Code.InvalidArgument);
  assert.match(error.message, /^\[invalid_argument\] pool name/);
});

test("solpipe.WorkerStatus - says the same again after its keep-alive time, and nothing in between", async (t) => {
  const meter = await startMeter(t, broker, { statusKeepAliveMs: 100, pools: ["steady"] });
  const { workers } = await startBeating(t, broker, { pool: "steady", intervalMs: 20 });
  const stream = new Stream<CapacityResponse>(t, (options) => workerStatusClient(meter).onStatus({}, options));
  await within(stream.until(({ capacity }) => capacity === 0));
  const started = performance.now();
  for (let i = 0; i < 5; i += 1) assert.equal((await within(stream.next())).capacity, 0);
  assert.ok(performance.now() - started >= 400, "five messages in less than five keep-alive times");
  assert.equal(workers[0]?.beat.busy, 0);
});

test("WatchCapacity - begins with a snapshot, goes on with what changed, and its version rises", async (t) => {
  const meter = await startMeter(t, broker, { pools: ["a", "b"] });
  const a = await startBeating(t, broker, { pool: "a" });
  await startBeating(t, broker, { pool: "b", workers: 3 });
  await eventually(async () => (await meterClient(meter).getCapacity({})).total?.slots === 16);
  const stream = watchCapacity(t, meter, {});
  const first = await within(stream.next());
  assert.equal(first.snapshot, true);
  assert.deepEqual(
    first.pools.map((pool) => [pool.pool, pool.slots]),
    [
      ["a", 4],
      ["b", 12],
    ],
  );
  assert.deepEqual([first.total?.slots, first.total?.utilization, first.freshness?.stale], [16, 0, false]);
  a.workers[0]?.startJob();
  const second = await within(stream.next());
  assert.equal(second.snapshot, false);
  assert.deepEqual(
    second.pools.map((pool) => [pool.pool, pool.busy]),
    [["a", 1]],
  );
  assert.equal(second.total?.utilization, 1 / 16);
  assert.ok(second.version > first.version);
});

test("WatchCapacity - sees a pool come and go", async (t) => {
  const meter = await startMeter(t, broker, { forgetStoppedMs: 1, pools: ["fleeting"] });
  const stream = watchCapacity(t, meter, { pool: "fleeting" });
  assert.deepEqual((await within(stream.next())).pools, []);
  const { workers } = await startBeating(t, broker, { pool: "fleeting", intervalMs: 60_000 });
  await within(stream.until(({ pools }) => pools[0]?.slots === 4));
  workers[0]?.change({ state: WorkerState.STOPPED });
  const last = await within(stream.until(({ removed }) => removed.length > 0));
  assert.deepEqual(last.removed, ["fleeting"]);
  assert.equal(last.total?.utilization, 1);
});

test("WatchCapacity - counts only workers with the labels asked for", async (t) => {
  const meter = await startMeter(t, broker, { pools: ["labelled"] });
  const red = await startBeating(t, broker, { pool: "labelled", labels: { hue: "red" }, workers: 2 });
  const stream = watchCapacity(t, meter, { pool: "labelled", labels: { hue: "red" } });
  await within(stream.until(({ total }) => total?.slots === 8));
  assert.equal((await meterClient(meter).getCapacity({ pool: "labelled", labels: { hue: "blue" } })).total?.slots, 0);
  red.workers[1]?.startJob();
  await within(stream.until(({ total }) => total?.busy === 1));
});

test("WatchCapacity - sends something when nothing changes for its keep-alive time", async (t) => {
  const meter = await startMeter(t, broker, { keepAliveMs: 50, pools: ["nobody"] });
  const stream = watchCapacity(t, meter, {});
  const versions = [];
  for (let i = 0; i < 4; i += 1) versions.push((await within(stream.next())).version);
  assert.deepEqual(versions, [1n, 2n, 3n, 4n]);
});

test("WatchCapacity - sends no more often than the client wants", async (t) => {
  const meter = await startMeter(t, broker, { pools: ["hasty"] });
  const { workers } = await startBeating(t, broker, { pool: "hasty", slots: 1_000, coalesceMs: 1 });
  const stream = watchCapacity(t, meter, { pool: "hasty", minIntervalMs: 300 });
  await within(stream.next());
  const started = performance.now();
  const timer = setInterval(() => workers[0]?.startJob(), 5);
  t.after(() => clearInterval(timer));
  for (let i = 0; i < 3; i += 1) await within(stream.next());
  assert.ok(performance.now() - started >= 550, "three messages in less than two intervals");
});

test("WatchCapacity - refuses a filter or a pace that is none, and names the field", async (t) => {
  const meter = await startMeter(t, broker);
  for (const [request, field] of [
    [{ pool: "a.b" }, "pool"],
    [{ labels: { a: "v".repeat(64) } }, "labels"],
    [{ minIntervalMs: 15_001 }, "min_interval_ms"],
  ] as const) {
    const error = await errorOf(within(watchCapacity(t, meter, request).next()));
    assert.equal(error.code, Code.InvalidArgument);
    assert.ok(error.message.includes(field), error.message);
  }
});

for (const [name, transport] of Object.entries(TRANSPORTS)) {
  test(`every kind of client - sees what its stream has not seen yet, whenever it came: ${name}`, async (t) => {
    const meter = await startMeter(t, broker, { pools: ["common"] });
    const { workers } = await startBeating(t, broker, { pool: "common", labels: { hue: "red" } });
    await eventually(async () => (await meterClient(meter).getCapacity({})).total?.slots === 4);
    const client = meterClient(meter, transport(meter.url));
    type Message = WatchCapacityResponse | WatchWorkersResponse;
    const open = () => [
      new Stream<Message>(t, (options) => client.watchCapacity({ pool: "common" }, options)),
      new Stream<Message>(t, (options) => client.watchWorkers({ pool: "common" }, options)),
    ];
    const seen = new Map<Stream<Message>, bigint>();
    for (let busy = 1; busy <= 3; busy += 1) {
      for (const stream of open()) seen.set(stream, 0n);
      workers[0]?.startJob();
      for (const [stream, version] of seen) {
        const message = await within(stream.until((each) => busyOf(each) === busy));
        assert.ok(message.version > version, "its version rises");
        assert.equal(message.freshness?.stale, false);
        seen.set(stream, message.version);
      }
    }
  });
}

function busyOf(message: WatchCapacityResponse | WatchWorkersResponse): number | undefined {
  return "pools" in message ? message.pools[0]?.busy : message.changed[0]?.heartbeat?.busy;
}

test("WatchWorkers - begins with all rows, goes on with those that changed, and names those that are gone", async (t) => {
  const meter = await startMeter(t, broker, { forgetStoppedMs: 1, pools: ["rows"] });
  const { workers } = await startBeating(t, broker, { pool: "rows", workers: 3, intervalMs: 60_000 });
  await eventually(async () => (await meterClient(meter).listWorkers({ pool: "rows" })).workers.length === 3);
  const stream = watchWorkers(t, meter, { pool: "rows" });
  const first = await within(stream.next());
  assert.equal(first.snapshot, true);
  assert.deepEqual(first.changed.map((view) => view.heartbeat?.worker).sort(), ["w0", "w1", "w2"]);
  workers[1]?.change({ busy: 1, runningJobs: ["job-1"], acceptedTotal: 1n });
  const { changed } = await within(stream.until((message) => message.changed.length > 0));
  assert.deepEqual(
    changed.map((view) => [view.heartbeat?.worker, view.heartbeat?.runningJobs]),
    [["w1", ["job-1"]]],
  );
  workers[2]?.change({ state: WorkerState.STOPPED });
  const { removed } = await within(stream.until((message) => message.removed.length > 0));
  const incarnation = workers[2]?.beat.incarnation;
  assert.deepEqual(
    removed.map((key) => [key.pool, key.worker, key.incarnation]),
    [["rows", "w2", incarnation]],
  );
});

test("WatchWorkers - shows that an idle worker goes on beating", async (t) => {
  const meter = await startMeter(t, broker, { pools: ["idle"] });
  await startBeating(t, broker, { pool: "idle", intervalMs: 100 });
  const stream = watchWorkers(t, meter, { pool: "idle" });
  const first = await within(stream.until(({ changed }) => changed.length === 1));
  const second = await within(stream.until(({ changed }) => changed.length === 1));
  assert.ok((second.changed[0]?.heartbeat?.seq ?? 0n) > (first.changed[0]?.heartbeat?.seq ?? 0n));
  assert.ok((second.changed[0]?.ageMs ?? 1e9) < 1_000);
});

test("the end of a stream - is unavailable for every stream of a meter that stops, and leaves nothing listening", async (t) => {
  const meter = await startMeter(t, broker);
  const client = meterClient(meter);
  const status = workerStatusClient(meter);
  const open = Array.from({ length: 50 }, (_, i) =>
    i % 2 === 0
      ? new Stream<unknown>(t, (options) => client.watchCapacity({}, options))
      : new Stream<unknown>(t, (options) => status.onStatus({}, options)),
  );
  for (const stream of open) await within(stream.next());
  const ends = open.map((stream) => errorOf(stream.until(() => false)));
  await within(meter.stop());
  for (const end of await Promise.all(ends)) assert.equal(end.code, Code.Unavailable);
  await assert.rejects(fetch(`${meter.url}/healthz`));
});

test("the end of a stream - leaves nothing behind: subscribe-and-leave cycles return to the baseline", async (t) => {
  const meter = await startMeter(t, broker);
  const client = meterClient(meter);
  for (let round = 0; round < 20; round += 1) {
    const streams = Array.from(
      { length: 20 },
      () => new Stream<WatchCapacityResponse>({ after() {} }, (options) => client.watchCapacity({}, options)),
    );
    await within(Promise.all(streams.map((stream) => stream.next())));
    for (const stream of streams) stream.leave();
  }
  await eventually(async () => (await metric(meter.url, "poolmesh_meter_streams")) === 0);
  assert.equal(await metric(meter.url, "poolmesh_meter_readers"), 0);
});

test("the end of a stream - comes at the bound of streams with the next one", async (t) => {
  const meter = await startMeter(t, broker, { maxStreams: 2 });
  for (let i = 0; i < 2; i += 1) await within(watchCapacity(t, meter, {}).next());
  const error = await errorOf(within(watchCapacity(t, meter, {}).next()));
  assert.equal(error.code, Code.ResourceExhausted);
  assert.ok(error instanceof ConnectError);
});

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
}

function watchCapacity(
  t: Parameters<typeof startMeter>[0],
  meter: Parameters<typeof meterClient>[0],
  request: Parameters<ReturnType<typeof meterClient>["watchCapacity"]>[0],
): Stream<WatchCapacityResponse> {
  const client = meterClient(meter, createGrpcTransport({ baseUrl: meter.url }));
  return new Stream(t, (options) => client.watchCapacity(request, options));
}

function watchWorkers(
  t: Parameters<typeof startMeter>[0],
  meter: Parameters<typeof meterClient>[0],
  request: Parameters<ReturnType<typeof meterClient>["watchWorkers"]>[0],
): Stream<WatchWorkersResponse> {
  return new Stream(t, (options) => meterClient(meter).watchWorkers(request, options));
}

function poolOf(name: string): string {
  return name.replace(/[^A-Za-z0-9]+/g, "-");
}
