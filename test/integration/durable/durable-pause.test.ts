/** The durable lane: a pool that is paused begins no stored job, at any manager, until it is resumed. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "nats";
import { allBinaries } from "../../../broker/find.js";
import { Client } from "../../../client/client.js";
import { DurableLane } from "../../../client/durable/operator.js";
import { NEEDS } from "../../../mesh/durable/broker-needs.js";
import { DurableNames } from "../../../mesh/durable/names.js";
import { LaneStore } from "../../../mesh/durable/store.js";
import { Manager } from "../../../services/manager/manager.js";
import type { Handler } from "../../../services/worker/worker.js";
import { Worker } from "../../../services/worker/worker.js";
import { connectBus, lacking, type Owner, startBroker } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { runInShell } from "../../support/docs/fake-shell.js";
import { CONTROL_TOKEN } from "../../support/doors/control-token.js";
import { startDurableMesh } from "../../support/durable-mesh.js";
import { failure } from "../../support/failure.js";
import { leakGuard } from "../../support/leak-guard.js";
import { eventually, gate } from "../../support/wait.js";

leakGuard();
const skip = await lacking(NEEDS.pauses);
const mesh = await startDurableMesh({ controlToken: CONTROL_TOKEN });
const { servers, service } = mesh;
const names = new DurableNames();

async function startPool(t: Owner, pool: string, run: Handler<unknown, unknown>, slots = 1) {
  const begun: unknown[] = [];
  const counted: Handler<unknown, unknown> = (job) => {
    begun.push(job.payload);
    return run(job);
  };
  const [client, lane] = await mesh.startPool(t, pool, counted, { slots, graceMs: 0 });
  return { client, lane, begun };
}

/** Stored jobs of another pool pass all the places at which a paused one might have begun. */
async function roundTrip(client: Client): Promise<void> {
  for (let i = 0; i < 3; i += 1) await (await client.enqueue("0")).result({ timeoutMs: 10_000 });
}

test("pause - what runs goes on, what is held or queued does not begin, and all of it runs once after resume", {
  skip,
}, async (t) => {
  const held = gate();
  const started = gate();
  const { client, lane, begun } = await startPool(t, "p-hold", async (job) => {
    started.open();
    if (job.payload === 0) await held.promise;
    return job.payload;
  });
  const other = await startPool(t, "p-other", (job) => job.payload);
  const receipts = [await client.enqueue("0")];
  await started.promise;
  for (let i = 1; i <= 30; i += 1) receipts.push(await client.enqueue(String(i)));
  await eventually(async () => (await lane.figures()).delivered > 1, { what: "jobs that the manager holds" });
  const paused = await lane.pause();
  assert.deepEqual(paused, { levels: ["high", "normal", "low"], until: undefined });
  assert.deepEqual((await lane.figures()).paused, paused);
  const states = async () => {
    const jobs = await Promise.all(receipts.map(({ id }) => client.lookup(id)));
    return [...new Set(jobs.map(({ state }) => state))].sort();
  };
  await eventually(() => service.pools?.get("p-hold").dispatcher.parked.size === 0);
  receipts.push(await client.enqueue("31", { priority: "high" }));
  held.open();
  await receipts[0]?.result({ timeoutMs: 5_000 });
  await roundTrip(other.client);
  assert.deepEqual(begun, [0], "a slot is free, and nothing begins");
  assert.deepEqual(await states(), ["ended", "held", "queued"]);
  await lane.resume();
  assert.equal((await lane.figures()).paused, undefined);
  const results = await Promise.all(receipts.map((each) => each.result({ timeoutMs: 20_000 })));
  assert.deepEqual(
    results.map((result) => result.json()),
    Array.from({ length: 32 }, (_, i) => i),
  );
  assert.equal(begun.length, 32, "each ran once");
  assert.ok(
    results.every(({ attempt }) => attempt === 1),
    "a pause is no failure and no delivery",
  );
});

test("pause - a job that is canceled while its pool is paused never runs", { skip }, async (t) => {
  const { client, lane, begun } = await startPool(t, "p-cancel", (job) => job.payload);
  await lane.pause();
  const receipt = await client.enqueue("1", { id: "off" });
  await client.cancel("off");
  assert.equal((await failure(receipt.result({ timeoutMs: 5_000 }))).reason, "canceled");
  await lane.resume();
  await (await client.enqueue("2")).result({ timeoutMs: 10_000 });
  assert.deepEqual(begun, [2]);
});

