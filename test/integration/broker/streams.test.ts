/** JetStream streams that capture the subjects of jobs: noticed whenever they appear, and gone when they go. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Client } from "../../../client/client.js";
import { ManagerService as ManagerServiceDesc } from "../../../gen/poolmesh/v1/manager_pb.js";
import { Subjects } from "../../../mesh/wire/subjects.js";
import { ManagerService } from "../../../services/manager/service.js";
import { StreamCheck } from "../../../services/manager/stream-check.js";
import { connectBus } from "../../support/broker.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { startMesh } from "../../support/mesh.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const { log, lines } = readableLog();
const mesh = await startMesh(WHOLE_FILE, { manager: { log } });
const bus = await connectBus(WHOLE_FILE, mesh.broker);

async function jetStream(api: string, request: unknown): Promise<void> {
  const reply = await bus.nc.request(`$JS.API.${api}`, JSON.stringify(request), { timeout: 5_000 });
  const { error } = reply.json<{ error?: { description: string } }>();
  assert.equal(error, undefined);
}

const metrics = async (): Promise<string> => (await fetch(`${mesh.manager.url}/metrics`)).text();

test("a stream over job subjects that is added later gives no result, and is told in a line, a metric and the error", async (t) => {
  await mesh.addWorker<number, number>({ pool: "covered", slots: 4, run: ({ payload }) => payload + 1 });
  await mesh.untilCapacity("covered", 4);
  const client = await Client.connect({ pool: "covered", servers: mesh.natsUrl });
  cleanUp(t, () => client.close());
  assert.equal((await client.submit("41")).text(), "42");
  assert.doesNotMatch(await metrics(), /poolmesh_manager_covering_stream\{/);

  await jetStream("STREAM.CREATE.AUDIT", { name: "AUDIT", subjects: ["pool.*.job"], storage: "memory" });
  for (let n = 0; n < 20; n += 1) assert.equal((await client.submit(String(n))).text(), String(n + 1));
  const text = await metrics();
  assert.match(text, /^poolmesh_manager_covering_stream\{pool="covered",stream="AUDIT"\} 1$/m);
  assert.match(text, /^poolmesh_manager_stranger_replies_total\{pool="covered"\} [1-9]/m);
  const warnings = await eventually(() => {
    const found = lines.filter(
      ({ msg, stream, pool }) => stream === "AUDIT" && pool === "covered" && /captures/.test(msg),
    );
    return found.length > 0 && found;
  });
  assert.deepEqual([warnings.length, warnings[0]?.level, warnings[0]?.pool], [1, "warn", "covered"]);
  await jetStream("STREAM.DELETE.AUDIT", {});
});

test("a stream over submissions alone is told in a line and a metric, whenever it comes", async () => {
  await mesh.addWorker<number, number>({ pool: "asked-for", slots: 1, run: ({ payload }) => payload + 1 });
  await mesh.untilCapacity("asked-for", 1);
  await jetStream("STREAM.CREATE.TAKEN", { name: "TAKEN", subjects: ["pool.asked-for.submit"], storage: "memory" });
  const told = /^poolmesh_manager_covering_stream\{pool="asked-for",stream="TAKEN"\} 1$/m;
  await eventually(async () => told.test(await metrics()), { limitMs: 60_000, what: "the metric" });
  assert.equal(lines.filter(({ stream, pool }) => stream === "TAKEN" && pool === undefined).length, 1);
  await jetStream("STREAM.DELETE.TAKEN", {});
});

test("a stream over any subject at which a worker or a manager answers is told, whether it is one subject or many", async (t) => {
  const parts = { bus, subjects: new Subjects(), pools: () => [] };
  const narrow = [
    "job.w1",
    "submit.m1",
    "cancel.x",
    "control.w1",
    "control",
    "jobs",
    "enqueue",
    "lookup",
    "submissions",
  ];
  const wide = ["job.*", "submit.*", "cancel.*", "control.*", "control.>"];
  const all = [...narrow.map((verb) => `pool.told.${verb}`), ...[...narrow, ...wide].map((verb) => `pool.*.${verb}`)];
  for (const [n, covered] of all.entries()) {
    const name = `OVER${n}`;
    await jetStream(`STREAM.CREATE.${name}`, { name, subjects: [covered], storage: "memory" });
    const mine = readableLog();
    const check = new StreamCheck({ ...parts, log: mine.log });
    cleanUp(t, () => check.stop());
    await check.start();
    check.stop();
    assert.equal(
      mine.lines.filter(({ level, stream }) => level === "warn" && stream === name).length > 0,
      true,
      covered,
    );
    await jetStream(`STREAM.DELETE.${name}`, {});
  }
  await jetStream("STREAM.CREATE.BEATS", { name: "BEATS", subjects: ["pool.*.heartbeat.*"], storage: "memory" });
  const mine = readableLog();
  const check = new StreamCheck({ ...parts, log: mine.log });
  await check.start();
  check.stop();
  assert.deepEqual(mine.lines, [], "nobody answers a heartbeat");
  await jetStream("STREAM.DELETE.BEATS", {});
});

test("ids that callers choose run once at their owners, while a stream over pool.> acknowledges all that managers ask each other", async (t) => {
  const listen = { host: "127.0.0.1", port: 0 };
  const second = new ManagerService({ bus: { servers: mesh.natsUrl }, listen, graceMs: 0 });
  cleanUp(t, () => second.stop());
  await second.start();
  const transport = createConnectTransport({ baseUrl: second.url, httpVersion: "1.1" });
  const doors = [mesh.client, createClient(ManagerServiceDesc, transport)];
  const runs = new Map<number, number>();
  await mesh.addWorker<number, number>({
    pool: "asked",
    slots: 4,
    run: ({ payload }) => {
      runs.set(payload, (runs.get(payload) ?? 0) + 1);
      return payload + 1;
    },
  });
  /** Whether jobs whose ids come to both managers have run once each. */
  const runOnce = async (numbers: readonly number[]): Promise<boolean> => {
    for (const n of numbers) {
      const job = { pool: "asked", jobId: `asked-${n}`, input: { case: "text" as const, value: String(n) } };
      const heard = await Promise.all(doors.map((door) => door.submit(job)));
      assert.deepEqual(
        heard.map(({ output }) => output.value),
        [String(n + 1), String(n + 1)],
      );
    }
    return numbers.every((n) => runs.get(n) === 1);
  };
  let next = 0;
  const some = (): number[] => Array.from({ length: 12 }, () => (next += 1));
  await eventually(() => runOnce(some()), { what: "the managers know each other" });

  await jetStream("STREAM.CREATE.ALL", { name: "ALL", subjects: ["pool.>"], storage: "memory" });
  cleanUp(t, () => jetStream("STREAM.DELETE.ALL", {}));
  assert.equal(await runOnce(some()), true);
  const client = await Client.connect({ pool: "asked", servers: mesh.natsUrl });
  cleanUp(t, () => client.close());
  for (const n of some()) {
    const options = { id: `asked-${n}`, timeoutMs: 20_000 };
    for (const _ of ["first", "again"]) assert.equal((await client.submit(String(n), options)).text(), String(n + 1));
    assert.equal(runs.get(n), 1);
  }
});
