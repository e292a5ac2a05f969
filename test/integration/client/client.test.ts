/** The light client through a manager service. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, headers } from "nats";
import { Client } from "../../../client/client.js";
import type { Outcome } from "../../../mesh/job/job.js";
import { HEADER } from "../../../mesh/wire/headers.js";
import { ManagerService } from "../../../services/manager/service.js";
import { type Handler, Worker } from "../../../services/worker/worker.js";
import { type Owner, startBroker, WHOLE_FILE } from "../../support/broker.js";
import { failure } from "../../support/failure.js";
import { TcpProxy } from "../../support/proxy/tcp-proxy.js";
import { eventually, gate } from "../../support/wait.js";

const broker = await startBroker(WHOLE_FILE);
const servers = broker.url;
const LISTEN = { host: "127.0.0.1", port: 0 };

async function startService(t: Owner, more: object = {}): Promise<ManagerService> {
  const service = new ManagerService({ bus: { servers }, listen: LISTEN, graceMs: 100, ...more });
  t.after(() => service.stop());
  await service.start();
  return service;
}

/** A link to the broker that a test can cut: to the rest of the mesh its user is then dead. */
async function startProxy(t: Owner): Promise<TcpProxy> {
  const proxy = new TcpProxy(servers);
  t.after(() => proxy.stop());
  await proxy.start();
  return proxy;
}

async function startPool(t: Owner, pool: string, run: Handler<unknown, unknown>, slots = 4): Promise<Client> {
  const worker = new Worker({ pool, run, slots, graceMs: 100, servers });
  t.after(() => worker.stop());
  await worker.start();
  const client = await Client.connect({ pool, servers });
  t.after(() => client.close());
  return client;
}

test("client - submit, submitMany and detachSubmit have the same verbs and results as a manager", async (t) => {
  await startService(t);
  const client = await startPool(t, "c-verbs", (job) => Number(job.payload) * 2);
  assert.equal((await client.submit("21")).json(), 42);
  const values: number[] = [];
  const inputs = Array.from({ length: 200 }, (_, i) => String(i));
  for await (const outcome of client.submitMany(inputs, { ordered: true, window: 16 })) {
    if (outcome.ok) values.push(outcome.result.json());
  }
  assert.deepEqual(
    values,
    inputs.map((each) => Number(each) * 2),
  );
  const told: Outcome[] = [];
  const id = client.detachSubmit("4", { onOutcome: (outcome) => told.push(outcome) });
  await eventually(() => told.length === 1);
  assert.equal(told[0]?.id, id);
});

test("client - a job waits at the manager while the pool is busy", async (t) => {
  await startService(t);
  const held = gate();
  const client = await startPool(t, "c-wait", async (job) => held.promise.then(() => job.payload), 1);
  const all = [1, 2, 3].map((n) => client.submit(String(n)));
  held.open();
  assert.deepEqual(await Promise.all(all.map(async (each) => (await each).json())), [1, 2, 3]);
});

test("client - cancel reaches the handler", async (t) => {
  await startService(t);
  const started = gate();
  const aborted = gate();
  const client = await startPool(t, "c-cancel", async (job) => {
    started.open();
    await new Promise((resolve) => job.signal.addEventListener("abort", resolve));
    aborted.open();
    return 0;
  });
  const abort = new AbortController();
  const running = failure(client.submit("1", { signal: abort.signal }));
  await started.promise;
  abort.abort();
  assert.equal((await running).reason, "canceled");
  await aborted.promise;
  assert.equal((await failure(client.cancel("nobody-has-this"))).reason, "not_found");
});

test("client - progress and typed errors come through", async (t) => {
  await startService(t);
  const client = await startPool(t, "c-errors", (job) => {
    job.progress("half");
    throw new Error("broken pipe wrench");
  });
  const seen: string[] = [];
  const onProgress = (payload: Uint8Array): void => void seen.push(new TextDecoder().decode(payload));
  const error = await failure(client.submit("1", { onProgress }));
  assert.equal(error.reason, "job_failed");
  assert.match(error.message, /broken pipe wrench/);
  assert.deepEqual(seen, ['"half"']);
});

