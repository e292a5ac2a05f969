/** An id that a caller chooses has one owner among the managers, whichever of them it reaches. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient, type Client as Rpc } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { ManagerHeartbeatSchema } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { ManagerService as ManagerServiceDesc } from "../../../gen/poolmesh/v1/manager_pb.js";
import { encodeJobHeaders, HEADER } from "../../../mesh/wire/headers.js";
import { ownerOf } from "../../../mesh/wire/owner.js";
import { Subjects } from "../../../mesh/wire/subjects.js";
import { Manager } from "../../../services/manager/manager.js";
import { ManagerService } from "../../../services/manager/service.js";
import { connectBus } from "../../support/broker.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { rpcErrorOf } from "../../support/doors/http-service.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually, gate, within } from "../../support/wait.js";

leakGuard();
const subjects = new Subjects();
const mesh = await startMesh(WHOLE_FILE, { manager: { id: "m1" } });
const second = new ManagerService({
  id: "m2",
  bus: { servers: mesh.natsUrl },
  listen: { host: "127.0.0.1", port: 0 },
  graceMs: 0,
});
cleanUp(WHOLE_FILE, () => second.stop());
await second.start();
const embedded = await Manager.connect({ pool: "counted", servers: mesh.natsUrl, graceMs: 0 });
cleanUp(WHOLE_FILE, () => embedded.close());
const bus = await connectBus(WHOLE_FILE, mesh.broker);
const rpcs: Rpc<typeof ManagerServiceDesc>[] = [mesh.manager.url, second.url].map((baseUrl) =>
  createClient(ManagerServiceDesc, createConnectTransport({ baseUrl, httpVersion: "1.1" })),
);
const [first, other] = rpcs as [Rpc<typeof ManagerServiceDesc>, Rpc<typeof ManagerServiceDesc>];

/** How often each payload ran, and what holds a run. */
const runs = new Map<string, number>();
let hold = gate();
hold.open();
await mesh.addWorker<string, string>({
  pool: "counted",
  codec: "text",
  slots: 64,
  run: async ({ payload, signal }) => {
    const run = (runs.get(payload) ?? 0) + 1;
    runs.set(payload, run);
    const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
    if (!payload.startsWith("known")) await Promise.race([hold.promise, aborted]);
    return `${payload} run ${run}`;
  },
});

/** Ways in: over HTTP at each manager, and over NATS at any. */
const DOORS: Record<string, (id: string, payload: string) => Promise<string>> = {
  "HTTP at m1": async (id, payload) => httpSubmit(first, id, payload),
  "HTTP at m2": async (id, payload) => httpSubmit(other, id, payload),
  "an embedded Manager": async (id, payload) => (await embedded.submit(payload, { id })).text(),
  NATS: async (id, payload) => {
    const headers = encodeJobHeaders({ jobId: id });
    const reply = await bus.nc.request(subjects.submit("counted"), payload, { timeout: 20_000, headers });
    return reply.string();
  },
};

async function httpSubmit(rpc: Rpc<typeof ManagerServiceDesc>, jobId: string, text: string): Promise<string> {
  const { output } = await rpc.submit({ pool: "counted", jobId, input: { case: "text", value: text } });
  return output.case === "text" ? output.value : JSON.stringify(output);
}

/** Ids that one of the two managers owns. */
function idsOf(manager: string, prefix: string, count: number): string[] {
  const ids: string[] = [];
  for (let i = 0; ids.length < count; i += 1) {
    const id = `${prefix}-${i}`;
    if (ownerOf(["m1", "m2"], "counted", id) === manager) ids.push(id);
  }
  return ids;
}

async function outcomesIn(rpc: Rpc<typeof ManagerServiceDesc>, id: string): Promise<boolean> {
  return rpc.getOutcome({ pool: "counted", jobId: id }).then(
    () => true,
    () => false,
  );
}

