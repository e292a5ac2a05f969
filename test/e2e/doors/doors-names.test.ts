/** The name rule holds on every door: a canary hears nothing that a bad name could have caused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { Client } from "../../../client/client.js";
import { ManagerService } from "../../../gen/poolmesh/v1/manager_pb.js";
import { isName } from "../../../mesh/wire/subjects.js";
import { Manager } from "../../../services/manager/manager.js";
import { Worker } from "../../../services/worker/worker.js";
import { cleanUp, WHOLE_FILE } from "../../support/clean-up.js";
import { startCanary } from "../../support/doors/canary.js";
import { EMPTY_INPUT, rpcTransports } from "../../support/doors/doors.js";
import { leakGuard } from "../../support/leak-guard.js";
import { startMesh } from "../../support/mesh.js";
import { seededRandom } from "../../support/random.js";

const POOL = "hostile";
const NAMES = 250;
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
await mesh.addWorker({ pool: POOL, id: "w1", run: () => count() });
await mesh.untilCapacity(POOL, 1);

function count(): number {
  ran += 1;
  return ran;
}

function makeName(random: () => number): string {
  const parts = random() < 0.3 ? [...PARTS, ...PROTOCOL] : PARTS;
  const length = Math.floor(random() * (random() < 0.1 ? 90 : 8));
  return Array.from({ length }, () => parts[Math.floor(random() * parts.length)]).join("");
}

test("no generated name that breaks the rule reaches the broker, on any door", async (t) => {
  const heard = await startCanary(t, mesh, POOL);
  const manager = await Manager.connect({ pool: POOL, servers: mesh.natsUrl });
  cleanUp(t, () => manager.close());
  const client = await Client.connect({ pool: POOL, servers: mesh.natsUrl });
  cleanUp(t, () => client.close());
  const rpcs = Object.values(rpcTransports(mesh.manager.url)).map((each) => createClient(ManagerService, each));
  const random = seededRandom(SEED);
  const names = Array.from({ length: NAMES }, () => makeName(random)).filter((name) => !isName(name));
  t.diagnostic(`seed ${SEED}: ${names.length} names that break the rule`);
  for (const [index, name] of names.entries()) {
    const rpc = rpcs[index % rpcs.length] as (typeof rpcs)[number];
    const tries: (() => unknown)[] = [
      () => Manager.connect({ pool: name, servers: mesh.natsUrl }),
      () => Client.connect({ pool: name, servers: mesh.natsUrl }),
      () => new Worker({ pool: POOL, id: name, run: () => 1, servers: mesh.natsUrl }).start(),
      () => manager.submit("1", { id: name }),
      () => client.submit("1", { id: name }),
      () => manager.cancel(name),
      () => client.cancel(name),
      () => rpc.submit({ pool: name, input: EMPTY_INPUT }),
      () => rpc.cancel({ pool: POOL, jobId: name }),
      () => rpc.drainWorker({ selector: { pool: name } }),
      ...(name === "" ? [] : [() => rpc.submit({ pool: POOL, jobId: name, input: EMPTY_INPUT })]),
    ];
    for (const attempt of tries) await assert.rejects(async () => attempt(), `${JSON.stringify(name)}: ${attempt}`);
  }
  assert.deepEqual(await heard(), []);
  assert.equal(ran, 0);
});

test("a header that could break out of its line never leaves: client and trace context are checked", async (t) => {
  const heard = await startCanary(t, mesh, POOL);
  const manager = await Manager.connect({ pool: POOL, servers: mesh.natsUrl });
  cleanUp(t, () => manager.close());
  for (const text of ["a\r\nPool-Attempt: 7", "a\nb", "a\0b", "\u200b", "a\u2028b"]) {
    for (const options of [{ client: text }, { traceparent: text }, { tracestate: text }]) {
      await assert.rejects(manager.submit("1", options), { reason: "invalid_argument" });
    }
  }
  assert.deepEqual(await heard(), []);
});