test("client - a manager that dies with the job is heard at once, not at the deadline", async (t) => {
  const link = await startProxy(t);
  await startService(t, { bus: { servers: link.url } });
  const started = gate();
  const held = gate();
  t.after(() => held.open());
  const client = await startPool(t, "c-dead", () => {
    started.open();
    return held.promise;
  });
  const running = failure(client.submit("1", { timeoutMs: 60_000 }));
  await started.promise;
  await link.stop();
  const error = await running;
  assert.equal(error.reason, "bus_unavailable");
  assert.equal(error.maybeExecuted, true);
});

test("client - an idempotent job goes on at another manager when its own dies", async (t) => {
  const link = await startProxy(t);
  await startService(t, { bus: { servers: link.url } });
  const started = gate();
  const held = gate();
  const client = await startPool(t, "c-second", () => {
    started.open();
    return held.promise.then(() => "done");
  });
  const running = client.submit("1", { timeoutMs: 60_000, idempotent: true });
  await started.promise;
  await startService(t);
  await link.stop();
  held.open();
  assert.equal((await running).json(), "done");
});

test("submit subject - a plain request hears exactly one reply, result or error", async (t) => {
  await startService(t);
  await startPool(t, "c-plain", (job) => {
    if (job.payload === 13) throw new Error("unlucky");
    job.progress("ignored");
    return Number(job.payload) + 1;
  });
  const nc = await connect({ servers });
  t.after(() => nc.close());
  assert.equal((await nc.request("pool.c-plain.submit", "41", { timeout: 20_000 })).string(), "42");
  const reply = await nc.request("pool.c-plain.submit", "13", { timeout: 20_000 });
  assert.equal(reply.headers?.get(HEADER.error), "job_failed");
  assert.equal(reply.headers?.get(HEADER.serviceErrorCode), "500");
  assert.match(reply.string(), /unlucky/);
});

test("submit subject - what expired before it came is not run, unless its sender says its own clock", async (t) => {
  await startService(t);
  let ran = 0;
  await startPool(t, "c-expired", () => {
    ran += 1;
    return "ran";
  });
  const nc = await connect({ servers });
  t.after(() => nc.close());
  const submit = async (said: Record<string, string>): Promise<[string, string]> => {
    const h = headers();
    for (const [name, value] of Object.entries(said)) h.set(name, value);
    const reply = await nc.request("pool.c-expired.submit", "1", { headers: h, timeout: 10_000 });
    return [reply.headers?.get(HEADER.error) ?? "", reply.string()];
  };
  const minuteAgo = String(Date.now() - 60_000);
  assert.equal((await submit({ [HEADER.expiresAt]: minuteAgo }))[0], "deadline_exceeded");
  assert.equal(ran, 0);
  assert.deepEqual(await submit({ [HEADER.expiresAt]: String(Date.now() + 60_000) }), ["", '"ran"']);
  assert.deepEqual(await submit({ [HEADER.expiresAt]: minuteAgo, [HEADER.clock]: "1000" }), ["", '"ran"']);
});

test("submit subject - no answer is sent to a reply subject that is not an inbox", async (t) => {
  await startService(t);
  const client = await startPool(t, "c-reply", () => 1);
  const nc = await connect({ servers });
  t.after(() => nc.close());
  const heard: string[] = [];
  nc.subscribe("pool.c-reply.heartbeat.victim", { callback: (_error, msg) => void heard.push(msg.subject) });
  nc.publish("pool.c-reply.submit", "1", { reply: "pool.c-reply.heartbeat.victim" });
  await nc.flush();
  assert.equal((await client.submit("1")).json(), 1);
  assert.deepEqual(heard, []);
});
