/** Middleware around handlers and submissions, and the events of workers and clients. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { z } from "zod";
import { Client } from "../../../client/client.js";
import { PermanentError, type PoolError } from "../../../mesh/errors.js";
import type { Outcome } from "../../../mesh/job/job.js";
import { definePool } from "../../../mesh/job/pool-definition.js";
import { Worker, type WorkerOptions } from "../../../services/worker/worker.js";
import type { WorkerName } from "../../../services/worker/worker-events.js";
import type { Owner } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { HandlerFolder } from "../../support/core/handler-folder.js";
import { failure } from "../../support/failure.js";
import { readableLog } from "../../support/log-lines.js";
import { startMesh } from "../../support/mesh.js";
import { eventually, gate, loadTimeoutMs } from "../../support/wait.js";

const mesh = await startMesh();
const servers = mesh.natsUrl;

async function start(t: Owner, worker: Worker<never, unknown> | Worker): Promise<Client> {
  cleanUp(t, () => worker.stop());
  await worker.start();
  const client = await Client.connect({ pool: worker.pool, servers });
  cleanUp(t, () => client.close());
  return client;
}

const echo = (pool: string, more: Partial<WorkerOptions> = {}): Worker =>
  new Worker({ pool, servers, run: ({ payload }) => payload, ...more });

test("worker middleware - it sees the job, runs around the handler, and may give another result or an error", async (t) => {
  const seen: unknown[] = [];
  const worker = echo("mw-run")
    .use(async (job, next) => {
      seen.push(["outer", job.id !== "", job.payload]);
      const result = await next();
      seen.push(["outer after", result]);
      return [result];
    })
    .use((job, next) => {
      if (job.payload === "no") throw new PermanentError("refused by a middleware");
      return next();
    });
  const client = await start(t, worker);
  assert.deepEqual((await client.submit(7)).json(), [7]);
  assert.deepEqual(seen, [
    ["outer", true, 7],
    ["outer after", 7],
  ]);
  const error = await failure(client.submit('"no"'));
  assert.deepEqual([error.reason, error.message], ["job_rejected", "refused by a middleware"]);
});

test("worker middleware - of a typed pool it sees the checked payload, and what it gives is checked", async (t) => {
  const pool = definePool({ name: "mw-typed", input: z.object({ n: z.number().default(5) }), output: z.number() });
  const worker = new Worker({ pool, servers, run: ({ payload }) => payload.n }).use(async ({ payload }, next) => {
    const result = await next();
    return payload.n === 5 ? result : "not a number";
  });
  const client = await start(t, worker);
  assert.equal((await client.for(pool).submit({})).value, 5);
  assert.equal((await failure(client.for(pool).submit({ n: 6 }))).jobCode, "schema.output");
});

test("worker middleware - a handler file exports its own, also in a thread; inline the worker's is around it", async (t) => {
  const file = `
export const middleware = [async (job, next) => ["file", await next()]];
export const run = (job) => job.payload;`;
  const handlerFile = new HandlerFolder(t).write("handler.mjs", file);
  const inline = new Worker({ pool: "mw-file", handlerFile, servers, loadTimeoutMs });
  inline.use(async (_, next) => ["worker", await next()]);
  assert.deepEqual((await (await start(t, inline)).submit(1)).json(), ["worker", ["file", 1]]);
  const thread = new Worker({ pool: "mw-thread", handlerFile, servers, isolation: "thread", loadTimeoutMs });
  assert.deepEqual((await (await start(t, thread)).submit(1)).json(), ["file", 1]);
  const bad = new HandlerFolder(t).write("bad.mjs", "export const middleware = [1]; export const run = () => 1;");
  const error = await failure(new Worker({ pool: "mw-bad", handlerFile: bad, servers }).start());
  assert.deepEqual([error.reason, error.field], ["invalid_argument", "middleware"]);
});

test("worker middleware - where it cannot run, or comes too late, it is refused by name", async (t) => {
  const refusal = { reason: "invalid_argument", field: "middleware" };
  const pass = (_: unknown, next: () => Promise<unknown>): Promise<unknown> => next();
  assert.throws(() => new Worker({ pool: "p", exec: "cat" }).use(pass), refusal);
  assert.throws(() => new Worker({ pool: "p", handlerFile: "f.mjs", isolation: "thread" }).use(pass), refusal);
  const worker = echo("mw-late");
  await start(t, worker);
  assert.throws(() => worker.use(pass), refusal);
  assert.throws(() => echo("p").use(undefined as never), refusal);
});

test("client middleware - it may change payload and options of submit, submitMany and detachSubmit, and the result", async (t) => {
  const worker = echo("mw-submit", { run: (job) => [job.payload, job.traceparent?.slice(0, 5)] });
  const client = await start(t, worker);
  const ids: string[] = [];
  client.use((call, next) => {
    ids.push(call.id);
    call.options.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    call.payload = Buffer.from(`${Buffer.from(call.payload)}0`);
    return next();
  });
  const result = await client.submit(1);
  assert.deepEqual(result.json(), [10, "00-4b"]);
  const many: unknown[] = [];
  for await (const outcome of client.submitMany([2, 3], { ordered: true })) {
    many.push(outcome.ok && outcome.result.json<unknown[]>()[0]);
  }
  assert.deepEqual(many, [20, 30]);
  const told: Outcome[] = [];
  const id = client.detachSubmit(4, { onOutcome: (outcome) => told.push(outcome) });
  await eventually(() => told.length === 1);
  assert.deepEqual([told[0]?.ok, told[0]?.id, ids.at(-1)], [true, id, id]);
  assert.equal(ids[0], result.id);
});

test("client middleware - an error of a job passes with its worker; what a middleware throws is told with its cause", async (t) => {
  const worker = echo("mw-errors", {
    id: "w1",
    run: () => {
      throw new Error("no");
    },
  });
  const client = await start(t, worker);
  const heard: unknown[] = [];
  let throws = false;
  client.use(async (_, next) => {
    if (throws) throw new TypeError("broken");
    return next().catch((error: PoolError) => {
      heard.push(error.reason);
      throw error;
    });
  });
  const told: Outcome[] = [];
  client.detachSubmit(1, { onOutcome: (outcome) => told.push(outcome) });
  await eventually(() => told.length === 1);
  const [outcome] = told;
  assert.deepEqual(outcome?.ok === false && [outcome.error.reason, outcome.worker, outcome.attempt], [
    "job_failed",
    "w1",
    1,
  ]);
  assert.deepEqual(heard, ["job_failed"]);
  throws = true;
  const error = await failure(client.submit(1));
  assert.deepEqual([error.reason, (error.cause as Error).name], ["internal", "TypeError"]);
});

test("client middleware - a job is canceled while a middleware holds it, by its id and by a signal", async (t) => {
  let runs = 0;
  const client = await start(t, echo("mw-cancel", { run: () => (runs += 1) }));
  const held = gate();
  client.use(async (_, next) => {
    await held.promise;
    return next();
  });
  const told: Outcome[] = [];
  const id = client.detachSubmit(1, { onOutcome: (outcome) => told.push(outcome) });
  await client.cancel(id);
  const signal = AbortSignal.abort();
  const aborted = failure(client.submit(1, { signal }));
  held.open();
  await eventually(() => told.length === 1);
  assert.equal(told[0]?.ok === false && told[0].error.reason, "canceled");
  assert.equal((await aborted).reason, "canceled");
  assert.equal(runs, 0);
});

test("worker events - a worker tells of its life and of each job", async (t) => {
  const told: unknown[] = [];
  const worker = echo("ev-worker", {
    id: "w1",
    run: ({ payload }) => {
      if (payload === "no") throw new Error("no");
      return payload;
    },
  });
  const { events } = worker;
  const names = ["worker:ready", "worker:pause", "worker:resume", "worker:drain", "worker:stop"] as const;
  for (const name of names) events.on(name, (event: WorkerName) => told.push([name, event.pool, event.worker]));
  const client = await start(t, worker);
  events.on("job:start", ({ job }) => told.push(["start", job.attempt, job.worker]));
  events.on("job:success", ({ durationMs, resultBytes }) => told.push(["success", durationMs >= 0, resultBytes]));
  events.on("job:error", ({ error }) => told.push(["error", error.reason]));
  events.on("job:complete", ({ error }) => told.push(["complete", error?.reason]));
  await client.submit(41);
  await failure(client.submit('"no"'));
  await worker.pause();
  await worker.resume();
  await worker.drain();
  assert.deepEqual(told, [
    ["worker:ready", "ev-worker", "w1"],
    ...[
      ["start", 1, "w1"],
      ["success", true, 2],
      ["complete", undefined],
    ],
    ...[
      ["start", 1, "w1"],
      ["error", "job_failed"],
      ["complete", "job_failed"],
    ],
    ...["worker:pause", "worker:resume", "worker:drain", "worker:stop"].map((name) => [name, "ev-worker", "w1"]),
  ]);
});

test("worker events - a job that is canceled is an error once, and jobs in threads are told of too", async (t) => {
  const handlerFile = new HandlerFolder(t).write(
    "handler.mjs",
    "export const run = (job) => new Promise((_, no) => job.signal.addEventListener('abort', () => no(job.signal.reason)));",
  );
  const worker = new Worker({ pool: "ev-thread", handlerFile, isolation: "thread", servers, loadTimeoutMs });
  const told: string[] = [];
  worker.events.on("job:error", ({ error }) => told.push(error.reason));
  const client = await start(t, worker);
  const abort = new AbortController();
  worker.events.on("job:start", () => abort.abort());
  await failure(client.submit(1, { signal: abort.signal }));
  await eventually(() => worker.busy === 0 && told.length > 0);
  assert.deepEqual(told, ["canceled"]);
});

test("events - a listener that throws or rejects harms nothing, and is logged", async (t) => {
  const { log, named } = readableLog();
  const worker = echo("ev-throws", { log });
  worker.events.on("job:start", () => {
    throw new Error("thrown");
  });
  worker.events.on("job:success", async () => {
    throw new Error("rejected");
  });
  const client = await start(t, worker);
  assert.equal((await client.submit(1)).json(), 1);
  await eventually(() => named("a listener failed").length === 2);
  assert.deepEqual(
    named("a listener failed").map(({ event, error }) => [event, error]),
    [
      ["job:start", "thrown"],
      ["job:success", "rejected"],
    ],
  );
});

test("client events - a client tells of its life and of each job, also of those of client.for()", async (t) => {
  const pool = definePool({ name: "ev-other", input: z.number(), output: z.number() });
  await start(t, new Worker({ pool, servers, run: ({ payload }) => payload }) as Worker);
  const client = new Client({ pool: "ev-client", servers });
  cleanUp(t, () => client.close());
  const told: unknown[] = [];
  const ready = once(client.events, "client:ready");
  client.events.on("job:submit", ({ pool: name, id }) => told.push(["submit", name, id !== ""]));
  client.events.on("job:success", ({ result }) => told.push(["success", result.json()]));
  client.events.on("job:error", ({ error }) => told.push(["error", error.reason]));
  client.events.on("client:stop", (event) => told.push(["stop", event.pool]));
  await client.start();
  assert.deepEqual(await ready, [{ pool: "ev-client" }]);
  await client.for(pool).submit(1);
  await failure(client.submit(1));
  await client.close();
  assert.deepEqual(told, [
    ...[
      ["submit", "ev-other", true],
      ["success", 1],
    ],
    ...[
      ["submit", "ev-client", true],
      ["error", "unknown_pool"],
    ],
    ["stop", "ev-client"],
  ]);
});
