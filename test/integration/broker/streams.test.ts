/** JetStream streams that capture the subjects of jobs: noticed whenever they appear, and gone when they go. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "../../../client/client.js";
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
    const found = lines.filter(({ msg, stream }) => stream === "AUDIT" && /captures/.test(msg));
    return found.length > 0 && found;
  });
  assert.deepEqual([warnings.length, warnings[0]?.level, warnings[0]?.pool], [1, "warn", "covered"]);
  await jetStream("STREAM.DELETE.AUDIT", {});
});
