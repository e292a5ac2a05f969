/** The permission sets of docs/permissions.md are enough, and no more than enough. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { connect } from "nats";
import { Client } from "../../client/client.js";
import { ManagerService } from "../../services/manager/service.js";
import { Meter } from "../../services/meter/meter.js";
import { Worker } from "../../services/worker/worker.js";
import { startBroker } from "../support/broker.js";
import { cleanUp } from "../support/clean-up.js";
import { eventually, gate } from "../support/wait.js";

const ROLES = ["worker", "manager", "meter", "client"] as const;
const PASSWORD = "for-this-test-only";

function documentedConfig(): string {
  const text = readFileSync(new URL("../../docs/permissions.md", import.meta.url), "utf8");
  const block = /```\n([\s\S]*?)```/.exec(text)?.[1] ?? assert.fail("the document has a block");
  return ROLES.reduce((config, role) => config.replace(`$${role.toUpperCase()}_PASSWORD`, PASSWORD), block);
}

test("permissions - a job, a cancel and the meter work with the documented sets, without a violation", async (t) => {
  const broker = await startBroker(t, { extraConfig: documentedConfig() });
  const as = (user: (typeof ROLES)[number]) => ({ servers: broker.url, user, password: PASSWORD });
  const LISTEN = { host: "127.0.0.1", port: 0 };
  const manager = new ManagerService({ bus: as("manager"), listen: LISTEN, graceMs: 100 });
  const meter = new Meter({ bus: as("meter"), listen: LISTEN });
  const held = gate();
  const run = async (job: { payload: unknown; signal: AbortSignal }): Promise<unknown> => {
    if (job.payload === "hold") {
      job.signal.addEventListener("abort", () => held.open());
      await held.promise;
    }
    return job.payload;
  };
  const worker = new Worker({ pool: "strict", run, slots: 2, bus: as("worker") });
  for (const part of [manager, meter, worker]) {
    cleanUp(t, () => part.stop());
    await part.start();
  }
  const client = await Client.connect("strict", as("client"));
  cleanUp(t, () => client.close());

  assert.equal((await client.submit("7")).json(), 7);
  const canceled = client.submit('"hold"', { id: "held-one" }).catch((error: { reason: string }) => error.reason);
  await eventually(() => worker.busy === 1);
  await client.cancel("held-one");
  assert.equal(await canceled, "canceled");
  await held.promise;
  await eventually(async () => {
    const response = await fetch(`${meter.url}/poolmesh.v1.MeterService/GetCapacity`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    const { total } = (await response.json()) as { total: { slots?: number } };
    return total.slots === 2;
  });
});

test("permissions - a client may neither beat, nor control, nor read jobs", async (t) => {
  const broker = await startBroker(t, { extraConfig: documentedConfig() });
  const nc = await connect({ servers: broker.url, user: "client", pass: PASSWORD });
  cleanUp(t, () => nc.close());
  const violations: string[] = [];
  void (async () => {
    for await (const status of nc.status()) if (status.type === "error") violations.push(status.error.message);
  })();
  nc.publish("pool.strict.heartbeat.w");
  nc.publish("pool.strict.control.w", "drain");
  nc.subscribe("pool.strict.job", { callback: () => undefined });
  await nc.flush();
  await eventually(() => violations.length === 3, { what: "three violations" });
});