test("pause - jobs whose time comes are queued meanwhile", { skip }, async (t) => {
  const { client, lane, begun } = await startPool(t, "p-later", (job) => job.payload);
  await lane.pause();
  const receipt = await client.enqueue("1", { id: "one", delayMs: 200 });
  await eventually(async () => (await client.lookup("one")).state === "queued");
  assert.deepEqual(begun, []);
  await lane.resume();
  await receipt.result({ timeoutMs: 10_000 });
});

test("pause - one with an end goes on by itself", { skip }, async (t) => {
  const { client, lane } = await startPool(t, "p-end", (job) => job.payload);
  const before = Date.now();
  const { until } = await lane.pause({ forMs: 1_500 });
  assert.ok(until !== undefined && until.getTime() >= before + 1_500);
  const receipt = await client.enqueue("1");
  assert.equal((await receipt.result({ timeoutMs: 15_000 })).json(), 1);
  assert.ok(Date.now() >= until.getTime(), "one clock for the broker and this test");
  await eventually(async () => (await lane.figures()).paused === undefined);
});

test("pause - nats, HTTP and the command line pause and resume, and show it", { skip }, async (t) => {
  const { lane } = await startPool(t, "p-doors", (job) => job.payload);
  const nc = await connect({ servers });
  cleanUp(t, () => nc.close());
  const ask = async (words: string) => nc.request(names.lane("p-doors"), words, { timeout: 5_000 });
  assert.equal((await ask("pause")).string(), '{"paused":true}');
  assert.equal((await lane.figures()).paused?.levels.length, 3);
  assert.equal((await ask("resume")).string(), '{"paused":false}');
  assert.equal((await lane.figures()).paused, undefined);
  assert.match((await ask("pause 60000")).string(), /^\{"paused":true,"until":"20/);
  assert.equal((await ask("resume")).string(), '{"paused":false}', "twice is once");
  for (const words of ["", "stop", "pause soon", "pause -1", "resume 5", "pause 0", `pause ${"9".repeat(15)}`]) {
    const answer = await ask(words);
    assert.equal(answer.headers?.get("Pool-Error"), "invalid_argument", words);
  }
  const post = async (method: string, body: object, token: object = { authorization: `Bearer ${CONTROL_TOKEN}` }) => {
    const url = `${service.url}/poolmesh.v1.DurableService/${method}`;
    const init = { method: "POST", headers: { "content-type": "application/json", ...token } };
    return (await fetch(url, { ...init, body: JSON.stringify({ pool: "p-doors", ...body }) })).json();
  };
  const levels = ["PRIORITY_HIGH", "PRIORITY_NORMAL", "PRIORITY_LOW"];
  assert.match(JSON.stringify(await post("PausePool", {}, {})), /unauthenticated/);
  const ending = (await post("PausePool", { forMs: "60000" })) as { paused: { levels: string[]; until: string } };
  assert.deepEqual(ending.paused.levels, levels);
  assert.equal((await lane.figures()).paused?.until?.getTime(), Date.parse(ending.paused.until));
  assert.deepEqual(await post("ResumePool", {}), {});
  assert.match(JSON.stringify(await post("PausePool", { forMs: "999999999999999" })), /invalid_argument/);
  const shell = (...args: string[]) => runInShell(args, { NATS_URL: servers, POOLMESH_CONTROL_TOKEN: CONTROL_TOKEN });
  assert.equal((await shell("pause-pool", "p-doors")).stdout, "p-doors is paused until it is resumed\n");
  const lanes = (await post("GetLanes", {})) as { lanes: { paused: object }[] };
  assert.deepEqual(lanes.lanes[0]?.paused, { levels });
  assert.match((await shell("durable", "p-doors")).stdout, /\np-doors is paused until it is resumed\n/);
  assert.equal((await shell("resume-pool", "p-doors")).stdout, "p-doors goes on\n");
  assert.doesNotMatch((await shell("durable", "p-doors")).stdout, /paused/);
  assert.match((await shell("pause-pool", "p-doors", "--for-ms", "60000")).stdout, /^p-doors is paused until 20/);
  assert.equal((await shell("resume-pool", "p-doors", "--url", service.url)).stdout, "p-doors goes on\n");
  const remote = await shell("pause-pool", "p-doors", "--url", service.url, "--json");
  assert.deepEqual(JSON.parse(remote.stdout), { pool: "p-doors", paused: { levels: ["high", "normal", "low"] } });
  await lane.resume();
  const unknown = await shell("pause-pool", "nobody");
  assert.match(unknown.stderr, /unknown_pool.*pool nobody has no durable lane/s);
  assert.equal(unknown.code, 69);
});

test("pause - an end that is none is refused by its field", async (t) => {
  const { lane } = await startPool(t, "p-bad", (job) => job.payload);
  for (const forMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 11 * 365 * 86_400_000, "5" as unknown as number]) {
    const error = await failure(lane.pause({ forMs }));
    assert.deepEqual([error.reason, error.field], ["invalid_argument", "forMs"]);
  }
  assert.equal((await lane.figures()).paused, undefined);
});

test("pause - it outlives managers and the broker, and a word that is not the broker's pauses nothing", {
  skip,
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "poolmesh-pause-"));
  cleanUp(t, () => rm(folder, { recursive: true, force: true }));
  let broker = await startBroker(t, { storeFolder: folder });
  const url = broker.url;
  const port = Number(new URL(url).port);
  const begun: unknown[] = [];
  const worker = new Worker({ pool: "p-kill", run: ({ payload }) => begun.push(payload), servers: url });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const startManager = async () => {
    const manager = new Manager({ pool: "p-kill", servers: url, durable: true });
    cleanUp(t, () => manager.stop());
    await manager.start();
    return manager;
  };
  const first = await startManager();
  const client = await Client.connect({ pool: "p-kill", servers: url });
  cleanUp(t, () => client.close());
  const lane = await DurableLane.open({ pool: "p-kill", servers: url });
  cleanUp(t, () => lane.close());
  const liar = await connect({ servers: url });
  liar.publish("$JS.EVENT.ADVISORY.CONSUMER.PAUSE.pool-jobs-p-kill.normal", '{"paused":true}');
  await liar.close();
  await (await client.enqueue("1")).result({ timeoutMs: 10_000 });
  await lane.pause();
  const receipt = await client.enqueue("2");
  await first.stop();
  process.kill(broker.pid, "SIGKILL");
  await broker.closed.catch(() => undefined);
  broker = await startBroker(t, { storeFolder: folder, port });
  await startManager();
  await eventually(async () => (await lane.figures()).paused?.levels.length === 3);
  await eventually(async () => (await lane.figures()).queued === 1);
  assert.deepEqual(begun, [1]);
  await lane.resume();
  await receipt.result({ timeoutMs: 15_000 });
  assert.deepEqual(begun, [1, 2]);
});

