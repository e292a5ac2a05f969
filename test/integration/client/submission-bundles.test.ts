/** Jobs that a client submits in one turn of the event loop leave in one message. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "../../../client/client.js";
import type { PoolError } from "../../../mesh/errors.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { decodeJobHeaders, HEADER, type JobHeaders } from "../../../mesh/wire/headers.js";
import { decodeBundle, encodeBundle, MAX_BUNDLE_ENTRIES, MAX_BUNDLED_BYTES } from "../../../mesh/wire/payloads.js";
import { headersOf, wireHeaders } from "../../../mesh/wire/wire-headers.js";
import { ManagerService } from "../../../services/manager/service.js";
import { type Handler, Worker } from "../../../services/worker/worker.js";
import { connectBus, type Owner, startBroker, WHOLE_FILE } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { answerAs, playManager } from "../../support/core/played-manager.js";
import { failure } from "../../support/failure.js";
import { leakGuard } from "../../support/leak-guard.js";
import { eventually } from "../../support/wait.js";

leakGuard();

const broker = await startBroker(WHOLE_FILE, { jetStream: false });
const servers = broker.url;

async function startService(t: Owner): Promise<void> {
  const service = new ManagerService({ bus: { servers }, listen: { host: "127.0.0.1", port: 0 }, graceMs: 100 });
  cleanUp(t, () => service.stop());
  await service.start();
}

async function startWorker(t: Owner, pool: string, run: Handler<unknown, unknown>): Promise<void> {
  const worker = new Worker({ pool, run, slots: 64, codec: "bytes", graceMs: 100, servers });
  cleanUp(t, () => worker.stop());
  await worker.start();
}

async function startClient(t: Owner, pool: string): Promise<Client> {
  const client = await Client.connect({ pool, servers });
  cleanUp(t, () => client.close());
  return client;
}

/** What leaves for managers: the headers of each message, and the ids in it when it is a bundle. */
async function listen(t: Owner, pool: string) {
  const bus = await connectBus(t, broker);
  const bundles: { readonly said: JobHeaders; readonly ids: string[] }[] = [];
  const alone: JobHeaders[] = [];
  bus.subscribe(`pool.${pool}.submit`, (msg) => alone.push(decodeJobHeaders(headersOf(msg))));
  bus.subscribe(`pool.${pool}.submissions`, (msg) => {
    const ids: string[] = [];
    decodeBundle(msg.data, ({ id }) => ids.push(id));
    bundles.push({ said: decodeJobHeaders(headersOf(msg)), ids });
  });
  await bus.flush();
  return { bus, bundles, alone };
}

test("submission bundles - jobs of one turn leave in one message, and each caller hears its own outcome", async (t) => {
  await startService(t);
  await startWorker(t, "sb-turn", (job) => {
    if (Buffer.from(job.payload as Uint8Array).toString() === "7") throw new Error("no sevens");
    return job.payload;
  });
  const client = await startClient(t, "sb-turn");
  await client.submit("first");
  const { bundles, alone } = await listen(t, "sb-turn");
  const outcomes = await Promise.allSettled(Array.from({ length: 50 }, (_, i) => client.submit(String(i))));
  assert.deepEqual(
    outcomes.map((each) => (each.status === "fulfilled" ? each.value.text() : (each.reason as PoolError).reason)),
    Array.from({ length: 50 }, (_, i) => (i === 7 ? "job_failed" : String(i))),
  );
  await eventually(() => bundles.length === 1);
  assert.deepEqual([bundles[0]?.ids.length, alone.length], [50, 0]);
});

test("submission bundles - more jobs than one message holds leave in several, each once, none is left behind", async (t) => {
  await startService(t);
  await startWorker(t, "sb-many", (job) => job.payload);
  const client = await startClient(t, "sb-many");
  await client.submit("first");
  const { bundles, alone } = await listen(t, "sb-many");
  const jobs = 2 * MAX_BUNDLE_ENTRIES + 1;
  // A job that stayed behind would end with this deadline.
  const results = await Promise.all(
    Array.from({ length: jobs }, (_, i) => client.submit(String(i), { timeoutMs: 20_000 })),
  );
  assert.deepEqual(
    results.map((each) => each.text()),
    Array.from({ length: jobs }, (_, i) => String(i)),
  );
  await eventually(() => bundles.length === 2 && alone.length === 1);
  assert.equal(new Set(bundles.flatMap(({ ids }) => ids)).size, 2 * MAX_BUNDLE_ENTRIES);
});

