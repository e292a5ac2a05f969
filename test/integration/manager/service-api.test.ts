import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import type { Bus } from "../../../mesh/link/bus.js";
import { ServiceApi, type ServiceApiOptions } from "../../../mesh/link/service-api.js";
import { connectBus, startBroker } from "../../support/broker.js";
import { toolPath, without } from "../../support/tools.js";

const run = promisify(execFile);
const broker = await startBroker();

const ENDPOINT = {
  name: "job",
  subject: "pool.adder.job",
  queueGroup: "workers",
  metadata: { pool: "adder" },
  requests: 4,
  errors: 1,
  lastError: "job_failed: no",
  processingMs: 6.25,
  data: { free: 2 },
};

function options(bus: Bus, more: Partial<ServiceApiOptions> = {}): ServiceApiOptions {
  const endpoints = () => [ENDPOINT, { name: "bare", subject: "pool.adder.bare", requests: 0, errors: 0 }];
  return { bus, name: "poolmesh-worker", id: "w1", version: "1.2.3", endpoints, now: () => 0, ...more };
}

async function ask(bus: Bus, subject: string): Promise<Record<string, unknown>> {
  return (await bus.nc.request(subject, "", { timeout: 5_000 })).json();
}

const IDENTITY = { name: "poolmesh-worker", id: "w1", version: "1.2.3", metadata: {} };

test("PING, INFO and STATS are answered for all, by name and by id", async (t) => {
  const bus = await connectBus(t, broker);
  const api = new ServiceApi(options(bus, { description: "adds" }));
  t.after(() => api.stop());
  await api.start();
  for (const end of ["", ".poolmesh-worker", ".poolmesh-worker.w1"]) {
    assert.deepEqual(await ask(bus, `$SRV.PING${end}`), { ...IDENTITY, type: "io.nats.micro.v1.ping_response" });
    assert.deepEqual(await ask(bus, `$SRV.INFO${end}`), {
      ...IDENTITY,
      type: "io.nats.micro.v1.info_response",
      description: "adds",
      endpoints: [
        { name: "job", subject: "pool.adder.job", queue_group: "workers", metadata: { pool: "adder" } },
        { name: "bare", subject: "pool.adder.bare", queue_group: "", metadata: {} },
      ],
    });
    const stats = await ask(bus, `$SRV.STATS${end}`);
    assert.equal(stats.type, "io.nats.micro.v1.stats_response");
    assert.equal(stats.started, "1970-01-01T00:00:00.000Z");
    assert.deepEqual((stats.endpoints as unknown[])[0], {
      name: "job",
      subject: "pool.adder.job",
      queue_group: "workers",
      num_requests: 4,
      num_errors: 1,
      last_error: "job_failed: no",
      processing_time: 6_250_000,
      average_processing_time: 1_562_500,
      data: { free: 2 },
    });
  }
});

test("an endpoint that served nothing has whole numbers and an empty last error", async (t) => {
  const bus = await connectBus(t, broker);
  const api = new ServiceApi(options(bus));
  t.after(() => api.stop());
  await api.start();
  const [, bare] = (await ask(bus, "$SRV.STATS")).endpoints as Record<string, unknown>[];
  assert.deepEqual(bare, {
    name: "bare",
    subject: "pool.adder.bare",
    queue_group: "",
    num_requests: 0,
    num_errors: 0,
    last_error: "",
    processing_time: 0,
    average_processing_time: 0,
  });
});

test("nothing is answered to a reply subject that is no inbox", async (t) => {
  const bus = await connectBus(t, broker);
  const api = new ServiceApi(options(bus));
  t.after(() => api.stop());
  await api.start();
  const heard: string[] = [];
  bus.subscribe("pool.adder.heartbeat.*", ({ subject }) => heard.push(subject));
  bus.publish("$SRV.PING", undefined, { reply: "pool.adder.heartbeat.w2" });
  await ask(bus, "$SRV.PING");
  await bus.flush();
  assert.deepEqual(heard, []);
});

test("after stop() nobody answers, and the connection is still open", async (t) => {
  const bus = await connectBus(t, broker);
  const api = new ServiceApi(options(bus));
  await api.start();
  await api.stop();
  await api.stop();
  await bus.flush();
  await assert.rejects(ask(bus, "$SRV.PING.poolmesh-worker"), /no responders/);
  assert.ok(bus.connected);
});

test("a name, id or version that the API does not allow is refused", async (t) => {
  const bus = await connectBus(t, broker);
  for (const [field, value] of [
    ["name", "a.b"],
    ["name", ""],
    ["id", "a b"],
    ["id", "*"],
    ["version", "1"],
  ]) {
    const make = (): ServiceApi => new ServiceApi(options(bus, { [field!]: value }));
    assert.throws(make, { reason: "invalid_argument", field }, `${field} ${value}`);
  }
});

test("the nats command lists it, describes it and shows its counters", { skip: without("nats") }, async (t) => {
  const bus = await connectBus(t, broker);
  const api = new ServiceApi(options(bus, { id: "w9", metadata: { isolation: "inline" } }));
  t.after(() => api.stop());
  await api.start();
  const nats = async (...args: string[]): Promise<string> => {
    const { stdout } = await run(toolPath("nats"), ["--server", broker.url, "micro", ...args], { timeout: 20_000 });
    return stdout;
  };
  assert.match(await nats("ls"), /poolmesh-worker[^\n]*1\.2\.3[^\n]*w9/);
  const info = await nats("info", "poolmesh-worker", "w9");
  for (const said of ["isolation: inline", "pool.adder.job", "workers"])
    assert.ok(info.includes(said), `${said} in ${info}`);
  const stats = await nats("stats", "poolmesh-worker");
  assert.match(stats, /w9[^\n]*4[^\n]*workers[^\n]*1/);
  const [json] = JSON.parse(await nats("stats", "poolmesh-worker", "--json")) as {
    endpoints: { last_error: string }[];
  }[];
  assert.equal(json?.endpoints[0]?.last_error, "job_failed: no");
});
