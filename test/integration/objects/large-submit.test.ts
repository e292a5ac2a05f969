/** Jobs of submit whose payload or result is over the broker's limit. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "../../../client/client.js";
import { encodeReference, MAX_REFERENCE_BYTES } from "../../../mesh/objects/reference.js";
import type { Handler } from "../../../services/worker/worker.js";
import { Worker } from "../../../services/worker/worker.js";
import { startBroker } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { failure } from "../../support/failure.js";
import { leakGuard } from "../../support/leak-guard.js";
import { eventually, gate } from "../../support/wait.js";
import { LARGE_BYTES, largeBytes, startLargeMesh } from "./large-mesh.js";

leakGuard();
const mesh = await startLargeMesh();
const LARGE = largeBytes();
/** As many bytes as the payload says. */
const bytesOf: Handler<unknown, unknown> = ({ payload }) =>
  new Uint8Array(Number(Buffer.from(payload as Uint8Array).toString()));
const echo: Handler<unknown, unknown> = ({ payload }) => payload;

/** All that a job left in the buckets is gone. */
const untilEmpty = (bucket: string): Promise<unknown> =>
  eventually(async () => (await mesh.messagesIn(bucket)) === 0, { what: `${bucket} is empty` });

test("large payloads - a payload and a result over the broker's limit arrive to the byte, and nothing is left", async (t) => {
  await mesh.worker(t, { pool: "both", run: echo, codec: "bytes" });
  const client = await mesh.client(t, "both");
  assert.ok(LARGE.length > client.maxPayloadBytes);
  const result = await client.submit(LARGE);
  assert.deepEqual(result.payload, Buffer.from(LARGE));
  assert.ok(result.totalMs >= result.waitMs);
  await untilEmpty("pool-submitted");
  await untilEmpty("pool-results");
});

test("large payloads - small payloads travel as ever, with large results beside them", async (t) => {
  await mesh.worker(t, { pool: "sizes", slots: 4, run: bytesOf, codec: "bytes" });
  const client = await mesh.client(t, "sizes");
  const sizes = [0, 10, LARGE_BYTES, 200, 3 * LARGE_BYTES];
  const results = await Promise.all(sizes.map((size) => client.submit(String(size))));
  assert.deepEqual(
    results.map(({ payload }) => payload.length),
    sizes,
  );
});

test("large payloads - a payload that looks like the name of an object arrives as it is", async (t) => {
  await mesh.worker(t, { pool: "looks", run: echo, codec: "bytes" });
  const client = await mesh.client(t, "looks");
  const text = encodeReference({
    bucket: "pool-submitted",
    name: "looks.x.y",
    size: 1,
    digest: `SHA-256=${"A".repeat(43)}=`,
  });
  assert.deepEqual((await client.submit(text)).payload, Buffer.from(text));
});

test("large payloads - middleware, submitMany and detachSubmit see whole payloads and results", async (t) => {
  await mesh.worker(t, { pool: "ways", slots: 4, run: echo, codec: "bytes" });
  const client = await mesh.client(t, "ways");
  const seen: number[] = [];
  client.use(async (call, next) => {
    const result = await next();
    seen.push(call.payload.length, result.payload.length);
    return result;
  });
  for await (const outcome of client.submitMany([LARGE, new Uint8Array(3), LARGE])) assert.equal(outcome.ok, true);
  const ended = gate<number>();
  client.detachSubmit(LARGE, { onOutcome: (outcome) => ended.open(outcome.ok ? outcome.result.payload.length : -1) });
  assert.equal(await ended.promise, LARGE.length);
  assert.deepEqual(
    seen.slice().sort((a, b) => a - b),
    [3, 3, ...Array.from({ length: 6 }, () => LARGE.length)],
  );
});

test("large payloads - without the option the limit is said, a worker does not run the job, and a client names the option", async (t) => {
  let ran = 0;
  const run: Handler<unknown, unknown> = ({ payload }) => {
    ran += 1;
    return payload;
  };
  await mesh.worker(t, { pool: "off", run, codec: "bytes", largePayloads: false });
  const off = await mesh.client(t, "off", { largePayloads: false });
  const tooLarge = await failure(off.submit(LARGE));
  assert.deepEqual([tooLarge.reason, tooLarge.field], ["payload_too_large", "payload"]);
  const on = await mesh.client(t, "off");
  const refused = await failure(on.submit(LARGE));
  assert.deepEqual([refused.reason, refused.jobCode, ran], ["job_rejected", "payload.stored", 0]);
  assert.match(refused.message, /--large-payloads/);
  await untilEmpty("pool-submitted");
});

test("large payloads - a large result for a client without the option is an error that names it", async (t) => {
  await mesh.worker(t, { pool: "unread", run: () => LARGE, codec: "bytes" });
  const client = await mesh.client(t, "unread", { largePayloads: false });
  const error = await failure(client.submit(1));
  assert.deepEqual([error.reason, error.jobCode, error.maybeExecuted], ["payload_too_large", "result.stored", true]);
  assert.match(error.message, /largePayloads/);
});

