/** The permission sets of the table with those for the durable lane are enough for it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rights, Role } from "../../../cli/rights/right.js";
import { rightsOf } from "../../../cli/rights/table.js";
import { Client } from "../../../client/client.js";
import { DurableLane } from "../../../client/durable/operator.js";
import { NEEDS } from "../../../mesh/durable/broker-needs.js";
import { PermanentError } from "../../../mesh/errors.js";
import { ManagerService } from "../../../services/manager/service.js";
import { Meter } from "../../../services/meter/meter.js";
import { Worker } from "../../../services/worker/worker.js";
import { lacking } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { CONTROL_TOKEN } from "../../support/doors/control-token.js";
import { startRightsBroker } from "../../support/doors/rights-broker.js";
import { failure } from "../../support/failure.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { eventually } from "../../support/wait.js";

leakGuard();
const POOL = "strict";
const rightsFor = (role: Role, durable = true): Rights =>
  rightsOf({ role, name: `the-${role}`, pools: [POOL], durable });

test("permissions - durable jobs and dead letters work with the sets of the table, without a violation", async (t) => {
  const sets = {
    manager: rightsFor("manager"),
    worker: rightsFor("worker", false),
    client: rightsFor("client"),
    operator: rightsFor("operator"),
    meter: rightsFor("meter"),
  };
  const { broker, busOptions } = await startRightsBroker(t, "users", Object.values(sets));
  const { log, lines } = readableLog();
  const as = (role: keyof typeof sets) => ({ ...busOptions(sets[role]), log });
  const listen = { host: "127.0.0.1", port: 0 };
  const manager = new ManagerService({
    id: "the-manager",
    bus: as("manager"),
    log,
    listen,
    graceMs: 100,
    durable: true,
    pools: [POOL],
    controlToken: CONTROL_TOKEN,
  });
  const run = (job: { payload: unknown }): unknown => {
    if (job.payload === 13) throw new PermanentError("unlucky");
    return job.payload;
  };
  const worker = new Worker({ id: "the-worker", pool: POOL, run, slots: 2, ...as("worker") });
  const meter = new Meter({
    id: "the-meter",
    bus: as("meter"),
    log,
    listen,
    pools: [POOL],
    durable: true,
    control: true,
    controlToken: "the-token",
  });
  for (const part of [manager, worker, meter]) {
    cleanUp(t, () => part.stop());
    await part.start();
  }
  // The broker goes first: a manager that still has it waits until its open pulls are over.
  cleanUp(t, () => broker.stop());
  const client = await Client.connect(POOL, as("client"));
  cleanUp(t, () => client.close());
  const lane = await DurableLane.open(POOL, as("operator"));
  cleanUp(t, () => lane.close());

  const receipt = await client.enqueue("7", { id: "seven", idempotent: false });
  assert.equal((await receipt.result({ timeoutMs: 5_000 })).json(), 7);
  assert.ok((await client.outcome("seven", { waitMs: 5_000 }))?.ok);
  assert.equal((await client.lookup("seven")).state, "ended");
  assert.equal((await failure(client.cancel("nobody"))).reason, "not_found");
  await failure((await client.enqueue("13", { id: "unlucky" })).result({ timeoutMs: 5_000 }));
  await client.enqueue("7", { id: "seven", rerun: true }).then((again) => again.result({ timeoutMs: 5_000 }));
  await eventually(async () => (await lane.figures()).dead === 1);
  await lane.dead.retry("unlucky");
  await eventually(async () => (await lane.dead.get("unlucky"))?.attempt === 1);
  const atMeter = async (method: string, body: object): Promise<Record<string, unknown>> => {
    const headers = { "content-type": "application/json", authorization: "Bearer the-token" };
    const url = `${meter.url}/poolmesh.v1.DurableService/${method}`;
    const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    return (await answer.json()) as Record<string, unknown>;
  };
  const { lanes } = (await atMeter("GetLanes", {})) as { lanes: readonly { pool: string; dead: string }[] };
  assert.deepEqual(
    lanes.map(({ pool, dead }) => [pool, dead]),
    [[POOL, "1"]],
  );
  const sequence = (await lane.dead.get("unlucky"))?.sequence ?? 0;
  const selector = { pool: POOL, jobIds: ["unlucky"] };
  await atMeter("RetryDead", { selector });
  await eventually(async () => ((await lane.dead.get("unlucky"))?.sequence ?? 0) > sequence);
  assert.deepEqual(await atMeter("PurgeDead", { selector }), { changes: [{ jobId: "unlucky" }] });
  assert.deepEqual(await atMeter("ListDead", { pool: POOL }), {});
  const isNew = (await lacking(NEEDS.cron)) === false;
  if (isNew) {
    const later = await client.enqueue("17", { id: "later", delayMs: 4_000 });
    assert.equal((await client.lookup("later")).state, "scheduled");
    assert.equal((await later.result({ timeoutMs: 20_000 })).json(), 17);
    await client.enqueue("18", { id: "never", delayMs: 60_000 });
    await client.cancel("never");
    assert.equal((await lane.figures()).scheduled, 0);
    assert.equal((await lane.pause()).levels.length, 3);
    const paused = await client.enqueue("19", { id: "paused" });
    await lane.resume();
    assert.equal((await paused.result({ timeoutMs: 20_000 })).json(), 19);
    assert.equal(await lane.crons.set("20", { name: "nightly", schedule: "@daily" }), "created");
    assert.equal((await lane.crons.list()).length, 1);
    await lane.crons.remove("nightly");
  }
  const post = async (method: string, body: object): Promise<Record<string, unknown>> => {
    const headers = { "content-type": "application/json", authorization: `Bearer ${CONTROL_TOKEN}` };
    const url = `${manager.url}/poolmesh.v1.DurableService/${method}`;
    const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify({ pool: POOL, ...body }) });
    return (await answer.json()) as Record<string, unknown>;
  };
  await post("Enqueue", { json: 8, jobId: "eight" });
  assert.ok((await post("WaitOutcome", { jobId: "eight", waitMs: 5_000 })).outcome);
  if (isNew) {
    const cron = { name: "pulse", schedule: "@every 1s" };
    assert.deepEqual(await post("SetCron", { cron, json: 21 }), { created: true });
    await eventually(async () => (await client.outcome("pulse").catch(() => undefined))?.ok);
    assert.deepEqual(await post("RemoveCron", { name: "pulse" }), {});
  }
  // Nobody has it yet: it is looked up among the managers, canceled in its stream, and waited for.
  await worker.stop();
  await post("Enqueue", { json: 9, jobId: "nine" });
  const waited = post("WaitOutcome", { jobId: "nine", waitMs: 5_000 });
  await eventually(async () => (await post("GetJob", { jobId: "nine" })).job !== undefined);
  assert.deepEqual(await post("CancelJob", { jobId: "nine" }), {});
  assert.match(JSON.stringify(await waited), /canceled/);
  if (isNew) {
    await post("Enqueue", { json: 10, jobId: "ten", delayMs: "60000" });
    assert.deepEqual(Object.keys(await post("ListJobs", { state: "JOB_STATE_SCHEDULED" })), ["jobs"]);
    assert.ok((await post("PausePool", {})).paused);
    assert.deepEqual(await post("ResumePool", {}), {});
  }
  assert.ok((await post("GetLanes", {})).streams);
  const refused = lines.filter((line) => /violation/i.test(JSON.stringify(line)));
  assert.deepEqual(refused, []);
});
