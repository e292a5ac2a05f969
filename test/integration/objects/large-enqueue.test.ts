/** Durable jobs whose payload or result is over the broker's limit. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { DurableLane } from "../../../client/durable/operator.js";
import { NEEDS } from "../../../mesh/durable/broker-needs.js";
import { LaneStore } from "../../../mesh/durable/store.js";
import { decodeReference } from "../../../mesh/objects/reference.js";
import type { Handler } from "../../../services/worker/worker.js";
import { connectBus, lacking, WHOLE_FILE } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { failure } from "../../support/failure.js";
import { leakGuard } from "../../support/leak-guard.js";
import { run } from "../../support/process.js";
import { toolPath, without } from "../../support/tools.js";
import { scratchFolder } from "../../support/up.js";
import { eventually, gate } from "../../support/wait.js";
import { LARGE_BYTES, largeBytes, startLargeMesh } from "./large-mesh.js";

leakGuard();
const mesh = await startLargeMesh();
const LARGE = largeBytes();
const echo: Handler<unknown, unknown> = ({ payload }) => payload;
const LATER = NEEDS.schedules;

const untilEmpty = (bucket: string): Promise<unknown> =>
  eventually(async () => (await mesh.messagesIn(bucket)) === 0, { what: `${bucket} is empty` });

test("large durable jobs - payload and result arrive to the byte; the payload goes with the outcome, the result stays", async (t) => {
  await mesh.worker(t, { pool: "dl-both", run: echo, codec: "bytes" });
  const client = await mesh.client(t, "dl-both");
  const receipt = await client.enqueue(LARGE, { id: "one" });
  const again = await receipt.result({ timeoutMs: 10_000 });
  assert.deepEqual(again.payload, Buffer.from(LARGE));
  await untilEmpty("pool-enqueued");
  const other = await mesh.client(t, "dl-both");
  const outcome = await other.outcome("one");
  assert.ok(outcome?.ok);
  assert.deepEqual(outcome.result.payload, Buffer.from(LARGE));
  const { outcome: shown } = await other.lookup("one");
  assert.ok(shown?.ok && shown.result.payload.length === LARGE_BYTES);

  const off = await mesh.client(t, "dl-both", { largePayloads: false });
  const unread = await off.outcome("one");
  assert.ok(unread?.ok === false && unread.error.jobCode === "result.stored");
  assert.equal((await failure(off.enqueue(LARGE))).reason, "payload_too_large");

  await mesh.empty("pool-results");
  const gone = await other.outcome("one");
  assert.ok(gone?.ok === false);
  assert.deepEqual(
    [gone.error.reason, gone.error.jobCode, gone.error.maybeExecuted],
    ["not_found", "result.missing", true],
  );
});

test("large durable jobs - the same id and payload again is the same job; another payload is a duplicate", async (t) => {
  const open = gate();
  let ran = 0;
  const work: Handler<unknown, unknown> = async ({ payload }) => {
    ran += 1;
    await open.promise;
    return payload;
  };
  await mesh.worker(t, { pool: "dl-same", run: work, codec: "bytes", slots: 4 });
  const client = await mesh.client(t, "dl-same");
  const first = await client.enqueue(LARGE, { id: "same" });
  const second = await client.enqueue(LARGE, { id: "same" });
  assert.deepEqual([first.duplicate, second.duplicate], [false, true]);
  const other = await failure(client.enqueue(largeBytes(LARGE_BYTES, 2), { id: "same" }));
  assert.equal(other.reason, "duplicate_job");
  open.open();
  const results = await Promise.all([first.result({ timeoutMs: 10_000 }), second.result({ timeoutMs: 10_000 })]);
  for (const { payload } of results) assert.deepEqual(payload, Buffer.from(LARGE));
  // Its outcome is kept: it does not run again, and its payload does not stay.
  await untilEmpty("pool-enqueued");
  const third = await client.enqueue(LARGE, { id: "same" });
  assert.equal((await third.result({ timeoutMs: 10_000 })).payload.length, LARGE_BYTES);
  await untilEmpty("pool-enqueued");
  assert.equal(ran, 1);
  const rerun = await client.enqueue(LARGE, { id: "same", rerun: true });
  assert.equal((await rerun.result({ timeoutMs: 10_000 })).payload.length, LARGE_BYTES);
  assert.equal(ran, 2);
  await untilEmpty("pool-enqueued");
});

test("large durable jobs - a failed job is tried again with its payload; a dead letter keeps it, and can be run again", async (t) => {
  let fails = true;
  const work: Handler<unknown, unknown> = ({ payload }) => {
    if (fails) throw new Error("not now");
    return (payload as Uint8Array).subarray(0, 3);
  };
  await mesh.worker(t, { pool: "dl-dead", run: work, codec: "bytes" });
  const client = await mesh.client(t, "dl-dead");
  const receipt = await client.enqueue(LARGE, { id: "dead", maxAttempts: 2, backoff: { baseMs: 1, capMs: 1 } });
  assert.equal((await failure(receipt.result({ timeoutMs: 10_000 }))).reason, "job_failed");
  assert.ok((await mesh.messagesIn("pool-enqueued")) > 0);
  fails = false;
  const lane = await DurableLane.open({ pool: "dl-dead", servers: mesh.broker.url });
  cleanUp(t, () => lane.close());
  await lane.dead.retry("dead");
  await eventually(async () => (await client.outcome("dead").catch(() => undefined))?.ok === true);
  await untilEmpty("pool-enqueued");
});

test("large durable jobs - an object that is gone: the job does not run, is not tried again, and is a dead letter", async (t) => {
  const ran: string[] = [];
  const open = gate();
  const work: Handler<unknown, unknown> = async (job) => {
    ran.push(job.id);
    await open.promise;
    return new Uint8Array();
  };
  await mesh.worker(t, { pool: "dl-gone", run: work, codec: "bytes" });
  const client = await mesh.client(t, "dl-gone");
  await client.enqueue("in the only slot", { id: "first" });
  await eventually(() => ran.length === 1);
  const receipt = await client.enqueue(LARGE, { id: "second", maxAttempts: 5 });
  await mesh.empty("pool-enqueued");
  open.open();
  const error = await failure(receipt.result({ timeoutMs: 10_000 }));
  assert.deepEqual([error.reason, error.jobCode, error.maybeExecuted], ["job_rejected", "payload.missing", false]);
  assert.deepEqual(ran, ["first"]);
  const lane = await DurableLane.open({ pool: "dl-gone", servers: mesh.broker.url });
  cleanUp(t, () => lane.close());
  assert.equal((await lane.dead.get("second"))?.error.jobCode, "payload.missing");
});

test("large durable jobs - canceled while queued and expired: the object goes", async (t) => {
  const open = gate();
  let ran = 0;
  const work: Handler<unknown, unknown> = async () => {
    ran += 1;
    await open.promise;
    return new Uint8Array();
  };
  await mesh.worker(t, { pool: "dl-ends", run: work, codec: "bytes" });
  const client = await mesh.client(t, "dl-ends");
  await client.enqueue("in the only slot", { id: "first" });
  await eventually(() => ran === 1);
  const canceled = await client.enqueue(LARGE, { id: "canceled" });
  await client.cancel("canceled");
  assert.equal((await failure(canceled.result({ timeoutMs: 10_000 }))).reason, "canceled");
  await untilEmpty("pool-enqueued");
  const expired = await client.enqueue(LARGE, { id: "expired", expiresInMs: 300 });
  assert.equal((await failure(expired.result({ timeoutMs: 10_000 }))).reason, "deadline_exceeded");
  await untilEmpty("pool-enqueued");
  open.open();
});

test("large durable jobs - a full store is pool_full, nothing is enqueued and nothing is left", async (t) => {
  const large = { bucket: "dl-tiny", storeBytes: 150_000 };
  await mesh.worker(t, { pool: "dl-full", run: echo, codec: "bytes", largePayloads: large });
  const client = await mesh.client(t, "dl-full", { largePayloads: large });
  const full = await failure(client.enqueue(largeBytes(200_000), { id: "full" }));
  assert.deepEqual([full.reason, full.retryable], ["pool_full", true]);
  assert.equal((await failure(client.lookup("full"))).reason, "not_found");
  const fits = await client.enqueue(LARGE);
  assert.equal((await fits.result({ timeoutMs: 10_000 })).payload.length, LARGE_BYTES);
  await untilEmpty("dl-tiny-enqueued");
});

test("large durable jobs - a job for later takes its payload along; one that waits longer than it is kept is refused", {
  skip: await lacking(LATER),
}, async (t) => {
  await mesh.worker(t, { pool: "dl-later", run: echo, codec: "bytes" });
  const large = { enqueuedTtlMs: 3_600_000 };
  const client = await mesh.client(t, "dl-later", { largePayloads: large });
  const refused = await failure(client.enqueue(LARGE, { delayMs: 3_600_000 }));
  assert.deepEqual([refused.reason, refused.field], ["invalid_argument", "runAt"]);
  const receipt = await client.enqueue(LARGE, { delayMs: 300 });
  assert.equal((await receipt.result({ timeoutMs: 15_000 })).payload.length, LARGE_BYTES);
});

test("large durable jobs - the buckets have the ages and bounds that are said", async () => {
  const store = new LaneStore(await connectBus(WHOLE_FILE, mesh.broker));
  const ageOf = async (bucket: string): Promise<unknown> => {
    const info = await store.streamInfo(`OBJ_${bucket}`);
    return [info?.config.subjects, (info?.config.max_age ?? 0) / 3_600_000e6, info?.config.max_bytes];
  };
  for (const [bucket, hours] of [
    ["pool-enqueued", 30 * 24],
    ["pool-results", 25],
  ] as const) {
    assert.deepEqual(await ageOf(bucket), [[`$O.${bucket}.C.>`, `$O.${bucket}.M.>`], hours, 2 * 2 ** 30]);
  }
});

test("large durable jobs - the objects are those of NATS: `nats object get` reads what a client wrote", {
  skip: without("nats"),
}, async (t) => {
  await mesh.worker(t, { pool: "dl-nats", run: () => new Promise(() => {}), codec: "bytes" });
  const client = await mesh.client(t, "dl-nats");
  await client.enqueue(LARGE, { id: "one" });
  const store = new LaneStore(await connectBus(t, mesh.broker));
  const stored = await store.last("pool-jobs-dl-nats", "pool.dl-nats.durable.normal.one");
  assert.ok(stored !== undefined);
  const { bucket, name, size } = decodeReference(stored.payload);
  assert.equal(size, LARGE_BYTES);
  const file = join(await scratchFolder(t), "object");
  const args = ["--server", mesh.broker.url, "object", "get", bucket, name, "--output", file, "--force"];
  const got = await run(t, toolPath("nats"), args);
  assert.equal(got.code, 0, got.stderr);
  assert.deepEqual(await readFile(file), Buffer.from(LARGE));
});
