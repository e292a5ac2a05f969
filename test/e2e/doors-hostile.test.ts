/** Hostile input: no name becomes protocol, no answer goes where it must not, no stranger decides an outcome. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { createClient } from "@connectrpc/connect";
import { headers as natsHeaders } from "nats";
import { Client } from "../../client/client.js";
import { ManagerService } from "../../gen/poolmesh/v1/manager_pb.js";
import { isName } from "../../mesh/names.js";
import { Manager } from "../../services/manager/manager.js";
import { Worker } from "../../services/worker/worker.js";
import { connectBus } from "../support/broker.js";
import { cleanUp, WHOLE_FILE } from "../support/clean-up.js";
import { rpcTransports } from "../support/doors.js";
import { leakGuard } from "../support/leak-guard.js";
import { startMesh } from "../support/mesh.js";
import { seededRandom } from "../support/random.js";
import { eventually, gate } from "../support/wait.js";

const POOL = "hostile";
const NAMES = 400;
const SEED = 20_261_124;
/** What generated names are made of: good characters, and all that means something to somebody. */
const PARTS = [
  "a",
  "Z",
  "9",
  "_",
  "-",
  ".",
  "*",
  ">",
  " ",
  "\t",
  "\r\n",
  "\n",
  "\0",
  "$",
  "$JS",
  "/",
  "%0a",
  "\u200b",
  "ä",
];
const PROTOCOL = ["\r\nPUB pool.canary 2\r\n41\r\n", "\r\nSUB > 9\r\n", " 0\r\n\r\nPING\r\n", "\r\nHPUB x 12 12\r\n"];

leakGuard();
const mesh = await startMesh(WHOLE_FILE);
let ran = 0;
let held: ReturnType<typeof gate<string>> | undefined;
await mesh.addWorker<unknown, unknown>({ pool: POOL, id: "w1", run: () => held?.promise ?? count() });
await mesh.untilCapacity(POOL, 1);
const bus = await connectBus(WHOLE_FILE, mesh.broker);

function count(): number {
  ran += 1;
  return ran;
}

const LATE = /^poolmesh_manager_late_replies_total\{pool="hostile"\} (\d+)/m;
const GARBAGE = /^poolmesh_manager_garbage_heartbeats_total (\d+)/m;

/** What the mesh says of its own accord; anything else is somebody's doing. */
const OWN = /^pool\.hostile\.(heartbeat\.w1|manager\.[\w-]+|control)$|^_INBOX\.|^\$SRV\./;

/** Subjects that the broker carried since, but for what the mesh always says. */
async function canary(t: Parameters<typeof connectBus>[0]): Promise<() => Promise<string[]>> {
  const ears = await connectBus(t, mesh.broker);
  const heard: string[] = [];
  ears.subscribe(">", (msg) => {
    if (!OWN.test(msg.subject)) heard.push(msg.subject);
  });
  await ears.flush();
  return async () => {
    await bus.flush();
    await ears.flush();
    return heard;
  };
}

function makeName(random: () => number): string {
  const parts = random() < 0.3 ? [...PARTS, ...PROTOCOL] : PARTS;
  const length = Math.floor(random() * (random() < 0.1 ? 90 : 8));
  return Array.from({ length }, () => parts[Math.floor(random() * parts.length)]).join("");
}

test("no generated name that breaks the rule reaches the broker, on any door", async (t) => {
  const heard = await canary(t);
  const manager = await Manager.connect(POOL, { servers: mesh.natsUrl });
  cleanUp(t, () => manager.close());
  const client = await Client.connect(POOL, { servers: mesh.natsUrl });
  cleanUp(t, () => client.close());
  const rpcs = Object.values(rpcTransports(mesh.manager.url)).map((each) => createClient(ManagerService, each));
  const random = seededRandom(SEED);
  const names = Array.from({ length: NAMES }, () => makeName(random)).filter((name) => !isName(name));
  t.diagnostic(`seed ${SEED}: ${names.length} names that break the rule`);
  for (const [index, name] of names.entries()) {
    const rpc = rpcs[index % rpcs.length] as (typeof rpcs)[number];
    const tries: (() => unknown)[] = [
      () => Manager.connect(name, { servers: mesh.natsUrl }),
      () => Client.connect(name, { servers: mesh.natsUrl }),
      () => new Worker({ pool: POOL, id: name, run: () => 1, bus: { servers: mesh.natsUrl } }).start(),
      () => manager.submit("1", { id: name }),
      () => client.submit("1", { id: name }),
      () => manager.cancel(name),
      () => client.cancel(name),
      () => rpc.submit({ pool: name }),
      () => rpc.cancel({ pool: POOL, jobId: name }),
      () => rpc.drainWorker({ selector: { pool: name } }),
      ...(name === "" ? [] : [() => rpc.submit({ pool: POOL, jobId: name })]),
    ];
    for (const attempt of tries) await assert.rejects(async () => attempt(), `${JSON.stringify(name)}: ${attempt}`);
  }
  assert.deepEqual(await heard(), []);
  assert.equal(ran, 0);
});

