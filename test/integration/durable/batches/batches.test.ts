/** Batches of durable jobs, and their completion jobs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, headers as natsHeaders } from "nats";
import { Client } from "../../../../client/client.js";
import type { BatchOptions } from "../../../../client/durable/batches/batch-options.js";
import type { BatchStatus } from "../../../../mesh/durable/batches/batch-status.js";
import { PermanentError } from "../../../../mesh/errors.js";
import { HEADER } from "../../../../mesh/wire/headers.js";
import { ManagerService } from "../../../../services/manager/service.js";
import { type Handler, Worker } from "../../../../services/worker/worker.js";
import { type Owner, startBroker } from "../../../support/broker.js";
import { cleanUp } from "../../../support/clean-up.js";
import { startDurableMesh } from "../../../support/durable-mesh.js";
import { failure } from "../../../support/failure.js";
import { leakGuard } from "../../../support/leak-guard.js";
import { eventually } from "../../../support/wait.js";

leakGuard();
const mesh = await startDurableMesh();
const { servers } = mesh;

/** What a completion job was given. */
interface Summary {
  readonly batch: string;
  readonly pool: string;
  readonly total: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly canceled: number;
  readonly failures: readonly { readonly index: number; readonly id: string; readonly reason: string }[];
  readonly context?: unknown;
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i));

/** A pool for jobs, and one for completion jobs that keeps what they were given. */
async function startPair(
  t: Owner,
  pool: string,
  run: Handler<unknown, unknown>,
): Promise<{
  client: Client;
  done: Client;
  summaries: Summary[];
  lane: Awaited<ReturnType<typeof mesh.startPool>>[1];
}> {
  const summaries: Summary[] = [];
  const [client, lane] = await mesh.startPool(t, pool, run, { slots: 8, graceMs: 100 });
  const finish: Handler<unknown, unknown> = (job) => {
    summaries.push(job.payload as Summary);
    return `${(job.payload as Summary).batch} is over`;
  };
  const [done] = await mesh.startPool(t, `${pool}-done`, finish, { slots: 2, graceMs: 100 });
  return { client, done, summaries, lane };
}

const into = (pool: string): Pick<BatchOptions, "onComplete"> => ({ onComplete: { pool: `${pool}-done` } });

/** How a batch stands, once it stands so. */
function once(client: Client, id: string, is: (status: BatchStatus) => boolean): Promise<BatchStatus> {
  return eventually(async () => {
    const status = await client.batch(id);
    return is(status) ? status : undefined;
  });
}

test("batch - the completion job runs once, after every outcome, and is told how the jobs ended", async (t) => {
  let ended = 0;
  const { client, summaries } = await startPair(t, "b-all", (job) => {
    ended += 1;
    if (Number(job.payload) % 50 === 7) throw new PermanentError("no sevens");
    return Number(job.payload) + 1;
  });
  const options = { id: "all", context: { by: "test" }, ...into("b-all") };
  const batch = await client.enqueueBatch(numbers(200), options);
  assert.deepEqual(
    [batch.id, batch.total, batch.completion],
    ["all", 200, { pool: "b-all-done", id: "all-completed" }],
  );
  assert.equal((await batch.result({ timeoutMs: 20_000 })).json(), "all is over");
  assert.equal(ended, 200);
  const failures = [7, 57, 107, 157].map((index) => ({ index, id: `all-${index}`, reason: "job_rejected" }));
  const counts = { total: 200, succeeded: 196, failed: 4, canceled: 0 };
  assert.deepEqual(summaries, [{ batch: "all", pool: "b-all", ...counts, failures, context: { by: "test" } }]);
  const { openedAt, endedAt, ...status } = await batch.status();
  assert.ok(endedAt !== undefined && endedAt >= openedAt);
  const completion = { pool: "b-all-done", id: "all-completed" };
  assert.deepEqual(status, { id: "all", state: "completed", ...counts, failures, completion, client: "" });
});

test("batch - while a job has no outcome there is no completion job", async (t) => {
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { client, done, summaries } = await startPair(t, "b-wait", async (job) => {
    if (job.payload === 3) await held;
    return 1;
  });
  const batch = await client.enqueueBatch(numbers(10), { id: "w", ...into("b-wait") });
  const status = await once(client, "w", ({ succeeded }) => succeeded === 9);
  assert.deepEqual([status.state, status.total], ["running", 10]);
  assert.equal((await failure(done.lookup("w-completed"))).reason, "not_found");
  assert.equal(summaries.length, 0);
  release();
  await batch.result({ timeoutMs: 10_000 });
  assert.equal(summaries.length, 1);
});