test("large payloads - an object that was deleted before the worker fetched it: the job does not run", async (t) => {
  let ran = 0;
  const open = gate();
  const run: Handler<unknown, unknown> = async ({ payload }) => {
    ran += 1;
    await open.promise;
    return payload;
  };
  await mesh.worker(t, { pool: "gone", run, codec: "bytes" });
  const client = await mesh.client(t, "gone");
  const first = client.submit("in the only slot");
  await eventually(() => ran === 1);
  const second = failure(client.submit(LARGE, { id: "second" }));
  await eventually(() => mesh.service.pools?.get("gone").dispatcher.live("second")?.state === "parked");
  await mesh.empty("pool-submitted");
  open.open();
  await first;
  const error = await second;
  assert.deepEqual(
    [error.reason, error.jobCode, error.maybeExecuted, ran],
    ["job_rejected", "payload.missing", false, 1],
  );
});

test("large payloads - a job may name an object of its own only", async (t) => {
  await mesh.worker(t, { pool: "own", run: echo, codec: "bytes" });
  const client = await mesh.client(t, "own", { largePayloads: false });
  const digest = `SHA-256=${"A".repeat(43)}=`;
  const foreign = [
    { bucket: "pool-submitted", name: "own.other.x", size: 1, digest },
    { bucket: "KV_secrets", name: "own.mine.x", size: 1, digest },
  ];
  for (const reference of foreign) {
    const error = await failure(client.submit(encodeReference(reference), { id: "mine" }));
    assert.deepEqual([error.reason, error.jobCode], ["job_rejected", "payload.foreign"]);
  }
  const malformed = await failure(client.submit(`poolmesh-object/1 ${"x".repeat(MAX_REFERENCE_BYTES)}`));
  assert.deepEqual([malformed.reason, malformed.jobCode], ["invalid_argument", "payload.malformed"]);
});

test("large payloads - a cancel and the deadline end a job with a large payload, and its object goes", async (t) => {
  const started: string[] = [];
  const run: Handler<unknown, unknown> = (job) =>
    new Promise((_, reject) => {
      started.push(job.id);
      job.signal.addEventListener("abort", () => reject(job.signal.reason));
    });
  await mesh.worker(t, { pool: "ends", run, codec: "bytes", slots: 4 });
  const client = await mesh.client(t, "ends");
  const canceled = failure(client.submit(LARGE, { id: "running" }));
  await eventually(() => started.includes("running"));
  await client.cancel("running");
  assert.equal((await canceled).reason, "canceled");

  const atOnce = failure(client.submit(LARGE, { id: "putting" }));
  await client.cancel("putting");
  assert.equal((await atOnce).reason, "canceled");

  const abort = new AbortController();
  const aborted = failure(client.submit(LARGE, { signal: abort.signal }));
  abort.abort();
  assert.equal((await aborted).reason, "canceled");

  const late = await failure(client.submit(LARGE, { id: "late", timeoutMs: 500 }));
  assert.equal(late.reason, "deadline_exceeded");
  await untilEmpty("pool-submitted");
});

test("large payloads - the bounds: maxBytes for payloads and results, a full store, a payload kept too shortly", async (t) => {
  const large = { bucket: "tiny", storeBytes: 150_000, maxBytes: 400_000, ttlMs: 60_000 };
  await mesh.worker(t, { pool: "bounds", run: bytesOf, codec: "bytes", largePayloads: large });
  const client = await mesh.client(t, "bounds", { largePayloads: large });
  const over = await failure(client.submit(largeBytes(400_001)));
  assert.deepEqual([over.reason, over.field], ["payload_too_large", "payload"]);
  const full = await failure(client.submit(largeBytes(200_000)));
  assert.deepEqual([full.reason, full.retryable, full.maybeExecuted], ["pool_full", true, false]);
  const long = await failure(client.submit(LARGE, { timeoutMs: 60_000 }));
  assert.deepEqual([long.reason, long.field], ["invalid_argument", "timeoutMs"]);
  const resultOver = await failure(client.submit("400001"));
  assert.deepEqual([resultOver.reason, resultOver.maybeExecuted], ["payload_too_large", true]);
  const resultFull = await failure(client.submit("200000"));
  assert.deepEqual([resultFull.reason, resultFull.jobCode], ["job_failed", "result.store_full"]);
  assert.equal((await client.submit("100000")).payload.length, 100_000);
});

test("large payloads - a broker without JetStream: client and worker say so at their start", async (t) => {
  const broker = await startBroker(t, { jetStream: false });
  const servers = broker.url;
  const ofClient = await failure(Client.connect({ pool: "p", servers, largePayloads: true }));
  assert.deepEqual([ofClient.reason, ofClient.field], ["invalid_argument", "largePayloads"]);
  assert.match(ofClient.message, /no JetStream/);
  const worker = new Worker({ pool: "p", run: echo, servers, largePayloads: true });
  cleanUp(t, () => worker.stop());
  const ofWorker = await failure(worker.start());
  assert.deepEqual([ofWorker.reason, ofWorker.field], ["invalid_argument", "largePayloads"]);
  const bad = await failure(
    Client.connect({ pool: "p", servers, largePayloads: { maxBytes: 0 } }).catch((e) => Promise.reject(e)),
  );
  assert.deepEqual([bad.reason, bad.field], ["invalid_argument", "largePayloads"]);
});
