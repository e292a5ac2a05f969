import assert from "node:assert/strict";
import { test } from "node:test";
import { toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { HeartbeatSchema, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { WatchCapacityResponse, WatchWorkersResponse } from "../../../gen/poolmesh/v1/meter_pb.js";
import type { WorkerView } from "../../../gen/poolmesh/v1/view_pb.js";
import { Meter } from "../../../services/meter/meter.js";
import { connectBus, type Owner, startBroker, WHOLE_FILE } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { beatOf } from "../../support/meter/beats.js";
import type { BeatingWorker } from "../../support/meter/heartbeat-generator.js";
import { meterClient, Stream, startBeating, startMeter } from "../../support/meter/meter-rig.js";
import { TcpProxy } from "../../support/proxy/tcp-proxy.js";
import { seededRandom } from "../../support/random.js";
import { eventually, within } from "../../support/wait.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE);

test("a worker that restarts under its id is counted once, before, during and after", async (t) => {
  const meter = await startMeter(t, broker, { pools: ["f14"] });
  const { workers } = await startBeating(t, broker, { pool: "f14", intervalMs: 100 });
  const stream = watch(t, meter, "f14");
  await within(stream.until(({ total }) => total?.slots === 4));
  const seen: number[] = [];
  for (let i = 0; i < 5; i += 1) {
    const [worker] = workers as [BeatingWorker];
    const old = worker.beat;
    worker.change({ busy: 3, acceptedTotal: 3n });
    await within(stream.until(({ total }) => total?.busy === 3));
    worker.restart();
    worker.send({ ...old, seq: old.seq + 1n });
    seen.push((await within(stream.until(({ total }) => total?.busy === 0))).total?.slots ?? -1);
  }
  assert.deepEqual(seen, [4, 4, 4, 4, 4]);
});

test("a worker whose process is gone is LOST before three of its intervals are over", async (t) => {
  const meter = await startMeter(t, broker, { pools: ["gone"] });
  const generator = await startBeating(t, broker, { pool: "gone", intervalMs: 3_000 });
  const stream = watch(t, meter, "gone");
  await within(stream.until(({ total }) => total?.slots === 4));
  generator.vanish();
  await within(stream.until(({ total }) => total?.workers?.lost === 1));
  const [lost] = await rows(meter, "gone");
  assert.ok((lost?.ageMs ?? 1e9) < 9_000, `LOST after ${lost?.ageMs} ms`);
  assert.equal((await meterClient(meter).getCapacity({})).total?.slots, 0);
});

test("lost heartbeats make nobody flap while workers answer probes", async (t) => {
  const meter = await startMeter(t, broker, { pools: ["f70"] });
  await startBeating(t, broker, {
    pool: "f70",
    workers: 40,
    intervalMs: 500,
    loss: 0.3,
    random: seededRandom(70),
  });
  const stream = watch(t, meter, "f70");
  await within(stream.until(({ total }) => total?.workers?.ready === 40));
  const changes = new Stream<WatchWorkersResponse>(t, (options) =>
    meterClient(meter).watchWorkers({ pool: "f70" }, options),
  );
  const beaten = new Map<string, bigint>();
  while (beaten.size < 40 || [...beaten.values()].some((seq) => seq < 15n)) {
    for (const { heartbeat } of (await within(changes.next())).changed) {
      assert.equal(heartbeat?.state, WorkerState.READY, heartbeat?.worker);
      beaten.set(heartbeat.worker, heartbeat.seq);
    }
  }
});

test("heartbeats that come twice, out of order or from an old incarnation are ignored and counted", async (t) => {
  const meter = await startMeter(t, broker, { pools: ["f76"] });
  const bus = await connectBus(t, broker);
  const send = (fields: Parameters<typeof beatOf>[0]) =>
    bus.publish("pool.f76.heartbeat.w1", toBinary(HeartbeatSchema, beatOf({ pool: "f76", ...fields })));
  send({ incarnation: 2_000n, seq: 5n, busy: 2 });
  send({ incarnation: 2_000n, seq: 5n, busy: 3 });
  send({ incarnation: 2_000n, seq: 4n, busy: 1 });
  send({ incarnation: 1_000n, seq: 900n, busy: 4 });
  await eventually(async () => (await fates(meter)).old_incarnation === 1);
  const counted = await fates(meter);
  assert.deepEqual([counted.new, counted.old_seq, counted.old_incarnation], [1, 2, 1]);
  assert.deepEqual(
    (await rows(meter, "f76")).map(({ heartbeat }) => heartbeat?.busy),
    [2],
  );
});

test("garbage is dropped and counted, and makes no entry", async (t) => {
  const meter = await startMeter(t, broker, { pools: ["garbage"] });
  const bus = await connectBus(t, broker);
  const send = (worker: string, data: Uint8Array) => bus.publish(`pool.garbage.heartbeat.${worker}`, data);
  const valid = beatOf({ pool: "garbage" });
  send("w1", new Uint8Array([1, 2, 3]));
  send("w1", new Uint8Array(900_000));
  send("w2", toBinary(HeartbeatSchema, valid));
  send("w1", toBinary(HeartbeatSchema, { ...valid, busy: 9 }));
  send("w1", new TextEncoder().encode(`{"pool":"garbage","worker":"w1","slots":-4}`));
  send("w1", toBinary(HeartbeatSchema, { ...valid, loopLagMs: Number.NaN }));
  await eventually(async () => Object.values(await fates(meter)).reduce((sum, n) => sum + n, 0) === 6);
  const { malformed, too_large, identity, counts } = await fates(meter);
  assert.deepEqual([malformed, too_large, identity, counts], [2, 1, 1, 2]);
  const { pools, total } = await meterClient(meter).getCapacity({});
  assert.deepEqual([pools.length, total?.slots], [0, 0]);
});

test("two live workers that claim one id are kept apart, and the conflict is shown until it ends", async (t) => {
  const meter = await startMeter(t, broker, { pools: ["twins"] });
  const first = await startBeating(t, broker, { pool: "twins", intervalMs: 150, slots: 1 });
  await eventually(async () => (await rows(meter, "twins")).length === 1);
  const second = await startBeating(t, broker, { pool: "twins", intervalMs: 150, slots: 2 });
  const stream = watch(t, meter, "twins");
  const shown = await within(stream.until(({ total }) => total?.conflicts === 1));
  assert.deepEqual([shown.total?.slots, shown.total?.workers?.ready], [3, 2]);
  const twins = await rows(meter, "twins");
  assert.deepEqual(
    twins.map((view) => [view.heartbeat?.worker, view.conflict]),
    [
      ["w0", true],
      ["w0", true],
    ],
  );
  second.workers[0]?.change({ state: WorkerState.STOPPED });
  second.stop();
  await within(stream.until(({ total }) => total?.conflicts === 0));
  assert.equal(first.workers[0]?.alive, true);
});

test("a meter that is killed and started again shows the truth, snapshot first", async (t) => {
  const first = await startMeter(t, broker, { pools: ["f69"] });
  const { workers } = await startBeating(t, broker, { pool: "f69", workers: 5, intervalMs: 300 });
  workers[0]?.startJob();
  await within(watch(t, first, "f69").until(({ total }) => total?.busy === 1 && total.slots === 20));
  await first.stop();
  const second = await startMeter(t, broker, { pools: ["f69"] });
  const stream = watch(t, second, "f69");
  assert.equal((await within(stream.next())).snapshot, true);
  const truth = await within(stream.until(({ total }) => total?.slots === 20));
  assert.equal(truth.total?.busy, 1);
});

test("two meters side by side agree", async (t) => {
  const meters = [await startMeter(t, broker, { pools: ["side"] }), await startMeter(t, broker, { pools: ["side"] })];
  const { workers } = await startBeating(t, broker, { pool: "side", workers: 20, intervalMs: 200 });
  for (const [i, worker] of workers.entries()) if (i % 3 === 0) worker.startJob();
  await eventually(async () => {
    const [a, b] = await Promise.all(meters.map((meter) => meterClient(meter).getCapacity({ pool: "side" })));
    assert.deepEqual(a?.pools, b?.pools);
    return a?.total?.slots === 80 && a.total.busy === 7;
  });
});

const CUTS: readonly [how: string, cut: (proxy: TcpProxy) => void][] = [
  ["silently", (proxy) => proxy.set("both", { mode: "pause" })],
  ["by a reset", (proxy) => proxy.reset({ refuse: true })],
];
for (const [how, cut] of CUTS) {
  test(`a meter that is cut off ${how} keeps its streams, says that it is stale, and shows nobody as LOST`, async (t) => {
    const proxy = new TcpProxy(broker.url);
    cleanUp(t, () => proxy.stop());
    await proxy.start();
    const meter = await startMeter(t, proxy, { pools: ["f80"] });
    await startBeating(t, broker, { pool: "f80", workers: 10, intervalMs: 300 });
    const stream = watch(t, meter, "f80");
    await within(stream.until(({ total }) => total?.slots === 40));
    cut(proxy);
    const stale = await within(stream.until(({ freshness }) => (freshness?.staleAgeMs ?? 0) > 4_000));
    assert.deepEqual([stale.freshness?.stale, stale.total?.slots, stale.total?.workers?.lost], [true, 40, 0]);
    assert.equal((await fetch(`${meter.url}/readyz`)).status, 503);
    proxy.heal();
    const fresh = await within(stream.until(({ freshness, total }) => total?.workers?.lost !== 0 || !freshness?.stale));
    assert.deepEqual([fresh.freshness?.stale, fresh.total?.slots, fresh.total?.workers?.lost], [false, 40, 0]);
    await eventually(async () => (await fetch(`${meter.url}/readyz`)).ok);
  });
}

test("a meter whose broker dies and comes back does the same", async (t) => {
  const own = await startBroker(t);
  const meter = await startMeter(t, own);
  const generator = await startBeating(t, own, { pool: "f27", workers: 10, intervalMs: 300 });
  const stream = watch(t, meter, "f27");
  await within(stream.until(({ total }) => total?.slots === 40));
  await own.crash();
  await within(stream.until(({ freshness }) => (freshness?.staleAgeMs ?? 0) > 1_500));
  generator.workers[9]!.alive = false;
  await own.revive();
  const fresh = await within(stream.until(({ freshness, total }) => total?.workers?.lost !== 0 || !freshness?.stale));
  assert.deepEqual([fresh.total?.slots, fresh.total?.workers?.lost], [40, 0]);
  await within(stream.until(({ total }) => total?.workers?.lost === 1));
});

test("a meter without a broker answers: alive, not ready, stale; it stops at once", async (t) => {
  const meter = new Meter({ bus: { servers: "nats://127.0.0.1:1" }, listen: { host: "127.0.0.1", port: 0 } });
  cleanUp(t, () => meter.stop());
  const started = meter.start();
  started.catch(() => undefined);
  await eventually(async () => (await fetch(`${meter.url}/healthz`)).ok);
  assert.equal((await fetch(`${meter.url}/readyz`)).status, 503);
  assert.equal((await meterClient(meter).getCapacity({})).freshness?.stale, true);
  await assert.rejects(meterClient(meter).getCapacity({ pool: "any" }), { code: Code.Unavailable });
  await within(meter.stop());
  await assert.rejects(started, /stopped before there was a broker/);
});

function watch(t: Owner, meter: Meter, pool: string): Stream<WatchCapacityResponse> {
  return new Stream(t, (options) => meterClient(meter).watchCapacity({ pool }, options));
}

async function rows(meter: Meter, pool: string): Promise<WorkerView[]> {
  return (await meterClient(meter).listWorkers({ pool })).workers;
}

async function fates(meter: Meter): Promise<Record<string, number>> {
  const text = await (await fetch(`${meter.url}/metrics`)).text();
  const lines = text.matchAll(/^poolmesh_meter_heartbeats_total\{sender="worker",fate="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...lines].map(([, fate, count]) => [fate, Number(count)]));
}
