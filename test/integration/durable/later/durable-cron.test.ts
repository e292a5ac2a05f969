/** The durable lane: cron schedules, from set over what they fire to remove. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, headers as natsHeaders } from "nats";
import { allBinaries } from "../../../../broker/find.js";
import { DurableLane } from "../../../../client/durable/operator.js";
import { NEEDS } from "../../../../mesh/durable/broker-needs.js";
import { DurableNames } from "../../../../mesh/durable/names.js";
import { LaneStore } from "../../../../mesh/durable/store.js";
import { Manager } from "../../../../services/manager/manager.js";
import type { Handler } from "../../../../services/worker/worker.js";
import { Worker } from "../../../../services/worker/worker.js";
import { connectBus, lacking, type Owner, startBroker } from "../../../support/broker.js";
import { cleanUp } from "../../../support/clean-up.js";
import { runInShell } from "../../../support/docs/fake-shell.js";
import { CONTROL_TOKEN } from "../../../support/doors/control-token.js";
import { startDurableManager, startDurableMesh } from "../../../support/durable-mesh.js";
import { failure } from "../../../support/failure.js";
import { leakGuard } from "../../../support/leak-guard.js";
import { eventually, gate } from "../../../support/wait.js";

leakGuard();
const skip = await lacking(NEEDS.cron);
const mesh = await startDurableMesh({ controlToken: CONTROL_TOKEN });
const { servers, service } = mesh;
const names = new DurableNames();

async function startPool(t: Owner, pool: string, run: Handler<unknown, unknown> = (job) => job.payload) {
  const began: string[] = [];
  const counted: Handler<unknown, unknown> = (job) => {
    began.push(job.id);
    return run(job);
  };
  const [client, lane] = await mesh.startPool(t, pool, counted, { slots: 4, graceMs: 0 });
  return { client, lane, began };
}

async function connectNats(t: Owner) {
  const nc = await connect({ servers });
  cleanUp(t, () => nc.close());
  return nc;
}

test("cron - a schedule fires again and again under its name, each time with the job that follows, and no more once it is removed", {
  skip,
}, async (t) => {
  const { client, lane, began } = await startPool(t, "c-first");
  const pulse = { name: "pulse", schedule: "@every 1s", then: { pool: "c-first" } };
  assert.equal(await lane.crons.set("7", pulse), "created");
  await eventually(() => began.filter((id) => id === "pulse").length >= 3);
  const outcome = await client.outcome("pulse", { waitMs: 5_000 });
  assert.ok(outcome?.ok && outcome.result.json() === 7);
  const next = await client.outcome(outcome.result.next?.id ?? "", { waitMs: 5_000 });
  assert.ok(next?.ok && next.result.json() === 7, "the result of each of its jobs is the payload of the next one");
  // What it has just fired is there for a moment.
  await eventually(async () => (await lane.figures()).scheduled === 0, { what: "a schedule is no job that waits" });
  await lane.crons.remove("pulse");
  assert.deepEqual(await lane.crons.list(), []);
  assert.equal((await failure(lane.crons.remove("pulse"))).reason, "not_found");
  const store = new LaneStore(await connectBus(t, { url: servers }));
  await eventually(async () => (await store.streamInfo(names.laterStream("c-first")))?.state.messages === 0);
  await eventually(async () => (await lane.figures()).stored === 0);
  const count = began.length;
  const after = await client.enqueue("1", { delayMs: 2_200 });
  await after.result({ timeoutMs: 15_000 });
  assert.deepEqual([began.length, began.at(-1)], [count + 1, after.id]);
  const [fired, followed] = [began.filter((id) => id === "pulse"), began.filter((id) => id.startsWith("pulse-"))];
  assert.deepEqual([fired.length + followed.length, new Set(followed).size], [count, fired.length]);
});

test("cron - a firing while the last job has not ended makes none with skip, and one more with allow", {
  skip,
}, async (t) => {
  const held = gate();
  t.after(() => held.open());
  const { lane, began } = await startPool(t, "c-overlap", () => held.promise);
  await lane.crons.set("1", { name: "one", schedule: "@every 1s" });
  await lane.crons.set("1", { name: "many", schedule: "@every 1s", overlap: "allow" });
  await eventually(() => began.filter((id) => id.startsWith("many-")).length >= 3);
  assert.deepEqual(
    began.filter((id) => id === "one"),
    ["one"],
  );
  assert.equal(new Set(began).size, began.length, "each firing has an id of its own");
  for (const name of ["one", "many"]) await lane.crons.remove(name);
  held.open();
  await eventually(async () => (await lane.figures()).stored === 0);
});

test("cron - a job that failed for good is a dead letter, and the schedule goes on", { skip }, async (t) => {
  const { lane, began } = await startPool(t, "c-fails", () => {
    throw new Error("no");
  });
  await lane.crons.set("1", { name: "fails", schedule: "@every 1s", maxAttempts: 1 });
  await eventually(() => began.length >= 2);
  assert.equal((await lane.dead.get("fails"))?.error.reason, "job_failed");
  await lane.crons.remove("fails");
});

test("cron - a firing that comes twice makes one job, whether it is live or has ended", { skip }, async (t) => {
  const pool = "c-twice";
  const { client, lane, began } = await startPool(t, pool);
  await lane.crons.set("1", { name: "yearly", schedule: "@yearly" });
  const nc = await connectNats(t);
  const store = new LaneStore(await connectBus(t, { url: servers }));
  const fire = async (): Promise<void> => {
    await nc.request(names.fired(pool, "yearly"), "1", { timeout: 5_000 });
    await eventually(
      async () => (await store.last(names.laterStream(pool), names.fired(pool, "yearly"))) === undefined,
    );
  };
  await fire();
  await client.outcome("yearly", { waitMs: 5_000 });
  assert.equal(began.length, 1);
  // The outcome says when its firing was stored, so a firing that is not newer has had its job.
  const stored = await store.last(names.outcomesStream, names.outcome(pool, "yearly"));
  const { firedJob } = await import("../../../../services/manager/durable/later/fired-job.js");
  const { decodeOutcome } = await import("../../../../mesh/durable/outcome.js");
  const { facts } = decodeOutcome("yearly", stored?.headers, stored?.payload ?? new Uint8Array()) ?? assert.fail();
  const firing = { name: "yearly", headers: undefined, payload: new Uint8Array(), sequence: 9 };
  const again = await firedJob({ names, store }, pool, { ...firing, storedAt: `${facts.enqueuedAt}999999` });
  const next = await firedJob({ names, store }, pool, { ...firing, storedAt: `${facts.enqueuedAt + 1}000000` });
  assert.deepEqual([again, next?.id], [undefined, "yearly"]);
  await fire();
  await eventually(() => began.length === 2);
});

test("cron - setting the same again changes nothing, another one of its name takes its place, and crontab's five fields get a second", {
  skip,
}, async (t) => {
  const { lane } = await startPool(t, "c-set");
  const nightly = {
    name: "nightly",
    schedule: "0 30 3 * * *",
    timeZone: "Europe/Berlin",
    priority: "low",
    timeoutMs: 5_000,
  } as const;
  assert.equal(await lane.crons.set("1", nightly), "created");
  assert.equal(
    await lane.crons.set("1", { ...nightly, schedule: "30 3 * * *" }),
    "unchanged",
    "the same as five fields",
  );
  assert.equal(await lane.crons.set("2", nightly), "changed", "another payload");
  assert.equal(await lane.crons.set("2", { ...nightly, timeZone: "America/New_York" }), "changed");
  const [cron, ...more] = await lane.crons.list();
  assert.deepEqual(
    [cron?.name, cron?.schedule, cron?.timeZone, cron?.overlap, cron?.priority, cron?.job.timeoutMs, more.length],
    ["nightly", "0 30 3 * * *", "America/New_York", "skip", "low", 5_000, 0],
  );
  assert.equal(Buffer.from(cron?.payload ?? []).toString(), "2");
});

test("cron - what is no schedule, zone or name is refused by its field, and nothing is stored", { skip }, async (t) => {
  const { lane } = await startPool(t, "c-bad");
  const good = { name: "good", schedule: "0 0 3 * * *" };
  const bad: [object, string][] = [
    [{ ...good, name: "" }, "name"],
    [{ ...good, name: "a.b" }, "name"],
    [{ ...good, name: "x".repeat(41) }, "name"],
    [{ ...good, schedule: "" }, "schedule"],
    [{ ...good, schedule: "* * *" }, "schedule"],
    [{ ...good, schedule: "0 61 3 * * *" }, "schedule"],
    [{ ...good, schedule: "@every 10ms" }, "schedule"],
    [{ ...good, schedule: "@every soon" }, "schedule"],
    [{ ...good, schedule: "@at 2030-01-01T00:00:00Z" }, "schedule"],
    [{ ...good, schedule: "0 0 3 * * *\r\nNats-Schedule-Target: x" }, "schedule"],
    [{ ...good, schedule: 5 }, "schedule"],
    [{ ...good, timeZone: "Local" }, "timeZone"],
    [{ ...good, timeZone: "Europe/Nowhere" }, "timeZone"],
    [{ ...good, timeZone: "../../../etc/passwd" }, "timeZone"],
    [{ ...good, schedule: "@every 5s", timeZone: "Europe/Berlin" }, "timeZone"],
    [{ ...good, overlap: "queue" }, "overlap"],
    [{ ...good, timeoutMs: 0 }, "timeoutMs"],
  ];
  for (const [options, field] of bad) {
    const error = await failure(lane.crons.set("1", options as never));
    assert.deepEqual([error.reason, error.field], ["invalid_argument", field], JSON.stringify(options));
  }
  assert.deepEqual(await lane.crons.list(), []);
});

test("cron - nats, HTTP and the command line set, list and remove schedules", { skip }, async (t) => {
  const { lane } = await startPool(t, "c-doors");
  const nc = await connectNats(t);
  const ask = async (said: Readonly<Record<string, string>>) => {
    const headers = natsHeaders();
    for (const [name, value] of Object.entries(said)) headers.append(name, value);
    return nc.request(names.crons("c-doors"), "1", { headers, timeout: 5_000 });
  };
  const set = {
    "Pool-Cron": "set",
    "Pool-Cron-Name": "by-nats",
    "Pool-Schedule": "0 0 3 * * *",
    "Pool-Time-Zone": "Asia/Tokyo",
  };
  assert.equal((await ask(set)).string(), '{"name":"by-nats","change":"created"}');
  assert.match((await ask({})).string(), /^\[\{"name":"by-nats","schedule":"0 0 3 \* \* \*","timeZone":"Asia\/Tokyo"/);
  assert.equal((await ask({ "Pool-Cron": "explode" })).headers?.get("Pool-Error"), "invalid_argument");
  const post = async (method: string, body: object, token: object = { authorization: `Bearer ${CONTROL_TOKEN}` }) => {
    const url = `${service.url}/poolmesh.v1.DurableService/${method}`;
    const init = { method: "POST", headers: { "content-type": "application/json", ...token } };
    return (await fetch(url, { ...init, body: JSON.stringify({ pool: "c-doors", ...body }) })).json();
  };
  const cron = { name: "by-http", schedule: "@daily", overlap: "CRON_OVERLAP_ALLOW" };
  assert.match(JSON.stringify(await post("SetCron", { cron, json: 1 }, {})), /unauthenticated/);
  assert.deepEqual(await post("SetCron", { cron, json: 1 }), { created: true });
  assert.deepEqual(await post("SetCron", { cron, json: 1 }), { unchanged: true });
  const listed = (await post("ListCron", {})) as { crons: { name: string; overlap: string; payloadBytes: string }[] };
  assert.deepEqual(
    listed.crons.map(({ name, overlap, payloadBytes }) => [name, overlap, payloadBytes]),
    [
      ["by-http", "CRON_OVERLAP_ALLOW", "1"],
      ["by-nats", "CRON_OVERLAP_SKIP", "1"],
    ],
  );
  const env = { NATS_URL: servers, POOLMESH_CONTROL_TOKEN: CONTROL_TOKEN };
  const shell = (...args: string[]) => runInShell(["cron", "c-doors", ...args], env);
  const zone = ["--time-zone", "Europe/Berlin"];
  assert.equal((await shell("set", "by-cli", "30 3 * * mon-fri", "1", ...zone)).stdout, "by-cli is created\n");
  assert.equal((await shell("set", "by-url", "@hourly", "1", "--url", service.url)).stdout, "by-url is created\n");
  const table = (await shell()).stdout.split("\n").map((line) => line.trimEnd().split(/ {2,}/));
  assert.deepEqual(table.slice(0, 3), [
    ["NAME", "SCHEDULE", "ZONE", "OVERLAP", "PRIORITY"],
    ["by-cli", "0 30 3 * * mon-fri", "Europe/Berlin", "skip", "normal"],
    ["by-http", "@daily", "UTC", "allow", "normal"],
  ]);
  assert.equal((await shell("--url", service.url)).stdout, (await shell()).stdout);
  const then = ["--then", "c-doors", "--then", "c-first"];
  assert.equal((await shell("set", "by-chain", "@yearly", "1", ...then)).stdout, "by-chain is created\n");
  const again = await shell("set", "by-chain", "@yearly", "1", ...then, "--url", service.url);
  assert.equal(again.stdout, "by-chain is unchanged\n");
  for (const door of [[], ["--url", service.url]]) {
    assert.match((await shell(...door)).stdout, /THEN *\nby-chain .* normal +c-doors,c-first *\n/);
    assert.match((await shell("--json", ...door)).stdout, /"then":\["c-doors","c-first"\]/);
  }
  const named = await shell("set", "by-name", "@yearly", "1", "--then", "c-doors:mine");
  assert.deepEqual([named.code, /then: .*c-doors:mine would run once/.test(named.stderr)], [2, true], named.stderr);
  await lane.crons.remove("by-chain");
  assert.equal((await shell("remove", "by-url", "--url", service.url)).stdout, "by-url is removed\n");
  assert.equal((await shell("remove", "by-cli")).stdout, "by-cli is removed\n");
  assert.deepEqual(await post("RemoveCron", { name: "by-http" }), {});
  assert.equal(
    (await ask({ "Pool-Cron": "remove", "Pool-Cron-Name": "by-nats" })).string(),
    '{"name":"by-nats","removed":true}',
  );
  assert.match((await shell()).stderr, /no cron schedules/);
  const missing = await shell("set", "half");
  assert.match(missing.stderr, /set: say when it fires/);
  assert.equal((await lane.crons.list()).length, 0);
});

test("cron - what fired while no manager was there makes one job when one is back", { skip }, async (t) => {
  const broker = await startBroker(t);
  const start = async () => {
    const manager = new Manager({ pool: "c-away", servers: broker.url, durable: true });
    cleanUp(t, () => manager.stop());
    await manager.start();
    return manager;
  };
  const lane = await DurableLane.open({ pool: "c-away", servers: broker.url });
  cleanUp(t, () => lane.close());
  assert.match(
    (await failure(lane.crons.set("1", { name: "pulse", schedule: "@every 1s" }))).message,
    /no manager with --durable/,
  );
  // A manager of a program sets none for others: one that serves does.
  const serving = await startDurableManager(t, broker.url, { pools: ["c-away"] });
  await lane.crons.set("1", { name: "pulse", schedule: "@every 1s" });
  await serving.stop();
  const store = new LaneStore(await connectBus(t, broker));
  const fired = async () => (await store.last(names.laterStream("c-away"), names.fired("c-away", "pulse")))?.sequence;
  const first = await eventually(fired);
  const last = await eventually(async () => (((await fired()) ?? 0) > first ? fired() : undefined));
  assert.ok(last > first, "a later firing takes the place of one that nobody took");
  const stream = await store.streamInfo(names.laterStream("c-away"));
  assert.equal(stream?.state.messages, 2, "the schedule, and one firing");
  const began: string[] = [];
  const worker = new Worker({ pool: "c-away", run: ({ id }) => began.push(id), servers: broker.url });
  cleanUp(t, () => worker.stop());
  await worker.start();
  await start();
  await eventually(() => began.length >= 1);
});

test("cron - a broker without it refuses a schedule by version, and stores nothing", async (t) => {
  const { path, version } = (await allBinaries("nats-server")).at(-1) ?? assert.fail("no nats-server");
  if (!version.startsWith("2.9.")) return t.skip(`the oldest broker here is ${version}`);
  const broker = await startBroker(t, { binary: path });
  await startDurableManager(t, broker.url, { pools: ["c-old"] });
  const lane = await DurableLane.open({ pool: "c-old", servers: broker.url });
  cleanUp(t, () => lane.close());
  const error = await failure(lane.crons.set("1", { name: "pulse", schedule: "@every 1s" }));
  assert.deepEqual([error.reason, error.field, error.retryable], ["invalid_argument", "schedule", false]);
  assert.equal(error.message, `schedule: cron schedules need nats-server 2.14 or newer; this broker is ${version}`);
  assert.deepEqual(await lane.crons.list(), []);
  assert.equal(await new LaneStore(await connectBus(t, broker)).streamInfo(names.laterStream("c-old")), undefined);
});
