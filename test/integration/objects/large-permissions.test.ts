/** The permission sets of the table with those for large payloads are enough for them, and no more. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Rights, Role } from "../../../cli/rights/right.js";
import { rightsOf } from "../../../cli/rights/table.js";
import { Client } from "../../../client/client.js";
import { settleLargePayloads } from "../../../mesh/objects/large-payloads.js";
import { digestOf, ObjectStore } from "../../../mesh/objects/object-store.js";
import { ManagerService } from "../../../services/manager/service.js";
import { Worker } from "../../../services/worker/worker.js";
import { connectBus } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { startRightsBroker } from "../../support/doors/rights-broker.js";
import { failure } from "../../support/failure.js";
import { leakGuard } from "../../support/leak-guard.js";
import { readableLog } from "../../support/log-lines.js";
import { eventually } from "../../support/wait.js";
import { largeBytes } from "./large-mesh.js";

leakGuard();
const POOL = "strict";
/** Over what a broker takes by default. */
const LARGE = largeBytes(1_200_000);
const rightsFor = (role: Role, name: string = role): Rights =>
  rightsOf({ role, name: `the-${name}`, pools: [POOL], durable: role !== "worker", large: true });
const ADMIN: Rights = {
  ...rightsFor("operator", "admin"),
  inboxPrefix: "_INBOX",
  publish: [{ subject: ">", why: "all" }],
  subscribe: [{ subject: ">", why: "all" }],
};

test("permissions - large payloads work in both lanes with the sets of the table, without a violation, and nobody reads another's bucket", async (t) => {
  const sets = { manager: rightsFor("manager"), worker: rightsFor("worker"), client: rightsFor("client") };
  const { broker, busOptions } = await startRightsBroker(t, "users", [...Object.values(sets), ADMIN]);
  const { log, lines } = readableLog();
  const as = (role: keyof typeof sets) => ({ ...busOptions(sets[role]), log });

  const early = await Client.connect({ pool: POOL, largePayloads: true, ...as("client") });
  cleanUp(t, () => early.close());
  const notMade = await failure(early.submit(LARGE));
  assert.equal(notMade.reason, "bus_unavailable");
  assert.match(notMade.message, /object store pool-submitted is not there, and could not be made/);

  const large = settleLargePayloads(true, "pool");
  assert.ok(large !== undefined);
  const admin = new ObjectStore(await connectBus(t, broker, busOptions(ADMIN)));
  cleanUp(t, () => admin.stop());
  for (const bucket of [large.submitted, large.enqueued, large.results]) {
    const bytes = new Uint8Array(1);
    const object = { bucket: bucket.name, name: "made", size: 1, digest: await digestOf(bytes) };
    await admin.put(bucket, object, bytes);
    await admin.delete(object);
  }
  lines.length = 0;

  const listen = { host: "127.0.0.1", port: 0 };
  const manager = new ManagerService({
    id: "the-manager",
    bus: as("manager"),
    log,
    listen,
    graceMs: 100,
    durable: true,
    pools: [POOL],
  });
  const worker = new Worker({
    id: "the-worker",
    pool: POOL,
    run: ({ payload }) => payload,
    codec: "bytes",
    largePayloads: true,
    ...as("worker"),
  });
  for (const part of [manager, worker]) {
    cleanUp(t, () => part.stop());
    await part.start();
  }
  // The broker goes first: a manager that still has it waits until its open pulls are over.
  cleanUp(t, () => broker.stop());
  const client = await Client.connect({ pool: POOL, largePayloads: true, ...as("client") });
  cleanUp(t, () => client.close());
  assert.deepEqual((await client.submit(LARGE)).payload, Buffer.from(LARGE));
  const receipt = await client.enqueue(LARGE, { id: "one" });
  assert.deepEqual((await receipt.result({ timeoutMs: 10_000 })).payload, Buffer.from(LARGE));
  const messages = async (kind: "submitted" | "enqueued"): Promise<number> => admin.messagesIn(large[kind].name);
  await eventually(async () => (await messages("submitted")) === 0 && (await messages("enqueued")) === 0);
  const violations = lines.filter((line) => /violation/i.test(JSON.stringify(line)));
  assert.deepEqual(violations, []);

  // A worker writes no payloads, a client no results, and neither reads what is meant for others.
  const allowed = (role: keyof typeof sets): string[] => sets[role].publish.map(({ subject }) => subject);
  assert.ok(!allowed("worker").some((subject) => /^\$O\.pool-(submitted|enqueued)/.test(subject)));
  assert.ok(!allowed("client").some((subject) => subject.startsWith("$O.pool-results")));
  assert.ok(!allowed("manager").some((subject) => subject.startsWith("$O.")));
  for (const role of ["client", "worker"] as const) {
    assert.ok(!allowed(role).some((subject) => /STREAM\.(CREATE|DELETE|UPDATE)\.OBJ_/.test(subject)), role);
  }
});
