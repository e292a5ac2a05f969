/** What dies or is cut while a large payload is on its way. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Client } from "../../../client/client.js";
import { ObjectStore } from "../../../mesh/objects/object-store.js";
import { Worker } from "../../../services/worker/worker.js";
import { connectBus, type Owner } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { failure } from "../../support/failure.js";
import { leakGuard } from "../../support/leak-guard.js";
import { type Mesh, startMesh } from "../../support/mesh.js";
import { startCli, type TestProcess } from "../../support/process.js";
import { TcpProxy } from "../../support/proxy/tcp-proxy.js";
import { scratchFolder } from "../../support/up.js";
import { eventually } from "../../support/wait.js";
import { largeBytes } from "./large-mesh.js";

leakGuard();
/** Some dozens of chunks. */
const LARGE = largeBytes(6_000_000);
const HANDLER = `export const codec = "bytes";
export const run = ({ payload }) => payload;`;

async function startProxy(t: Owner, mesh: Mesh): Promise<TcpProxy> {
  const proxy = new TcpProxy(mesh.natsUrl);
  cleanUp(t, () => proxy.stop());
  await proxy.start();
  return proxy;
}

async function clientOf(t: Owner, pool: string, servers: string): Promise<Client> {
  const client = await Client.connect({ pool, servers, largePayloads: true, timeoutMs: 60_000 });
  cleanUp(t, () => client.close());
  return client;
}

/** A worker in a process of its own, whose payloads come so slowly that it is reading one for seconds. */
async function startSlowWorker(t: Owner, mesh: Mesh, pool: string): Promise<TestProcess> {
  const proxy = await startProxy(t, mesh);
  proxy.set("to-client", { delayMs: 150 });
  const folder = await scratchFolder(t, { "echo.mjs": HANDLER });
  const args = ["worker", "--pool", pool, "--id", "slow", "--handler", join(folder, "echo.mjs"), "--large-payloads"];
  const worker = startCli(t, args, { env: { NATS_URL: proxy.url } });
  await mesh.untilCapacity(pool, 1);
  return worker;
}

/** Resolves when the worker has the job; it is far from having its payload. */
function untilTaken(mesh: Mesh, pool: string, id: string): Promise<unknown> {
  return eventually(() => {
    const attempt = mesh.manager.pools?.get(pool).dispatcher.live(id)?.attempt;
    return attempt?.state === "accepted" && attempt.worker === "slow";
  });
}

test("large payloads - a worker that is killed while it reads a payload: an idempotent job runs elsewhere, another is worker_lost", async (t) => {
  const mesh = await startMesh(t);
  const client = await clientOf(t, "killed", mesh.natsUrl);
  const first = await startSlowWorker(t, mesh, "killed");
  const once = failure(client.submit(LARGE, { id: "once" }));
  await untilTaken(mesh, "killed", "once");
  await first.kill();
  const lost = await once;
  assert.deepEqual([lost.reason, lost.maybeExecuted], ["worker_lost", true]);

  const second = await startSlowWorker(t, mesh, "killed");
  const again = client.submit(LARGE, { id: "again", idempotent: true });
  await untilTaken(mesh, "killed", "again");
  const spare = new Worker({
    pool: "killed",
    id: "spare",
    run: ({ payload }) => payload,
    codec: "bytes",
    largePayloads: true,
    servers: mesh.natsUrl,
    graceMs: 100,
  });
  cleanUp(t, () => spare.stop());
  await spare.start();
  await second.kill();
  const result = await again;
  assert.deepEqual([result.worker, Buffer.compare(result.payload, LARGE)], ["spare", 0]);
});

