/** The durable lane: jobs for later, from enqueue over their time to their outcome. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, headers as natsHeaders } from "nats";
import type { Client } from "../../../../client/client.js";
import { NEEDS } from "../../../../mesh/durable/broker-needs.js";
import { DurableNames } from "../../../../mesh/durable/names.js";
import { LaneStore } from "../../../../mesh/durable/store.js";
import { dueConsumer, jobsStream, laterStream, levelConsumer } from "../../../../mesh/durable/streams.js";
import type { Handler } from "../../../../services/worker/worker.js";
import { connectBus, lacking, type Owner } from "../../../support/broker.js";
import { cleanUp } from "../../../support/clean-up.js";
import { runInShell } from "../../../support/docs/fake-shell.js";
import { startDurableMesh } from "../../../support/durable-mesh.js";
import { failure } from "../../../support/failure.js";
import { leakGuard } from "../../../support/leak-guard.js";
import { eventually, gate } from "../../../support/wait.js";

leakGuard();
const skip = await lacking(NEEDS.schedules);
const mesh = await startDurableMesh();
const { servers, service } = mesh;
const names = new DurableNames();
const SOON_MS = 1_500;
const HOUR_MS = 3_600_000;

/** A pool that counts its runs by payload, and notes when they began. */
async function startPool(t: Owner, pool: string, run: Handler<unknown, unknown> = (job) => job.payload) {
  const began: { readonly payload: unknown; readonly atMs: number }[] = [];
  const counted: Handler<unknown, unknown> = (job) => {
    began.push({ payload: job.payload, atMs: Date.now() });
    return run(job);
  };
  const [client, lane] = await mesh.startPool(t, pool, counted, { slots: 4, graceMs: 0 });
  return { client, lane, began };
}

async function startStore(t: Owner): Promise<LaneStore> {
  return new LaneStore(await connectBus(t, { url: servers }));
}

async function connectNats(t: Owner) {
  const nc = await connect({ servers });
  cleanUp(t, () => nc.close());
  return nc;
}

test("later - a job does not run before its time, runs after it, and its receipt gives the result", {
  skip,
}, async (t) => {
  const { client, lane, began } = await startPool(t, "later-first");
  const runAt = new Date(Date.now() + SOON_MS);
  const receipt = await client.enqueue("7", { id: "seven", runAt, priority: "high" });
  assert.deepEqual([receipt.sequence, receipt.duplicate, receipt.runAt], [0, false, runAt]);
  const waiting = await client.lookup("seven");
  assert.deepEqual(
    [waiting.state, waiting.attempt, waiting.runAt, waiting.priority, waiting.maxAttempts],
    ["scheduled", 0, runAt, "high", 5],
  );
  assert.equal((await lane.figures()).scheduled, 1);
  assert.equal((await receipt.result({ timeoutMs: 10_000 })).json(), 7);
  assert.equal(began.length, 1);
  assert.ok((began[0]?.atMs ?? 0) >= runAt.getTime(), "one clock for the broker and this test");
  const ended = await client.lookup("seven");
  assert.deepEqual([ended.state, ended.runAt, ended.sequence], ["ended", undefined, 1]);
  await eventually(async () => (await lane.figures()).scheduled === 0);
});

test("later - a time that has come is at once, and needs no schedule", { skip }, async (t) => {
  const { client, lane } = await startPool(t, "later-past");
  for (const options of [{ delayMs: 0 }, { runAt: Date.now() - HOUR_MS }]) {
    const receipt = await client.enqueue("1", options);
    assert.ok(receipt.sequence > 0 && receipt.runAt === undefined);
    assert.equal((await receipt.result({ timeoutMs: 5_000 })).json(), 1);
  }
  assert.equal((await lane.figures()).scheduled, 0);
});

test("later - an id is one job, whether it waits for its time, is queued or has ended", { skip }, async (t) => {
  const { client, began } = await startPool(t, "later-ids");
  const runAt = new Date(Date.now() + SOON_MS);
  const first = await client.enqueue("1", { id: "one", runAt });
  for (const options of [{ delayMs: HOUR_MS }, {}]) {
    const again = await client.enqueue("1", { id: "one", ...options });
    assert.deepEqual([again.duplicate, again.runAt], [true, runAt], "the first time counts");
    assert.equal((await failure(client.enqueue("2", { id: "one", ...options }))).reason, "duplicate_job");
  }
  await first.result({ timeoutMs: 10_000 });
  const kept = await client.enqueue("1", { id: "one", delayMs: HOUR_MS });
  assert.equal(kept.runAt, undefined, "its outcome is kept: nothing waits");
  assert.equal((await kept.result({ timeoutMs: 3_000 })).json(), 1);
  const rerun = await client.enqueue("1", { id: "one", delayMs: 4_000, rerun: true });
  assert.equal((await client.lookup("one")).state, "scheduled", "a live job wins over the outcome of an earlier one");
  await rerun.result({ timeoutMs: 10_000 });
  assert.equal(began.length, 2);
});