test("a header that could break out of its line never leaves: client and trace context are checked", async (t) => {
  const heard = await canary(t);
  const manager = await Manager.connect(POOL, { servers: mesh.natsUrl });
  cleanUp(t, () => manager.close());
  for (const text of ["a\r\nPool-Attempt: 7", "a\nb", "a\0b", "\u200b", "a\u2028b"]) {
    for (const options of [{ client: text }, { traceparent: text }, { tracestate: text }]) {
      await assert.rejects(manager.submit("1", options), { reason: "invalid_argument" });
    }
  }
  assert.deepEqual(await heard(), []);
});

test("headers of others, such as Nats-Msg-Id, do not travel on to the worker", async (t) => {
  const ears = await connectBus(t, mesh.broker);
  const seen: string[] = [];
  ears.subscribe(`pool.${POOL}.job`, (msg) => seen.push(...(msg.headers?.keys() ?? [])));
  await ears.flush();
  const headers = natsHeaders();
  for (const name of ["Nats-Msg-Id", "Nats-Expected-Stream", "Nats-Rollup", "X-Mine"]) headers.append(name, "1");
  const reply = await bus.nc.request(`pool.${POOL}.submit`, "1", { headers, timeout: 5_000 });
  assert.equal(reply.string(), "1");
  await ears.flush();
  assert.ok(seen.length > 0);
  assert.deepEqual(
    seen.filter((name) => !name.startsWith("Pool-")),
    [],
  );
});

test("a reply subject that is no inbox gets no answer, and its job is not run", async (t) => {
  const heard = await canary(t);
  const before = ran;
  const targets = ["$JS.API.INFO", `pool.${POOL}.heartbeat.w2`, `pool.${POOL}.job`, `pool.${POOL}.control.w1`, "x"];
  const doors = [`pool.${POOL}.submit`, `pool.${POOL}.job`, `pool.${POOL}.job.w1`, `pool.${POOL}.cancel.j`];
  for (const reply of targets) for (const door of doors) bus.nc.publish(door, "1", { reply });
  for (const reply of targets) bus.nc.publish(`pool.${POOL}.control.w1`, "probe", { reply });
  await bus.nc.request(`pool.${POOL}.submit`, "1", { timeout: 5_000 });
  const answers = (await heard()).filter((subject) => targets.includes(subject) && subject !== `pool.${POOL}.job`);
  assert.deepEqual(answers, Array(targets.length).fill(`pool.${POOL}.control.w1`), "only our own requests");
  assert.equal(ran, before + 1);
});

test("a forged, stale or second result never becomes an outcome", async (t) => {
  const ears = await connectBus(t, mesh.broker);
  const replySubjects: string[] = [];
  for (const subject of [`pool.${POOL}.job`, `pool.${POOL}.job.w1`]) {
    ears.subscribe(subject, (msg) => replySubjects.push(msg.reply ?? ""));
  }
  await ears.flush();
  held = gate<string>();
  const late = await metric(LATE);
  const job = mesh.client.submit({ pool: POOL, jobId: "forged" });
  await mesh.untilCapacity(POOL, 1, 1);
  await ears.flush();
  const [reply = ""] = replySubjects;
  const forge = async (said: Record<string, string>): Promise<void> => {
    const headers = natsHeaders();
    for (const [name, value] of Object.entries({ "Pool-Reply": "result", ...said })) headers.append(name, value);
    bus.nc.publish(reply, '"forged"', { headers });
    bus.nc.publish(`${reply}0`, '"forged"', { headers });
    await bus.flush();
  };
  await forge({ "Pool-Attempt": "2", "Pool-Worker": "w1" });
  await forge({ "Pool-Attempt": "1", "Pool-Worker": "another" });
  await forge({ "Pool-Reply": "error", "Pool-Worker": "another" });
  await eventually(async () => (await metric(LATE)) >= late + 3, { what: "three forged replies counted" });
  held.open("real");
  const { output } = await job;
  assert.equal(Buffer.from(output.value as Uint8Array).toString(), '"real"');
  held = undefined;
  await forge({ "Pool-Attempt": "1", "Pool-Worker": "w1" });
  const { outcome } = await mesh.client.getOutcome({ pool: POOL, jobId: "forged" });
  const kept = outcome.case === "result" ? outcome.value.output.value : undefined;
  assert.equal(Buffer.from(kept as Uint8Array).toString(), '"real"');
});

