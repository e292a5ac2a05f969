/** A typed pool through a whole mesh: what is refused, where, and what the other side hears. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { Client } from "../../../client/client.js";
import { definePool } from "../../../mesh/job/pool-definition.js";
import { packageRoot } from "../../../mesh/process/identity.js";
import { Manager } from "../../../services/manager/manager.js";
import { Worker } from "../../../services/worker/worker.js";
import type { Owner } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { HandlerFolder } from "../../support/core/handler-folder.js";
import { startDurableMesh } from "../../support/durable-mesh.js";
import { failure } from "../../support/failure.js";
import { readableLog } from "../../support/log-lines.js";
import { loadTimeoutMs } from "../../support/wait.js";

const { servers, startPool } = await startDurableMesh();

/** A pool whose handler answers with what `answer` says; its runs are counted. */
async function startTyped(t: Owner, name: string, log = readableLog().log) {
  const pool = definePool({
    name,
    input: z.object({ n: z.number(), answer: z.string().default("fits") }),
    output: z.object({ twice: z.number() }),
  });
  let runs = 0;
  const worker = new Worker({
    pool,
    servers,
    log,
    run: ({ payload }) => {
      runs += 1;
      return payload.answer === "fits" ? { twice: payload.n * 2 } : (payload as never);
    },
  });
  cleanUp(t, () => worker.stop());
  await worker.start();
  const client = await Client.connect({ pool: name, servers });
  cleanUp(t, () => client.close());
  return { pool, client, runs: () => runs };
}

test("typed pool - a value goes in, its default is filled in at the worker, and a checked value comes back", async (t) => {
  const { pool, client } = await startTyped(t, "typed-value");
  const result = await client.for(pool).submit({ n: 21 });
  assert.deepEqual([result.value, result.attempt, result.json()], [{ twice: 42 }, 1, { twice: 42 }]);
});

test("typed pool - a payload that does not fit is refused at the client, and nothing is sent", async (t) => {
  const { pool, client, runs } = await startTyped(t, "typed-refused");
  const error = await failure(client.for(pool).submit({ n: "1" } as never));
  assert.deepEqual([error.reason, error.jobCode, error.issues?.[0]?.path], ["invalid_argument", "schema.input", ".n"]);
  assert.equal(runs(), 0);
});

test("typed pool - one that comes by another way is refused at the worker: paths to the caller, none of the payload in the log", async (t) => {
  const { log, named } = readableLog();
  const { client, runs } = await startTyped(t, "typed-worker", log);
  const error = await failure(client.submit({ n: "secret" }));
  assert.deepEqual(
    [error.reason, error.field, error.jobCode, error.retryable, error.maybeExecuted],
    ["invalid_argument", "payload", "schema.input", false, false],
  );
  assert.match(error.message, /^payload: does not fit the schema of pool typed-worker: \.n: /);
  assert.equal(runs(), 0);
  const [line] = named("job failed");
  assert.deepEqual(
    [line?.reason, line?.code, line?.error],
    ["invalid_argument", "schema.input", "payload: does not fit at .n"],
  );
});

test("typed pool - what a handler returns and does not fit is a failed job", async (t) => {
  const { log, named } = readableLog();
  const { pool, client } = await startTyped(t, "typed-output", log);
  const error = await failure(client.for(pool).submit({ n: 1, answer: "no" }));
  assert.deepEqual([error.reason, error.jobCode], ["job_failed", "schema.output"]);
  assert.match(error.message, /^result: does not fit the schema of pool typed-output: \.twice: /);
  assert.equal(named("job failed")[0]?.error, "result: does not fit at .twice");
});

test("typed pool - a result that does not fit the caller's own definition is a failed job that has run", async (t) => {
  const { pool, client } = await startTyped(t, "typed-result");
  const older = definePool({
    name: pool.name,
    input: pool.input as z.ZodType<{ n: number }>,
    output: z.object({ thrice: z.number() }),
  });
  const error = await failure(client.for(older).submit({ n: 1 }));
  assert.deepEqual([error.reason, error.jobCode, error.maybeExecuted], ["job_failed", "schema.result", true]);
});

test("typed pool - in a stream each value that does not fit is an outcome in its place", async (t) => {
  const { pool, client, runs } = await startTyped(t, "typed-many");
  const told: unknown[] = [];
  const values = [{ n: 1 }, { n: "2" } as never, { n: 3, answer: "no" }, { n: 4 }];
  for await (const outcome of client.for(pool).submitMany(values, { ordered: true })) {
    assert.equal(outcome.input, values[outcome.index]);
    told.push(outcome.ok ? outcome.result.value : outcome.error.jobCode);
  }
  assert.deepEqual(told, [{ twice: 2 }, "schema.input", "schema.output", { twice: 8 }]);
  assert.equal(runs(), 3);
});

