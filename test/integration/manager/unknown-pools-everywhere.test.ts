/** A pool that no worker serves: the same rule through every door, that of NATS included. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { Client } from "../../../client/client.js";
import { ManagerService } from "../../../gen/poolmesh/v1/manager_pb.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { readErrorHeaders } from "../../../mesh/wire/error-headers.js";
import { encodeJobHeaders, encodeReplyHeaders, type JobHeaders } from "../../../mesh/wire/headers.js";
import { headersOf } from "../../../mesh/wire/wire-headers.js";
import { ManagerService as ManagerServer } from "../../../services/manager/service.js";
import { connectBus } from "../../support/broker.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { EMPTY_INPUT, openDoors, poolErrorOf, rpcTransports } from "../../support/doors/doors.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually, within } from "../../support/wait.js";

leakGuard();
const mesh = await startMesh(WHOLE_FILE);
await mesh.addWorker({ pool: "orders", run: () => 1 });

/** What one plain request hears: the text of a result, or the reason of an error. */
async function request(
  bus: Bus,
  pool: string,
  said: JobHeaders = {},
  limitMs = 5_000,
  prefix = "pool",
): Promise<string> {
  const options = { timeout: limitMs, headers: encodeJobHeaders(said) };
  const reply = await bus.nc.request(`${prefix}.${pool}.submit`, "1", options);
  const headers = headersOf(reply);
  const error = headers?.get("Pool-Reply") === "error" ? readErrorHeaders(headers) : undefined;
  return error === undefined ? reply.string() : error.reason;
}

/** A worker that sends no heartbeats and answers nothing but jobs. */
function bareWorker(bus: Bus, pool: string): void {
  bus.subscribe(`pool.${pool}.job`, (msg) => void msg.respond(msg.data), "workers");
}

test("a mistyped pool is told at once through every door, with the name that was perhaps meant", async (t) => {
  await eventually(() => mesh.client.listWorkers({ pool: "orders" }).then(({ workers }) => workers.length === 1));
  for (const { name, submit } of await openDoors(t, mesh, "ordres")) {
    // An embedded manager is told its pool by the program that made it.
    if (name === "Manager") continue;
    const error = await within(poolErrorOf(submit(new Uint8Array(), { timeoutMs: 3_600_000 })), { what: name });
    assert.equal(error.reason, "unknown_pool", `${name}: ${error.message}`);
    assert.match(error.message, /no worker has ever sent a heartbeat for this pool; did you mean orders\?$/, name);
    assert.ok(error.retryAfterMs !== undefined, name);
  }
});

test("a submission over NATS that says so waits for a pool to come", async (t) => {
  const bus = await connectBus(t, mesh.broker);
  const client = await Client.connect({ pool: "to-come", connection: bus });
  cleanUp(t, () => client.close());
  const jobs = [request(bus, "to-come", { waitForPool: true }), client.submit("1", { waitForPool: true })];
  const metrics = async (): Promise<string> => (await fetch(`${mesh.manager.url}/metrics`)).text();
  await eventually(async () => (await metrics()).includes('parked_jobs{pool="to-come"} 2'));
  await mesh.addWorker({ pool: "to-come", run: () => 7 }, t);
  const [plain, result] = await within(Promise.all(jobs));
  assert.deepEqual([plain, (result as { json(): unknown }).json()], ["7", 7]);
});

test("right after its start a manager gives workers the time of one heartbeat before it refuses a job", async (t) => {
  const { broker } = await startMesh(t);
  const bus = await connectBus(t, broker);
  const manager = await startManager(t, broker.url, "fresh");
  const reply = request(bus, "slow", { timeoutMs: 4_000 }, 5_000, "fresh");
  const beat = { pool: "slow", worker: "w1", incarnation: 1, seq: 1, state: "WORKER_STATE_READY", slots: 1, busy: 0 };
  const comes = (): void => {
    const headers = encodeReplyHeaders({ kind: "result", worker: "w1" });
    bus.subscribe("fresh.slow.job", (msg) => bus.publish(msg.reply ?? "", msg.data, { headers }), "workers");
    bus.subscribe("fresh.slow.control.w1", (msg) => void msg.respond());
    bus.publish("fresh.slow.heartbeat.w1", Buffer.from(JSON.stringify(beat)));
  };
  const coming = setTimeout(comes, 500);
  cleanUp(t, () => clearTimeout(coming));
  assert.equal(await reply, "1");
  await manager.stop();
});

test("a bare worker is found although a job for its pool was refused before it came", async (t) => {
  const bus = await connectBus(t, mesh.broker);
  const client = createClient(ManagerService, rpcTransports(mesh.manager.url).gRPC ?? assert.fail("gRPC"));
  const overHttp = async (pool: string): Promise<unknown> => (await client.submit({ pool, input: EMPTY_INPUT })).worker;
  await assert.rejects(overHttp("late-http"), /unknown_pool/);
  assert.equal(await request(bus, "late-nats"), "unknown_pool");
  for (const pool of ["late-http", "late-nats"]) bareWorker(bus, pool);
  await bus.flush();
  assert.equal(await request(bus, "late-nats"), "1");
  assert.equal(await overHttp("late-http"), "");
});

test("a job that is canceled, or expires, while its pool is asked for is not run", async (t) => {
  const { broker } = await startMesh(t);
  const bus = await connectBus(t, broker);
  let runs = 0;
  bus.subscribe(
    "held.p.job",
    (msg) => {
      runs += 1;
      msg.respond(msg.data);
    },
    "workers",
  );
  await bus.flush();
  const manager = await startManager(t, broker.url, "held");
  const submit = (said: JobHeaders): Promise<string> => request(bus, "p", said, 5_000, "held");
  const jobs = [submit({ jobId: "a" }), submit({ jobId: "b", timeoutMs: 200 }), submit({ jobId: "c" })];
  await bus.nc.request("held.p.cancel.a", undefined, { timeout: 5_000 });
  assert.deepEqual(await Promise.all(jobs), ["canceled", "deadline_exceeded", "1"]);
  assert.equal(runs, 1);
  await manager.stop();
});

async function startManager(t: TestContext, servers: string, prefix: string): Promise<ManagerServer> {
  const listen = { host: "127.0.0.1", port: 0 };
  const manager = new ManagerServer({ bus: { servers }, prefix, listen, graceMs: 0 });
  cleanUp(t, () => manager.stop());
  await manager.start();
  return manager;
}