test("batch - the same batch said again runs nothing twice, and has one completion job", async (t) => {
  const runs: string[] = [];
  const { client, summaries } = await startPair(t, "b-again", (job) => runs.push(job.id));
  const options = { id: "twice", ...into("b-again") };
  const [first, second] = await Promise.all([
    client.enqueueBatch(numbers(40), options),
    client.enqueueBatch(numbers(40), options),
  ]);
  await first.result({ timeoutMs: 10_000 });
  await second.result({ timeoutMs: 10_000 });
  const third = await client.enqueueBatch(numbers(40), options);
  await third.result({ timeoutMs: 10_000 });
  assert.equal(runs.length, 40);
  assert.equal(summaries.length, 1);
  const more = await failure(client.enqueueBatch(numbers(41), options));
  assert.deepEqual([more.reason, more.field], ["duplicate_job", "total"]);
  const other = await failure(client.enqueueBatch(numbers(40), { ...options, context: "other" }));
  assert.deepEqual([other.reason, other.field], ["duplicate_job", "batch"]);
});

test("batch - one whose adding was cut waits, and is finished by saying it again", async (t) => {
  const runs: string[] = [];
  const { client, summaries } = await startPair(t, "b-cut", (job) => runs.push(job.id));
  async function* cut(): AsyncGenerator<string> {
    yield* numbers(30);
    throw new Error("the caller dies");
  }
  const options = { id: "cut", ...into("b-cut") };
  await assert.rejects(client.enqueueBatch(cut(), options), /the caller dies/);
  const open = await once(client, "cut", ({ succeeded }) => succeeded === 30);
  assert.deepEqual([open.state, open.total], ["adding", undefined]);
  const batch = await client.enqueueBatch(numbers(50), options);
  await batch.result({ timeoutMs: 10_000 });
  assert.equal(runs.length, 50);
  assert.equal(summaries[0]?.succeeded, 50);
});

test("batch - one without jobs is completed at once", async (t) => {
  const { client, summaries } = await startPair(t, "b-none", () => 1);
  const batch = await client.enqueueBatch([], { id: "none", ...into("b-none") });
  await batch.result({ timeoutMs: 10_000 });
  assert.deepEqual([summaries[0]?.total, summaries[0]?.failures], [0, []]);
});

test("batch - a dead letter that is retried before the end counts by how it ends then", async (t) => {
  let works = false;
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { client, lane, summaries } = await startPair(t, "b-retry", async (job) => {
    if (job.payload === 0) await held;
    if (job.payload === 1 && !works) throw new PermanentError("not yet");
    return 1;
  });
  const batch = await client.enqueueBatch(numbers(3), { id: "r", ...into("b-retry") });
  const dead = await once(client, "r", ({ failed, succeeded }) => failed === 1 && succeeded === 1);
  assert.deepEqual(dead.failures, [{ index: 1, id: "r-1", reason: "job_rejected" }]);
  works = true;
  await lane.dead.retry("r-1");
  await once(client, "r", ({ failed, succeeded }) => failed === 0 && succeeded === 2);
  release();
  await batch.result({ timeoutMs: 10_000 });
  assert.deepEqual([summaries[0]?.succeeded, summaries[0]?.failed, summaries[0]?.failures], [3, 0, []]);
});

test("batch - a dead letter that is retried after the end changes the batch no more", async (t) => {
  let works = false;
  const { client, lane, summaries } = await startPair(t, "b-late", () => {
    if (!works) throw new PermanentError("not yet");
    return 1;
  });
  const batch = await client.enqueueBatch(numbers(1), { id: "l", ...into("b-late") });
  await batch.result({ timeoutMs: 10_000 });
  works = true;
  await lane.dead.retry("l-0");
  await eventually(async () => (await client.outcome("l-0", { waitMs: 1_000 }))?.ok);
  assert.equal((await client.batch("l")).failed, 1);
  assert.equal(summaries.length, 1);
});