test("typed pool - one connection of a client serves several typed pools, and ends with it", async (t) => {
  const [first, second] = [await startTyped(t, "typed-one"), await startTyped(t, "typed-two")];
  const calls = first.client.for(second.pool);
  assert.deepEqual((await calls.submit({ n: 3 })).value, { twice: 6 });
  await first.client.close();
  assert.equal((await failure(calls.submit({ n: 3 }))).reason, "bus_unavailable");
});

test("typed pool - an embedded manager has the same calls, for its own pool only", async (t) => {
  const { pool } = await startTyped(t, "typed-manager");
  const manager = await Manager.connect({ pool: pool.name, servers });
  cleanUp(t, () => manager.close());
  assert.deepEqual((await manager.for(pool).submit({ n: 2 })).value, { twice: 4 });
  const other = definePool({ name: "other", input: z.number(), output: z.number() });
  assert.throws(() => manager.for(other), { reason: "invalid_argument", field: "pool" });
});

test("typed pool - a handler's progress reaches the caller as values", async (t) => {
  const pool = definePool({ name: "typed-progress", input: z.number(), output: z.number() });
  const [client] = await startPool(
    t,
    pool.name,
    (job) => {
      job.progress({ half: true });
      return job.payload;
    },
    {},
  );
  const heard: unknown[] = [];
  await client.for(pool).submit(1, { onProgress: (value) => heard.push(value) });
  assert.deepEqual(heard, [{ half: true }]);
});

test("typed pool - a durable job is checked before it is stored; at the worker a misfit is buried, not retried", async (t) => {
  const { pool, client, runs } = await startTyped(t, "typed-durable");
  const receipt = await client.for(pool).enqueue({ n: 4 });
  assert.deepEqual((await receipt.result({ timeoutMs: 10_000 })).value, { twice: 8 });
  const outcome = await client.for(pool).outcome(receipt.id);
  assert.deepEqual(outcome?.ok && outcome.result.value, { twice: 8 });
  assert.equal((await failure(client.for(pool).enqueue({} as never))).jobCode, "schema.input");
  const misfit = await client.enqueue({ n: "no" }, { maxAttempts: 5 });
  const error = await failure(misfit.result({ timeoutMs: 10_000 }));
  assert.deepEqual([error.reason, error.jobCode], ["invalid_argument", "schema.input"]);
  const enqueued: unknown[] = [];
  for await (const each of client.for(pool).enqueueMany([{ n: 1 }, {} as never])) {
    enqueued.push(each.ok ? (await each.receipt.result({ timeoutMs: 10_000 })).value : each.error.jobCode);
  }
  assert.deepEqual(enqueued, [{ twice: 2 }, "schema.input"]);
  assert.equal(runs(), 2);
});

describe("typed pool - a handler file that exports its pool", () => {
  const root = JSON.stringify(packageRoot());
  const file = `
import { definePool } from ${root.slice(0, -1)}/index.ts";
import { z } from ${root.slice(0, -1)}/node_modules/zod/index.js";
export const pool = definePool({ name: NAME, input: z.object({ n: z.number() }), output: z.number().max(10) });
export const run = ({ payload }) => payload.n;
`;

  for (const isolation of ["inline", "thread", "process"] as const) {
    test(`in ${isolation} payload and result are checked`, async (t) => {
      const name = `typed-file-${isolation}`;
      const handlerFile = new HandlerFolder(t).write("handler.ts", file.replace("NAME", JSON.stringify(name)));
      const { log, named } = readableLog();
      const worker = new Worker({ pool: name, handlerFile, isolation, servers, log, loadTimeoutMs });
      cleanUp(t, () => worker.stop());
      await worker.start();
      const client = await Client.connect({ pool: name, servers });
      cleanUp(t, () => client.close());
      assert.equal((await client.submit({ n: 5 })).json(), 5);
      assert.equal((await failure(client.submit({ n: "secret" }))).jobCode, "schema.input");
      assert.equal((await failure(client.submit({ n: 11 }))).jobCode, "schema.output");
      const logged = named("job failed").map(({ error }) => error);
      assert.deepEqual(logged, ["payload: does not fit at .n", "result: does not fit at the value"]);
    });
  }

  test("a worker of another pool refuses it, and so does one that gives a codec", async (t) => {
    const handlerFile = new HandlerFolder(t).write("handler.ts", file.replace("NAME", '"typed-a"'));
    const start = (more: object): Promise<void> =>
      new Worker({ pool: "typed-b", handlerFile, servers, ...more }).start();
    assert.match((await failure(start({}))).message, /it is for the pool typed-a, not for typed-b/);
    assert.equal((await failure(start({ codec: "text", pool: "typed-a" }))).field, "codec");
  });

  test("schemas cross to no thread, process or command: a worker that is given one for those is refused", () => {
    const pool = definePool({ name: "p", input: z.number(), output: z.number() });
    assert.throws(() => new Worker({ pool, handlerFile: "f.ts", isolation: "thread" }), { field: "pool" });
    assert.throws(() => new Worker({ pool, exec: "cat" }), { field: "pool" });
    assert.throws(() => new Worker({ pool, run: ({ payload }) => payload, codec: "json" }), { field: "codec" });
  });
});
