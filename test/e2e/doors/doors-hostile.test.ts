/** Hostile messages: no answer goes where it must not, no stranger decides an outcome or makes an entry. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { headers as natsHeaders } from "nats";
import { connectBus } from "../../support/broker.js";
import { WHOLE_FILE } from "../../support/clean-up.js";
import { startCanary } from "../../support/doors/canary.js";
import { EMPTY_INPUT } from "../../support/doors/doors.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually, gate } from "../../support/wait.js";

const POOL = "hostile";

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
  const heard = await startCanary(t, mesh, POOL);
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
  const job = mesh.client.submit({ pool: POOL, jobId: "forged", input: EMPTY_INPUT });
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