test("heartbeats that are garbage are counted and make no entry", async () => {
  const beat = (worker: string, body: string | Uint8Array): void => {
    const headers = natsHeaders();
    if (typeof body === "string") headers.append("Content-Type", "application/json");
    bus.nc.publish(`pool.${POOL}.heartbeat.${worker}`, body, { headers });
  };
  const sane = { pool: POOL, incarnation: "9", seq: "9", state: "WORKER_STATE_READY", slots: 4, busy: 0 };
  const say = (worker: string, wrong: object): void => beat(worker, JSON.stringify({ ...sane, worker, ...wrong }));
  beat("g1", new Uint8Array([0xff, 0xff, 0xff]));
  beat("g2", "{");
  beat("g3", new Uint8Array(200_000));
  say("g4", { slots: -1 });
  say("g5", { busy: "NaN" });
  say("g6", { slots: 4_000_000_000 });
  say("g7", { worker: "somebody-else" });
  say("g8", { pool: "elsewhere" });
  say("g9", { state: "WORKER_STATE_LOST" });
  say("g10", { loopLagMs: "NaN" });
  await bus.flush();
  await eventually(async () => (await metric(GARBAGE)) >= 10, {
    what: "10 heartbeats counted as garbage",
  });
  const { workers } = await mesh.client.listWorkers({ pool: POOL });
  assert.deepEqual(
    workers.map(({ heartbeat }) => heartbeat?.worker),
    ["w1"],
  );
});

/** The value of the metric whose line matches, or -1. */
async function metric(pattern: RegExp): Promise<number> {
  const text = await (await fetch(`${mesh.manager.url}/metrics`)).text();
  return Number(pattern.exec(text)?.[1] ?? -1);
}

const JSON_TYPE = "application/json";
const BOMB = Uint8Array.from(gzipSync(Buffer.alloc(64 * 1024 * 1024)));
const RAW: [
  title: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
  status: number,
  code: string,
][] = [
  ["malformed JSON", '{"pool":', {}, 400, "invalid_argument"],
  ["a wrong JSON type", '{"pool":["ECHO-ME"]}', {}, 400, "invalid_argument"],
  ["an unknown field", `{"ECHO-ME${"x".repeat(100_000)}":1}`, {}, 400, "invalid_argument"],
  ["a timeout that is NaN", '{"pool":"hostile","timeoutMs":"NaN"}', {}, 400, "invalid_argument"],
  ["a timeout of 1e308", '{"pool":"hostile","timeoutMs":1e308}', {}, 400, "invalid_argument"],
  ["20,000 nested brackets", `{"json":${"[".repeat(20_000)}${"]".repeat(20_000)}}`, {}, 400, "invalid_argument"],
  ["truncated protobuf", Uint8Array.of(10, 5, 97), { "content-type": "application/proto" }, 400, "invalid_argument"],
  ["an unknown content type", "ECHO-ME", { "content-type": "text/x-echo-me" }, 415, ""],
  ["a gzip bomb", BOMB, { "content-encoding": "gzip" }, 429, "resource_exhausted"],
  ["garbage gzip", "ECHO-ME", { "content-encoding": "gzip" }, 400, "invalid_argument"],
  ["a foreign Origin", "{}", { origin: "http://evil.example" }, 403, ""],
];

for (const [title, body, headers, status, code] of RAW) {
  test(`HTTP: ${title} is answered ${status} ${code} and not echoed`, async () => {
    const response = await fetch(`${mesh.manager.url}/poolmesh.v1.ManagerService/Submit`, {
      method: "POST",
      headers: { "content-type": JSON_TYPE, ...headers },
      body,
    });
    const text = await response.text();
    assert.equal(response.status, status, text.slice(0, 500));
    if (code !== "") assert.equal((JSON.parse(text) as { code: string }).code, code);
    assert.doesNotMatch(text, /node_modules|\bat .*:\d+:\d+/);
    assert.ok(text.length > 0 && text.length < 2_000, `${text.length} characters`);
    assert.ok(!text.includes("ECHO-ME"), text.slice(0, 500));
  });
}