test("pause - a broker without pauses refuses them by version at once, and the lane goes on", async (t) => {
  const { path, version } = (await allBinaries("nats-server")).at(-1) ?? assert.fail("no nats-server");
  if (!version.startsWith("2.9.")) return t.skip(`the oldest broker here is ${version}`);
  const broker = await startBroker(t, { binary: path });
  const manager = new Manager({ pool: "p-old", servers: broker.url, durable: true });
  cleanUp(t, () => manager.stop());
  await manager.start();
  const worker = new Worker({ pool: "p-old", run: ({ payload }) => payload, servers: broker.url });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const lane = await DurableLane.open({ pool: "p-old", servers: broker.url });
  cleanUp(t, () => lane.close());
  const message = `pool: pauses of a pool need nats-server 2.11 or newer; this broker is ${version}`;
  for (const refused of [lane.pause(), lane.resume()]) {
    const error = await failure(refused);
    assert.deepEqual([error.reason, error.message, error.retryable], ["invalid_argument", message, false]);
  }
  const client = await Client.connect({ pool: "p-old", servers: broker.url });
  cleanUp(t, () => client.close());
  await (await client.enqueue("1")).result({ timeoutMs: 10_000 });
  assert.equal((await lane.figures()).paused, undefined);
  assert.equal(
    (await new LaneStore(await connectBus(t, broker)).streamInfo(names.jobsStream("p-old")))?.state.messages,
    0,
  );
});