test("later - cancel ends a job that waits for its time, and it never runs", { skip }, async (t) => {
  const { client, lane, began } = await startPool(t, "later-cancel");
  const receipt = await client.enqueue("1", { id: "off", delayMs: 60_000 });
  const other = await client.enqueue("2", { delayMs: 1_000 });
  await client.cancel("off");
  assert.equal((await failure(receipt.result({ timeoutMs: 5_000 }))).reason, "canceled");
  assert.equal((await client.lookup("off")).outcome?.ok, false);
  assert.equal((await failure(client.cancel("off"))).reason, "not_found");
  await other.result({ timeoutMs: 10_000 });
  assert.deepEqual([began.map(({ payload }) => payload), (await lane.figures()).scheduled], [[2], 0]);
});

test("later - a manager that was told to cancel, and died before the job was deleted, has canceled it all the same", {
  skip,
}, async (t) => {
  const { client, began } = await startPool(t, "later-canceled");
  const store = await startStore(t);
  const receipt = await client.enqueue("1", { id: "off", delayMs: 1_200 });
  const subject = names.later("later-canceled", "off");
  const stored = await store.last(names.laterStream("later-canceled"), subject);
  await client.cancel("off");
  // As if it had not been deleted: the same message, stored again.
  const nc = await connectNats(t);
  const headers = natsHeaders();
  for (const [name, values] of stored?.headers ?? [])
    if (!/msg-id|expected/i.test(name)) headers.append(name, values[0] ?? "");
  headers.append("Nats-Schedule-Target", names.due("later-canceled", "off"));
  await nc.request(subject, "1", { headers, timeout: 5_000 });
  assert.equal((await failure(receipt.result({ timeoutMs: 5_000 }))).reason, "canceled");
  assert.equal((await client.lookup("off")).state, "ended");
  const other = await client.enqueue("2", { delayMs: 1_700 });
  await other.result({ timeoutMs: 10_000 });
  await eventually(async () => (await store.last(names.laterStream("later-canceled"), subject)) === undefined);
  assert.deepEqual(
    began.map(({ payload }) => payload),
    [2],
  );
});