test("managers that start find each other within a moment", async () => {
  await mesh.untilCapacity("counted", 64);
  await eventually(async () => (await other.listWorkers({ pool: "counted" })).workers.length === 1);
  // Both know the other one when an id that the other owns runs once, whoever is asked.
  await eventually(async () => {
    const id = `${idsOf("m1", "find", 1)[0]}-${runs.size}`;
    const [a, b] = await Promise.all([httpSubmit(first, id, id), httpSubmit(other, id, id)]);
    return a === b && runs.get(id) === 1;
  });
  await eventually(() => embedded.capacity.slots === 64);
});

for (const [a, b] of [
  ["HTTP at m1", "HTTP at m2"],
  ["HTTP at m2", "NATS"],
  ["NATS", "NATS"],
  ["an embedded Manager", "HTTP at m2"],
  ["NATS", "an embedded Manager"],
] as const) {
  test(`one id with one payload by ${a} and a moment later by ${b} runs once, and both callers hear the result`, async () => {
    hold = gate();
    const prefix = `twice-${a}-${b}`.replaceAll(" ", "");
    const ids = [...idsOf("m1", prefix, 6), ...idsOf("m2", prefix, 6)];
    const early = ids.map((id) => DOORS[a]!(id, id));
    await eventually(() => ids.every((id) => runs.get(id) === 1), { what: "all run" });
    const late = ids.map((id) => DOORS[b]!(id, id));
    await bus.flush();
    hold.open();
    const heard = await within(Promise.all([...early, ...late]));
    assert.deepEqual(
      heard,
      [...ids, ...ids].map((id) => `${id} run 1`),
    );
    assert.deepEqual(
      ids.map((id) => runs.get(id)),
      ids.map(() => 1),
    );
  });
}

test("an id that is used again after its end: the stored outcome for the same payload, a new job for another", async () => {
  const ids = [...idsOf("m1", "again", 2), ...idsOf("m2", "again", 2)];
  for (const id of ids) {
    const before = await DOORS["HTTP at m1"]!(id, id);
    assert.equal(await DOORS["HTTP at m2"]!(id, id), before);
    assert.equal(await DOORS.NATS!(id, id), before);
    assert.equal(await DOORS["HTTP at m2"]!(id, `${id}-other`), `${id}-other run 1`);
  }
});

test("a job that was detached at the manager that does not own its id: its outcome is there, live and later", async () => {
  hold = gate();
  const [id = ""] = idsOf("m2", "detached", 1);
  await first.detachSubmit({ job: { pool: "counted", jobId: id, input: { case: "text", value: id } } });
  const outcome = first.getOutcome({ pool: "counted", jobId: id });
  await eventually(() => runs.get(id) === 1);
  hold.open();
  const { outcome: heard } = await within(outcome);
  assert.equal(heard.case, "result");
  assert.ok(await outcomesIn(first, id));
});

test("a job at the owner of its id ends when the caller of another manager gives up, or cancels it", async () => {
  hold = gate();
  const [given = "", canceled = ""] = idsOf("m2", "cancel", 2);
  const abort = new AbortController();
  const request = (jobId: string) => ({ pool: "counted", jobId, input: { case: "text", value: jobId } as const });
  const gone = rpcErrorOf(first.submit(request(given), { signal: abort.signal }));
  const ended = rpcErrorOf(first.submit(request(canceled)));
  await eventually(() => runs.get(given) === 1 && runs.get(canceled) === 1);
  abort.abort();
  await first.cancel({ pool: "counted", jobId: canceled });
  assert.equal((await within(ended)).reason, "canceled");
  await within(gone);
  await eventually(async () => {
    const { workers } = await first.listWorkers({ pool: "counted" });
    return workers[0]?.heartbeat?.runningJobs.length === 0;
  });
  hold.open();
});

test("when the caller that came first gives up, one that joined hears the result: the job goes on", async () => {
  hold = gate();
  const ids = [...idsOf("m1", "first-leaves", 2), ...idsOf("m2", "first-leaves", 2)];
  const abort = new AbortController();
  const job = (jobId: string) => ({ pool: "counted", jobId, input: { case: "text", value: jobId } as const });
  const gone = ids.map((id) => rpcErrorOf(first.submit(job(id), { signal: abort.signal })));
  await eventually(() => ids.every((id) => runs.get(id) === 1), { what: "all run" });
  for (const id of ids) await other.detachSubmit({ job: job(id) });
  abort.abort();
  await within(Promise.all(gone));
  const outcomes = ids.map((jobId) => other.getOutcome({ pool: "counted", jobId }));
  await bus.flush();
  hold.open();
  for (const { outcome } of await within(Promise.all(outcomes))) assert.equal(outcome.case, "result");
  assert.deepEqual(
    ids.map((id) => runs.get(id)),
    ids.map(() => 1),
  );
});