test("large payloads - connections that are reset in the middle of a payload and of a result: both arrive whole", async (t) => {
  const mesh = await startMesh(t);
  const [ofWorker, ofClient] = [await startProxy(t, mesh), await startProxy(t, mesh)];
  const pool = "cut";
  const worker = new Worker({
    pool,
    run: ({ payload }) => payload,
    codec: "bytes",
    largePayloads: true,
    servers: ofWorker.url,
    graceMs: 100,
  });
  cleanUp(t, () => worker.stop());
  await worker.start();
  await mesh.untilCapacity(pool, 1);
  const client = await clientOf(t, pool, ofClient.url);
  ofClient.set("to-server", { cutAfterBytes: 2_000_000 });
  ofClient.set("to-client", { cutAfterBytes: 3_000_000 });
  ofWorker.set("to-client", { cutAfterBytes: 2_500_000 });
  ofWorker.set("to-server", { cutAfterBytes: 3_500_000 });
  const result = await client.submit(LARGE);
  assert.equal(Buffer.compare(result.payload, LARGE), 0);
});

test("large payloads - the broker is killed and comes back: an enqueued payload is still there", async (t) => {
  const mesh = await startMesh(t, { manager: { durable: true, pools: ["kept"] } });
  const client = await clientOf(t, "kept", mesh.natsUrl);
  const receipt = await eventually(() => client.enqueue(LARGE, { id: "kept" }).catch(() => undefined));
  await mesh.broker.crash();
  const worker = new Worker({
    pool: "kept",
    run: ({ payload }) => payload,
    codec: "bytes",
    largePayloads: true,
    servers: mesh.natsUrl,
    graceMs: 100,
    waitOnFirstConnect: true,
  });
  cleanUp(t, () => worker.stop());
  const started = worker.start();
  await mesh.broker.revive();
  await started;
  const result = await receipt.result({ timeoutMs: 60_000 });
  assert.equal(Buffer.compare(result.payload, LARGE), 0);
});

test("large payloads - a cancel while the result is read deletes it; a wait that ends meanwhile leaves a stored one, to be read later", async (t) => {
  const mesh = await startMesh(t, { manager: { durable: true, pools: ["read"] } });
  const worker = new Worker({
    pool: "read",
    run: () => LARGE,
    codec: "bytes",
    largePayloads: true,
    servers: mesh.natsUrl,
    graceMs: 100,
  });
  cleanUp(t, () => worker.stop());
  await worker.start();
  await mesh.untilCapacity("read", 1);
  const store = new ObjectStore(await connectBus(t, mesh.broker));
  cleanUp(t, () => store.stop());
  const proxy = await startProxy(t, mesh);
  const client = await clientOf(t, "read", proxy.url);
  // A result is some dozens of chunks, and each takes so long. The first question after one says that reading has begun.
  proxy.set("to-client", { delayMs: 50 });
  let questions = 0;
  const spy = await connectBus(t, mesh.broker);
  spy.subscribe("$JS.API.DIRECT.GET.OBJ_pool-results", () => {
    questions += 1;
  });
  await spy.flush();
  const canceled = failure(client.submit("1", { id: "canceled" }));
  // The worker asks, too, before it stores: only a question after that is the client's, who reads.
  let stored = 0;
  const isWhole = async (): Promise<boolean> => {
    const before = stored;
    stored = await store.messagesIn("pool-results");
    return stored > 1 && stored === before;
  };
  await eventually(isWhole, { limitMs: 60_000, pollMs: 100 });
  questions = 0;
  await eventually(() => questions > 0, { limitMs: 60_000 });
  await client.cancel("canceled");
  assert.equal((await canceled).reason, "canceled");
  await eventually(async () => (await store.messagesIn("pool-results")) === 0);

  questions = 0;
  const receipt = await client.enqueue("1", { id: "waited" });
  const late = failure(receipt.result({ timeoutMs: 5_000 }));
  await eventually(() => questions > 0, { limitMs: 60_000 });
  proxy.set("to-client", { mode: "pause" });
  assert.equal((await late).reason, "deadline_exceeded");
  proxy.heal();
  assert.equal((await receipt.result({ timeoutMs: 60_000 })).payload.length, LARGE.length);
});