test("batch - a job that is canceled counts as canceled, whether a worker has it or nobody", async (t) => {
  const { client, summaries } = await startPair(
    t,
    "b-cancel",
    ({ signal }) => new Promise((resolve) => signal.addEventListener("abort", () => resolve(1), { once: true })),
  );
  await client.enqueueBatch(numbers(2), { id: "c", timeoutMs: 60_000, ...into("b-cancel") });
  await eventually(async () => (await client.lookup("c-0")).state === "running");
  await client.cancel("c-0");
  await client.cancel("c-1");
  const status = await once(client, "c", ({ state }) => state === "completed");
  assert.deepEqual([status.canceled, status.failed], [2, 0]);
  await eventually(() => summaries.length === 1);

  // No worker: no manager pulls, so nobody has the job.
  const worker = new Worker({ pool: "b-nobody", slots: 1, graceMs: 0, servers, run: () => 1 });
  cleanUp(t, () => worker.stop());
  await worker.start();
  await eventually(() => mesh.service.pools?.durable?.isOpen("b-nobody"));
  await worker.stop();
  const own = await Client.connect({ pool: "b-nobody", servers });
  cleanUp(t, () => own.close());
  await eventually(() => mesh.service.pools?.get("b-nobody").workers.capacity === 0);
  const lane = mesh.service.pools?.durable?.of(mesh.service.pools.get("b-nobody"));
  await eventually(() => lane?.pulls.hasOpen === false, { what: "the end of pulls from before" });
  await own.enqueueBatch(numbers(2), { id: "n", onComplete: { pool: "b-cancel-done" } });
  for (const id of ["n-0", "n-1"]) {
    assert.equal((await own.lookup(id)).state, "queued");
    await own.cancel(id);
  }
  const unheard = await once(own, "n", ({ state }) => state === "completed");
  assert.deepEqual([unheard.canceled, unheard.total], [2, 2]);
  await eventually(() => summaries.length === 2);
});

test("batch - a job whose headers are wrong counts as failed", async (t) => {
  const { client, summaries } = await startPair(t, "b-wrong", () => 1);
  const nc = await connect({ servers });
  cleanUp(t, () => nc.close());
  const ask = async (what: object): Promise<unknown> =>
    JSON.parse((await nc.request("pool.b-wrong.batch", JSON.stringify(what), { timeout: 5_000 })).string());
  await ask({ open: { id: "wrong", onComplete: { pool: "b-wrong-done" } } });
  const headers = natsHeaders();
  headers.set(HEADER.batch, "wrong:0");
  headers.set(HEADER.maxAttempts, "many");
  await nc.request("pool.b-wrong.durable.normal.wrong-0", "1", { headers, timeout: 2_000 });
  await ask({ seal: { id: "wrong", total: 1 } });
  const status = await once(client, "wrong", ({ state }) => state === "completed");
  assert.deepEqual(status.failures, [{ index: 0, id: "wrong-0", reason: "invalid_argument" }]);
  await eventually(() => summaries.length === 1);
});

test("batch - programs of other languages open it, add jobs by a header, seal it, and ask how it stands", async (t) => {
  const { client, summaries } = await startPair(t, "b-raw", (job) => job.payload);
  const nc = await connect({ servers });
  cleanUp(t, () => nc.close());
  const request = async (what: string): Promise<Record<string, never>> =>
    JSON.parse((await nc.request("pool.b-raw.batch", what, { timeout: 5_000 })).string()) as Record<string, never>;
  const opening = '{"open":{"id":"raw","onComplete":{"pool":"b-raw-done","id":"raw-is-over"},"context":[1]}}';
  assert.deepEqual(((await request(opening)) as { marks?: unknown }).marks, "");
  for (const index of [0, 1]) {
    const headers = natsHeaders();
    headers.set(HEADER.batch, `raw:${index}`);
    await nc.request(`pool.b-raw.durable.normal.raw-${index}`, "1", { headers, timeout: 2_000 });
  }
  await once(client, "raw", ({ succeeded }) => succeeded === 2);
  assert.equal(summaries.length, 0);
  await request('{"seal":{"id":"raw","total":2}}');
  await eventually(() => summaries.length === 1);
  assert.deepEqual([summaries[0]?.succeeded, summaries[0]?.context], [2, [1]]);
  const { batches } = (await request("list")) as unknown as { batches: BatchStatus[] };
  assert.deepEqual(
    batches.map(({ id, state }) => [id, state]),
    [["raw", "completed"]],
  );
  for (const wrong of ["{}", "nonsense", '{"open":{"id":"a b"}}', '{"seal":{"id":"raw","total":-1}}', '{"get":7}']) {
    const answer = await nc.request("pool.b-raw.batch", wrong, { timeout: 5_000 });
    assert.match(answer.headers?.get(HEADER.error) ?? "", /invalid_argument/, wrong);
  }
});

