/** A manager that stops: its ids are those of others from then on, and its jobs are its own until they have ended. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Client } from "../../../client/client.js";
import { ManagerService as ManagerServiceDesc } from "../../../gen/poolmesh/v1/manager_pb.js";
import { encodeJobHeaders, HEADER } from "../../../mesh/wire/headers.js";
import { ownerOf } from "../../../mesh/wire/owner.js";
import { Subjects } from "../../../mesh/wire/subjects.js";
import { ManagerService } from "../../../services/manager/service.js";
import { connectBus } from "../../support/broker.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { eventually, gate, within } from "../../support/wait.js";

leakGuard();
const POOL = "leaving";
const subjects = new Subjects();
const mesh = await startMesh(WHOLE_FILE, { manager: { id: "m1" } });
const bus = await connectBus(WHOLE_FILE, mesh.broker);
const client = await Client.connect({ pool: POOL, servers: mesh.natsUrl });
cleanUp(WHOLE_FILE, () => client.close());
const rpc = createClient(ManagerServiceDesc, createConnectTransport({ baseUrl: mesh.manager.url, httpVersion: "1.1" }));
const runs = new Map<string, number>();
/** What holds a run whose payload begins with this name. */
const gates = { early: gate(), last: gate() };
await mesh.addWorker<string, string>({
  pool: POOL,
  codec: "text",
  slots: 64,
  run: async ({ payload }) => {
    const run = (runs.get(payload) ?? 0) + 1;
    runs.set(payload, run);
    for (const [name, { promise }] of Object.entries(gates)) if (payload.startsWith(name)) await promise;
    return `${payload} run ${run}`;
  },
});

async function request(id: string, payload: string): Promise<{ readonly text: string; readonly manager: string }> {
  const headers = encodeJobHeaders({ jobId: id });
  const reply = await bus.nc.request(subjects.submit(POOL), payload, { timeout: 20_000, headers });
  return { text: reply.string(), manager: reply.headers?.get(HEADER.manager) ?? "" };
}

/** Ways in. */
const DOORS: readonly ((id: string, payload: string) => Promise<string>)[] = [
  async (id, payload) => (await request(id, payload)).text,
  async (id, payload) => (await client.submit(payload, { id })).text(),
  async (jobId, value) => {
    const { output } = await rpc.submit({ pool: POOL, jobId, input: { case: "text", value } });
    return String(output.value);
  },
];

let next = 0;
/** An id that m2 owns while it takes submissions. */
function ownId(prefix: string): string {
  for (;;) {
    next += 1;
    if (ownerOf(["m1", "m2"], POOL, `${prefix}-${next}`) === "m2") return `${prefix}-${next}`;
  }
}

/** Whether all of so many jobs whose ids are m2's are answered by one manager: the broker may pick either for each. */
async function allTakenBy(manager: string): Promise<boolean> {
  const ids = Array.from({ length: 16 }, () => ownId("new"));
  const answers = await Promise.all(ids.map((id) => request(id, id)));
  return answers.every((each) => each.manager === manager);
}

test("while a manager stops, an id whose job it has joins that job or hears its outcome, by every door; a new job runs elsewhere", async (t) => {
  const leaving = new ManagerService({
    id: "m2",
    bus: { servers: mesh.natsUrl },
    listen: { host: "127.0.0.1", port: 0 },
    graceMs: 60_000,
  });
  cleanUp(t, () => leaving.stop());
  await leaving.start();
  await eventually(() => allTakenBy("m2"), { what: "the managers know each other" });
  const early = Array.from({ length: 6 }, () => ownId("early"));
  const last = ownId("last");
  const first = [...early, last].map((id) => request(id, id));
  await eventually(() => [...early, last].every((id) => runs.get(id) === 1), { what: "all run" });

  const stopped = leaving.stop();
  await eventually(() => allTakenBy("m1"), { what: "m1 owns its ids" });
  const given = new Set<string>();
  const tap = bus.subscribe(subjects.submitTo(POOL, "m2"), ({ headers }) => {
    if (headers?.get(HEADER.mayRefuse) === "1") given.add(headers.get(HEADER.jobId));
  });
  await bus.flush();
  const joined = early.map((id, i) => DOORS[i % DOORS.length]!(id, id));
  await eventually(() => early.every((id) => given.has(id)), { what: "m1 has given them to m2" });
  tap.unsubscribe();
  gates.early.open();
  const expected = early.map((id) => `${id} run 1`);
  const firstTexts = (await within(Promise.all(first.slice(0, -1)))).map(({ text }) => text);
  assert.deepEqual([firstTexts, await within(Promise.all(joined))], [expected, expected]);

  for (const [i, id] of early.entries()) {
    const door = DOORS[i % DOORS.length]!;
    assert.equal(await within(door(id, id)), `${id} run 1`, "the outcome that it keeps");
    assert.equal(await within(door(id, `${id}-other`)), `${id}-other run 1`, "another payload is another job");
  }
  const [other = ""] = early;
  const { text, manager } = await within(request(other, "another once more"));
  assert.deepEqual([text, manager], ["another once more run 1", "m1"], "and it is one of the manager that stays");
  gates.last.open();
  assert.equal((await within(first.at(-1)!)).text, `${last} run 1`);
  await within(stopped);
});