test("submission bundles - what is said of a job is said of it alone: only jobs with the same options share a message", async (t) => {
  await startService(t);
  await startWorker(t, "sb-options", (job) => job.payload);
  const client = await startClient(t, "sb-options");
  await client.submit("first");
  const { bundles, alone } = await listen(t, "sb-options");
  const plain = [1, 2].map((i) => client.submit(`p${i}`));
  const idempotent = [1, 2, 3].map((i) => client.submit(`i${i}`, { idempotent: true, priority: "high" }));
  const large = client.submit(Buffer.alloc(MAX_BUNDLED_BYTES + 1, "x"));
  const named = client.submit("named", { id: "chosen" });
  const results = await Promise.all([...plain, ...idempotent, large, named]);
  assert.deepEqual(results.map(({ payload }) => payload.length).slice(0, 6), [2, 2, 2, 2, 2, MAX_BUNDLED_BYTES + 1]);
  await eventually(() => bundles.length === 2 && alone.length === 2);
  const said = bundles.map(({ said: { idempotent = false, priority = "normal" }, ids }) => [
    idempotent,
    priority,
    ids.length,
  ]);
  assert.deepEqual(said, [
    [false, "normal", 2],
    [true, "high", 3],
  ]);
  assert.ok(
    alone.some(({ jobId }) => jobId === "chosen"),
    "an id that its caller chose goes to the manager that owns it",
  );
});

test("submission bundles - a job of a bundle that is refused hears why, the others run", async (t) => {
  await startService(t);
  await startWorker(t, "sb-mixed", async (job) => job.payload);
  const client = await startClient(t, "sb-mixed");
  await client.submit("first");
  const jobs = [client.submit("a"), client.submit("b", { timeoutMs: 1 }), client.submit("c")];
  const [a, b, c] = await Promise.allSettled(jobs);
  assert.deepEqual([a?.status, c?.status], ["fulfilled", "fulfilled"]);
  if (b?.status === "rejected") assert.equal((b.reason as PoolError).reason, "deadline_exceeded");
  const nobody = await startClient(t, "sb-nobody");
  const refused = await Promise.all([1, 2, 3].map(() => failure(nobody.submit("x"))));
  assert.deepEqual(new Set(refused.map(({ reason }) => reason)), new Set(["unknown_pool"]));
});

test("submission bundles - a bundle whose headers are malformed is refused job by job, and names the header", async (t) => {
  await startService(t);
  await startWorker(t, "sb-odd", (job) => job.payload);
  const bus = await connectBus(t, broker);
  const heard: string[] = [];
  const inbox = bus.newInbox();
  bus.subscribe(`${inbox}*`, (msg) =>
    heard.push(`${msg.subject.slice(inbox.length)} ${msg.headers?.get(HEADER.field)}`),
  );
  const headers = wireHeaders();
  headers.append(HEADER.bundle, "2");
  headers.append(HEADER.priority, "urgent");
  const more = {
    nonce: "",
    attempt: 1,
    payload: Buffer.from("x"),
    timeoutMs: 1_000,
    traceparent: undefined,
    tracestate: undefined,
  };
  const bundle = encodeBundle([
    { token: "a", id: "j1", ...more },
    { token: "b", id: "j2", ...more },
  ]);
  bus.publish("pool.sb-odd.submissions", bundle, { headers, reply: `${inbox}a` });
  await eventually(() => heard.length === 2);
  assert.deepEqual(heard.sort(), ["a priority", "b priority"]);
});

async function takenAlone(managers: Bus, clients: Client): Promise<void> {
  const heard = await playManager(managers, "sb-old");
  const jobs = [1, 2, 3].map(() => clients.submit("x"));
  await eventually(() => heard.length === 3);
  for (const msg of heard) answerAs(managers, msg, "result");
  assert.deepEqual(
    (await Promise.all(jobs)).map((each) => each.text()),
    ["7", "7", "7"],
  );
}

test("submission bundles - managers of an earlier version, which hear no bundles, get each job once and alone", async (t) => {
  await takenAlone(await connectBus(t, broker), await startClient(t, "sb-old"));
});

test("submission bundles - where the broker does not allow them each job leaves alone", async (t) => {
  const strict = await startBroker(t, {
    jetStream: false,
    extraConfig: `authorization { users = [
      { user: "manager", password: "m" },
      { user: "client", password: "c", permissions: { publish: ["pool.*.submit", "pool.*.submit.*", "pool.*.cancel.*", "$SRV.>"], subscribe: "_INBOX.>" } }
    ] }`,
  });
  const urlOf = (user: string): string => strict.url.replace("nats://", `nats://${user}:${user[0]}@`);
  const managers = await connectBus(t, { url: urlOf("manager") });
  managers.subscribe("pool.sb-old.submissions", () => assert.fail("the broker allows no bundle"));
  const client = await Client.connect({ pool: "sb-old", servers: urlOf("client") });
  cleanUp(t, () => client.close());
  await takenAlone(managers, client);
});