test("batch - what cannot be is refused by its field, and nothing is stored", async (t) => {
  const { client } = await startPair(t, "b-bad", () => 1);
  const good: BatchOptions = { id: "bad", ...into("b-bad") };
  const refusals: [Partial<BatchOptions>, string][] = [
    [{ id: "a.b" }, "id"],
    [{ id: "x".repeat(51) }, "id"],
    [{ onComplete: { pool: "a b" } }, "onComplete"],
    [{ onComplete: undefined as never }, "onComplete"],
    [{ onComplete: { pool: "b-bad", id: "bad-0" } }, "onComplete"],
    [{ context: "x".repeat(8_193) }, "context"],
    [{ context: 1n }, "context"],
    [{ window: 0 }, "window"],
    [{ maxAttempts: 0 }, "maxAttempts"],
  ];
  for (const [wrong, field] of refusals) {
    const error = await failure(client.enqueueBatch(["1"], { ...good, ...wrong }));
    assert.deepEqual([error.reason, error.field], ["invalid_argument", field]);
  }
  assert.equal((await failure(client.batch("bad"))).reason, "not_found");
  assert.equal((await failure(client.lookup("bad-0"))).reason, "not_found");
});

test("batch - a live job that is none of the batch is no job of it, although its id and payload are the same", async (t) => {
  const { client } = await startPair(
    t,
    "b-foreign",
    ({ signal }) => new Promise((resolve) => signal.addEventListener("abort", () => resolve(1), { once: true })),
  );
  await client.enqueue("0", { id: "f-0" });
  const error = await failure(client.enqueueBatch(["0"], { id: "f", ...into("b-foreign") }));
  assert.deepEqual([error.reason, error.field], ["duplicate_job", "job"]);
  await client.cancel("f-0");
});

test("batch - two managers count the outcomes of one batch, and none is lost", async (t) => {
  const { client, summaries } = await startPair(t, "b-two", (job) => {
    if (Number(job.payload) % 3 === 0) throw new PermanentError("thirds");
    return 1;
  });
  const second = new ManagerService({
    bus: { servers },
    listen: { host: "127.0.0.1", port: 0 },
    graceMs: 100,
    durable: true,
  });
  cleanUp(t, () => second.stop());
  await second.start();
  await eventually(() => second.pools?.durable?.of(second.pools.get("b-two")));
  const batch = await client.enqueueBatch(numbers(900), { id: "two", ...into("b-two") });
  await batch.result({ timeoutMs: 240_000 });
  assert.deepEqual([summaries.length, summaries[0]?.succeeded, summaries[0]?.failed], [1, 600, 300]);
  assert.equal(summaries[0]?.failures.length, 100);
  const counted = [mesh.service, second].map(
    ({ pools }) => pools?.durable?.of(pools.get("b-two"))?.totals.delivered ?? 0,
  );
  assert.ok(
    counted.every((count) => count > 0),
    `both had jobs: ${counted}`,
  );
});

test("batch - a pool without a lane has no batches, and neither has one the batches of another", async (t) => {
  const broker = await startBroker(t);
  const client = await Client.connect({ pool: "b-alone", servers: broker.url });
  cleanUp(t, () => client.close());
  const error = await failure(client.enqueueBatch(["1"], { id: "x", onComplete: { pool: "b" } }));
  assert.equal(error.reason, "unknown_pool");
  const { client: mine } = await startPair(t, "b-mine", () => 1);
  const { client: yours } = await startPair(t, "b-yours", () => 1);
  await mine.enqueueBatch([], { id: "own", ...into("b-mine") });
  assert.equal((await mine.batch("own")).total, 0);
  assert.equal((await failure(yours.batch("own"))).reason, "not_found");
});