test("later - nats, HTTP and the command line store jobs for later, and list them", { skip }, async (t) => {
  const { client } = await startPool(t, "later-doors");
  const nc = await connectNats(t);
  const ask = async (headersOf: Readonly<Record<string, string>>) => {
    const headers = natsHeaders();
    for (const [name, value] of Object.entries(headersOf)) headers.append(name, value);
    const answer = await nc.request(names.enqueue("later-doors"), "1", { headers, timeout: 5_000 });
    return answer;
  };
  const byNats = await ask({ "Pool-Delay-Ms": "3600000", "Pool-Job-Id": "by-nats" });
  assert.match(byNats.string(), /^\{"id":"by-nats","sequence":0,"duplicate":false,"runAt":"20/);
  const day = new Date(Date.now() + 24 * HOUR_MS).toISOString();
  assert.match(
    (await ask({ "Pool-Run-At": day, "Pool-Job-Id": "by-nats-2" })).string(),
    new RegExp(`"runAt":"${day}"`),
  );
  const post = async (method: string, body: object): Promise<Record<string, unknown>> => {
    const url = `${service.url}/poolmesh.v1.DurableService/${method}`;
    const init = { method: "POST", headers: { "content-type": "application/json" } };
    const answer = await fetch(url, { ...init, body: JSON.stringify({ pool: "later-doors", ...body }) });
    return (await answer.json()) as Record<string, unknown>;
  };
  assert.equal((await post("Enqueue", { json: 1, jobId: "by-http", runAt: day })).runAt, day);
  const { job } = (await post("GetJob", { jobId: "by-http" })) as { job: Record<string, unknown> };
  assert.deepEqual([job.state, job.runAt, job.sequence], ["JOB_STATE_SCHEDULED", day, undefined]);
  const listed = (await post("ListJobs", { state: "JOB_STATE_SCHEDULED", pageSize: 2 })) as {
    jobs: object[];
    nextPageToken: string;
  };
  const rest = (await post("ListJobs", {
    state: "JOB_STATE_SCHEDULED",
    pageToken: listed.nextPageToken,
  })) as typeof listed;
  assert.deepEqual([listed.jobs.length, rest.jobs.length], [2, 1]);
  assert.deepEqual(await post("ListJobs", {}), {}, "they are in a list of their own");
  const shell = (...args: string[]) => runInShell(args, { NATS_URL: servers });
  const enqueued = await shell("enqueue", "later-doors", "1", "--run-at", day, "--id", "by-cli", "--json");
  assert.deepEqual(JSON.parse(enqueued.stdout), { id: "by-cli", sequence: 0, duplicate: false, runAt: day });
  const remote = await shell(
    "enqueue",
    "later-doors",
    "1",
    "--delay-ms",
    "7200000",
    "--id",
    "by-url",
    "--url",
    service.url,
  );
  assert.deepEqual([remote.stdout, remote.code], ["by-url\n", 0]);
  const table = await shell("jobs", "later-doors", "--state", "scheduled");
  assert.match(table.stdout, /^JOB +STATE +PRIORITY +AGE +ATTEMPT +RUNS\n/);
  assert.match(table.stdout, /by-url +scheduled .* in (2 h|1 h 59 min)/);
  assert.match(
    (await shell("job", "later-doors", "by-cli", "--url", service.url)).stdout,
    new RegExp(`runs +${day}, in `),
  );
  assert.match((await shell("durable", "later-doors")).stdout, /^POOL +SCHEDULED .*\nlater-doors +5 /);
  for (const id of ["by-nats", "by-nats-2", "by-http", "by-cli", "by-url"]) await client.cancel(id);
});

test("later - a time that is none, too far off, or said twice is refused by its field, and nothing is stored", {
  skip,
}, async (t) => {
  const { client, lane } = await startPool(t, "later-bad");
  const YEARS_11 = 11 * 365 * 24 * HOUR_MS;
  const bad: [Parameters<Client["enqueue"]>[1] & object, string][] = [
    [{ runAt: Number.NaN }, "runAt"],
    [{ runAt: new Date("nonsense") }, "runAt"],
    [{ runAt: "2026-12-24 18:00" }, "runAt"],
    [{ runAt: "2026-02-31T25:00:00Z" }, "runAt"],
    [{ runAt: Math.floor(Date.now() / 1_000) + 60 }, "runAt"],
    [{ runAt: Date.now() + YEARS_11 }, "runAt"],
    [{ runAt: Number.POSITIVE_INFINITY }, "runAt"],
    [{ runAt: Date.now() + 5_000, delayMs: 5_000 }, "runAt"],
    [{ delayMs: -1 }, "delayMs"],
    [{ delayMs: Number.NaN }, "delayMs"],
    [{ delayMs: YEARS_11 }, "delayMs"],
    [{ delayMs: "5" as unknown as number }, "delayMs"],
    [{ delayMs: 10_000, expiresInMs: 5_000 }, "expiresInMs"],
  ];
  for (const [options, field] of bad) {
    const error = await failure(client.enqueue("1", options));
    assert.deepEqual([error.reason, error.field], ["invalid_argument", field], JSON.stringify(options));
  }
  const nc = await connectNats(t);
  const headers: Readonly<Record<string, string>>[] = [
    { "Pool-Delay-Ms": "soon" },
    { "Pool-Delay-Ms": "-5" },
    { "Pool-Run-At": "1" },
    { "Pool-Run-At": "99999999999999999999" },
    { "Pool-Run-At": "tomorrow" },
    { "Pool-Run-At": String(Date.now() + 9_000), "Pool-Delay-Ms": "9000" },
  ];
  for (const each of headers) {
    const asked = natsHeaders();
    for (const [name, value] of Object.entries(each)) asked.append(name, value);
    const answer = await nc.request(names.enqueue("later-bad"), "1", { headers: asked, timeout: 5_000 });
    assert.equal(answer.headers?.get("Pool-Error"), "invalid_argument", JSON.stringify(each));
  }
  const tooLarge = Buffer.alloc((nc.info?.max_payload ?? 0) - 2_000, 1);
  assert.equal((await failure(client.enqueue(tooLarge, { delayMs: 60_000 }))).reason, "payload_too_large");
  assert.deepEqual([(await lane.figures()).scheduled, (await lane.figures()).stored], [0, 0]);
});

test("later - what a caller says in headers of NATS does not reach the stream: it cannot aim a job at another pool", {
  skip,
}, async (t) => {
  const pool = "later-hostile";
  const { lane } = await startPool(t, pool);
  const nc = await connectNats(t);
  const headers = natsHeaders();
  const said = {
    "Pool-Delay-Ms": "3600000",
    "Pool-Job-Id": "aimed",
    "Nats-Schedule": "@every 1s",
    "Nats-Schedule-Target": "pool.other.due.aimed",
    "Nats-Schedule-Source": "pool.later-hostile.later.victim",
    "Nats-Rollup": "all",
    "Nats-TTL": "1s",
    "Nats-Expected-Last-Sequence": "99",
    "Pool-Notify": "pool.other.durable.normal.x",
  };
  for (const [name, value] of Object.entries(said)) headers.append(name, value);
  const answer = await nc.request(names.enqueue(pool), "1", { headers, timeout: 5_000 });
  assert.match(answer.string(), /"id":"aimed"/);
  const stored = await (await startStore(t)).last(names.laterStream(pool), names.later(pool, "aimed"));
  assert.match(stored?.headers?.get("Nats-Schedule") ?? "", /^@at 20/);
  assert.equal(stored?.headers?.get("Nats-Schedule-Target"), names.due(pool, "aimed"));
  for (const name of ["Nats-Schedule-Source", "Nats-TTL", "Nats-Expected-Last-Sequence", "Pool-Notify"]) {
    assert.equal(stored?.headers?.get(name), "", name);
  }
  assert.equal((await lane.figures()).scheduled, 1);
});

test("later - a job that may have been moved already is stored once, and one that has ended does not run again", {
  skip,
}, async (t) => {
  const pool = "later-twice";
  const { client, began } = await startPool(t, pool);
  const nc = await connectNats(t);
  const store = await startStore(t);
  for (const keepsId of ["a", "b"]) {
    const receipt = await client.enqueue(JSON.stringify(keepsId), { id: keepsId, delayMs: 300 });
    await receipt.result({ timeoutMs: 10_000 });
  }
  // A broker that was killed has forgotten that it had published them: they come again, under other sequences.
  for (const id of ["a", "b"]) await nc.request(names.due(pool, id), JSON.stringify(id), { timeout: 10_000 });
  await eventually(async () => (await store.last(names.laterStream(pool), names.due(pool, "b"))) === undefined);
  await eventually(async () => (await store.streamInfo(names.jobsStream(pool)))?.state.messages === 0);
  assert.deepEqual(began.map(({ payload }) => payload).sort(), ["a", "b"]);
});

test("later - a live job that has taken the id meanwhile goes on, and the one for later becomes a dead letter", {
  skip,
}, async (t) => {
  const pool = "later-taken";
  const held = gate();
  t.after(() => held.open());
  const { client, lane } = await startPool(t, pool, (job) => held.promise.then(() => job.payload));
  const nc = await connectNats(t);
  await client.enqueue("1", { id: "taken", delayMs: 3_000 });
  await nc.request(names.job(pool, "normal", "taken"), "2", { timeout: 10_000 });
  const letter = await eventually(() => lane.dead.get("taken"));
  assert.deepEqual([letter.error.reason, Buffer.from(letter.payload).toString()], ["duplicate_job", "1"]);
  held.open();
  const outcome = await client.outcome("taken", { waitMs: 5_000 });
  assert.ok(outcome?.ok && outcome.result.json() === 2);
  await lane.dead.retry("taken");
  await eventually(async () => {
    const again = await client.outcome("taken");
    return again?.ok && again.result.json() === 1;
  });
});

test("later - what is due waits while the pool is full, and runs when there is room", { skip }, async (t) => {
  const pool = "later-full";
  const store = await startStore(t);
  // A manager takes the streams as it finds them.
  await store.addStream({ ...jobsStream(names, pool, 1), max_msgs: 2 });
  for (const level of ["high", "normal", "low"] as const) {
    await store.addConsumer(names.jobsStream(pool), levelConsumer(names, pool, level));
  }
  await store.addStream(laterStream(names, pool, 1));
  await store.addConsumer(names.laterStream(pool), dueConsumer(names, pool));
  const held = gate();
  t.after(() => held.open());
  const { client, lane } = await startPool(t, pool, (job) => held.promise.then(() => job.payload));
  const receipts = await Promise.all([1, 2, 3, 4].map((n) => client.enqueue(String(n), { delayMs: 300 })));
  await eventually(async () => (await lane.figures()).stored === 2);
  const { delivered } = (await store.consumerInfo(names.laterStream(pool), "due")) ?? assert.fail();
  assert.ok(delivered.consumer_seq > 0);
  held.open();
  const results = await Promise.all(receipts.map((each) => each.result({ timeoutMs: 20_000 })));
  assert.deepEqual(
    results.map((result) => result.json()),
    [1, 2, 3, 4],
  );
});

test("later - a stream that was deleted is made again by the next job for later", { skip }, async (t) => {
  const pool = "later-deleted";
  const { client } = await startPool(t, pool);
  await client.enqueue("1", { delayMs: HOUR_MS });
  const nc = await connectNats(t);
  await nc.request(`$JS.API.STREAM.DELETE.${names.laterStream(pool)}`, undefined, { timeout: 10_000 });
  const receipt = await client.enqueue("2", { delayMs: 300 });
  assert.equal((await receipt.result({ timeoutMs: 10_000 })).json(), 2);
});