test("an owner that is gone is passed over: the job runs at once", async () => {
  const ghost = { manager: "ghost", pool: "counted", incarnation: 1n, takesSubmissions: true, allPools: true };
  const owners = ["m1", "m2", "ghost"];
  const ids = Array.from({ length: 400 }, (_, i) => `ghost-${i}`)
    .filter((id) => ownerOf(owners, "counted", id) === "ghost")
    .slice(0, 12);
  for (const [i, id] of ids.entries()) {
    const heartbeat = toBinary(
      ManagerHeartbeatSchema,
      create(ManagerHeartbeatSchema, { ...ghost, seq: BigInt(i + 1) }),
    );
    bus.publish(subjects.managerHeartbeat("counted", "ghost"), heartbeat);
    await bus.flush();
    const door = Object.values(DOORS)[i % 4]!;
    assert.equal(await within(door(id, id)), `${id} run 1`);
  }
});

test("a manager that joins does not run again what another one runs or has just run: it gives the caller that outcome", async (t) => {
  hold = gate();
  const owners = ["m1", "m2", "m3"];
  const ids = Array.from({ length: 400 }, (_, i) => `joined-${i}`)
    .filter((id) => ownerOf(owners, "counted", id) === "m3")
    .slice(0, 8);
  const early = ids.map((id) => DOORS.NATS!(id, id));
  await eventually(() => ids.every((id) => runs.get(id) === 1), { what: "all run" });
  const third = new ManagerService({
    id: "m3",
    bus: { servers: mesh.natsUrl },
    listen: { host: "127.0.0.1", port: 0 },
    graceMs: 0,
  });
  cleanUp(t, () => third.stop());
  await third.start();
  const rpc = createClient(ManagerServiceDesc, createConnectTransport({ baseUrl: third.url, httpVersion: "1.1" }));
  // It knows another manager when it asks that one. That others pass on what it was given tells what they know.
  const asked = new Set<string>();
  for (const manager of ["m1", "m2"]) {
    const tap = bus.subscribe(subjects.submitTo("counted", manager), ({ headers }) => {
      if (headers?.get(HEADER.known) === "1") asked.add(`${manager} ${headers.get(HEADER.jobId)}`);
    });
    cleanUp(t, () => tap.unsubscribe());
  }
  await bus.flush();
  let tries = 0;
  const asksBoth = async (): Promise<boolean> => {
    tries += 1;
    const its = Array.from({ length: 100 }, (_, i) => `known-${tries}-${i}`);
    const id = its.find((each) => ownerOf(owners, "counted", each) === "m3") ?? "";
    await httpSubmit(rpc, id, id).catch(() => "");
    return asked.has(`m1 ${id}`) && asked.has(`m2 ${id}`);
  };
  await eventually(asksBoth, { what: "m3 to know both" });
  const late = ids.map((id, i) => (i % 2 === 0 ? httpSubmit(rpc, id, id) : DOORS.NATS!(id, id)));
  const canceled = new AbortController();
  const gone = rpcErrorOf(
    rpc.submit(
      { pool: "counted", jobId: ids[0]!, input: { case: "text", value: ids[0]! } },
      { signal: canceled.signal },
    ),
  );
  canceled.abort();
  await within(gone);
  await bus.flush();
  hold.open();
  assert.deepEqual(
    await within(Promise.all([...early, ...late])),
    [...ids, ...ids].map((id) => `${id} run 1`),
  );
  for (const id of ids)
    assert.equal(await httpSubmit(rpc, id, id), `${id} run 1`, "its outcome is kept at another one");
  assert.equal(await httpSubmit(rpc, "new-at-m3", "new-at-m3"), "new-at-m3 run 1");
});
