/** TestMesh: a whole mesh in this process, on simulated time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { definePool } from "../../../mesh/job/pool-definition.js";
import type { Job } from "../../../services/worker/worker.js";
import { TestMesh, type TestMeshOptions } from "../../../testing.js";
import type { Owner } from "../../support/clean-up.js";
import { failure } from "../../support/failure.js";

async function start(t: Owner, options: TestMeshOptions = {}): Promise<TestMesh> {
  const mesh = await TestMesh.start(options);
  t.after(() => mesh.stop());
  return mesh;
}

const increment = ({ payload }: Job<number>): number => payload + 1;

test("test mesh - a job runs and its result comes back, and no time passes", async (t) => {
  const mesh = await start(t);
  await mesh.worker("adder", increment);
  const client = await mesh.client("adder");
  const result = await client.submit(41);
  assert.deepEqual([result.json(), result.worker, result.totalMs, mesh.now], [42, "worker-1", 0, 0]);
});

test("test mesh - a handler takes simulated time, and a deadline comes when time goes on", async (t) => {
  const mesh = await start(t);
  const seen: number[] = [];
  await mesh.worker("slow", async (job: Job<number>) => {
    await mesh.sleep(job.payload);
    seen.push(Math.round(job.timeLeftMs));
    return "done";
  });
  const client = await mesh.client("slow");
  const [quick, late] = [client.submit(60_000, { timeoutMs: 60_500 }), client.submit(10, { timeoutMs: 5 })];
  const refused = failure(late);
  await mesh.advance(1_000);
  assert.equal((await refused).reason, "deadline_exceeded");
  await mesh.advance(60_000);
  const result = await quick;
  assert.deepEqual([result.json(), result.totalMs, seen.includes(500)], ["done", 60_000, true]);
});

test("test mesh - a pool that nobody serves is unknown, and a job that waits for it runs when a worker comes", async (t) => {
  const mesh = await start(t);
  const client = await mesh.client("adder");
  assert.equal((await failure(mesh.until(client.submit(1)))).reason, "unknown_pool");
  const waiting = client.submit(1, { waitForPool: true });
  await mesh.advance(1_000);
  await mesh.worker("adder", increment);
  assert.equal((await mesh.until(waiting)).json(), 2);
});

test("test mesh - when a worker is killed its job is worker_lost, and an idempotent one runs at another", async (t) => {
  const mesh = await start(t);
  const held = (): Promise<never> => new Promise(() => undefined);
  const first = await mesh.worker("p", held, { id: "first", slots: 2 });
  const client = await mesh.client("p");
  const once = failure(client.submit(1));
  const again = client.submit(2, { idempotent: true });
  await mesh.settle();
  assert.equal(first.worker.busy, 2);
  await mesh.worker("p", increment, { id: "second" });
  first.kill();
  const error = await mesh.until(once);
  assert.deepEqual([error.reason, error.maybeExecuted], ["worker_lost", true]);
  const result = await mesh.until(again);
  assert.deepEqual([result.json(), result.worker, first.alive], [3, "second", false]);
});

test("test mesh - a worker whose link is cut is lost, and takes jobs again after the link is healed", async (t) => {
  const mesh = await start(t);
  const worker = await mesh.worker("p", increment);
  const client = await mesh.client("p");
  assert.equal((await client.submit(1)).json(), 2);
  worker.cut();
  await mesh.advance(30_000);
  assert.equal((await failure(mesh.until(client.submit(1, { wait: false, timeoutMs: 2_000 })))).retryable, true);
  worker.heal();
  await mesh.advance(30_000);
  assert.equal((await mesh.until(client.submit(2))).json(), 3);
});

test("test mesh - a job outlives a manager that is suspended, by its client's deadline", async (t) => {
  const mesh = await start(t);
  await mesh.worker("p", increment);
  const client = await mesh.client("p");
  mesh.manager.suspend();
  const waiting = client.submit(1, { timeoutMs: 20_000 });
  await mesh.advance(1_000);
  mesh.manager.goOn();
  assert.equal((await mesh.until(waiting)).json(), 2);
});

test("test mesh - typed pools, middleware and events work as in a real mesh", async (t) => {
  const pool = definePool({ name: "typed", input: z.object({ n: z.number() }), output: z.number() });
  const mesh = await start(t);
  const { worker } = await mesh.worker(pool, ({ payload }) => payload.n * 2);
  const told: string[] = [];
  worker.events.on("job:complete", ({ job }) => told.push(job.worker));
  const client = await mesh.client(pool);
  client.use((call, next) => {
    told.push(call.pool);
    return next();
  });
  assert.equal((await client.for(pool).submit({ n: 4 })).value, 8);
  assert.equal((await failure(client.submit({ n: "4" }))).jobCode, "schema.input");
  assert.deepEqual(told, ["typed", "worker-1", "typed", "worker-1"]);
});

test("test mesh - a thousand jobs of a stream run at three workers, never more at once than there are slots", async (t) => {
  const mesh = await start(t);
  let running = 0;
  let most = 0;
  const run = async ({ payload }: Job<number>): Promise<number> => {
    running += 1;
    most = Math.max(most, running);
    await mesh.sleep(5);
    running -= 1;
    return payload;
  };
  for (let i = 0; i < 3; i += 1) await mesh.worker("many", run, { slots: 2 });
  const client = await mesh.client("many");
  const results: number[] = [];
  const all = (async () => {
    const numbers = Array.from({ length: 1_000 }, (_, i) => i);
    for await (const outcome of client.submitMany(numbers, { ordered: true })) {
      if (outcome.ok) results.push(outcome.result.json());
    }
  })();
  await mesh.until(all);
  assert.deepEqual([results.length, results[999], most], [1_000, 999, 6]);
});

test("test mesh - it works beside fake timers, which a handler of a test may use", async (t) => {
  const mesh = await start(t);
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "setImmediate", "Date"] });
  await mesh.worker("p", async ({ payload }: Job<number>) => {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    return payload;
  });
  const client = await mesh.client("p");
  const result = client.submit(7);
  await mesh.settle();
  t.mock.timers.tick(1_000);
  assert.equal((await mesh.until(result)).json(), 7);
});

test("test mesh - what never settles is an error of until(), at its limit", async (t) => {
  const mesh = await start(t);
  await assert.rejects(
    mesh.until(new Promise(() => undefined), 1_000),
    /not settled after 1000 simulated milliseconds/,
  );
  assert.equal(mesh.now, 1_000);
});

test("test mesh - at its end jobs that run are canceled for their callers, and two meshes do not hear each other", async () => {
  const [mesh, other] = [await TestMesh.start(), await TestMesh.start()];
  await mesh.worker("p", () => new Promise(() => undefined));
  const client = await mesh.client("p");
  const alone = await other.client("p");
  assert.equal((await failure(other.until(alone.submit(1)))).reason, "unknown_pool");
  const open = failure(client.submit(1));
  await mesh.settle();
  await mesh.stop();
  assert.equal((await open).reason, "canceled");
  await other.stop();
});
