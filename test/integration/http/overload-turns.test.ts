/** Overload: who goes next among parked jobs, and who is refused, with real workers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PoolError } from "../../../mesh/errors.js";
import type { SubmitOptions } from "../../../mesh/job/job.js";
import { Manager, type ManagerOptions } from "../../../services/manager/manager.js";
import { Worker } from "../../../services/worker/worker.js";
import { type Owner, startBroker, WHOLE_FILE } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { leakGuard } from "../../support/leak-guard.js";
import { eventually, gate } from "../../support/wait.js";

leakGuard();
const broker = await startBroker(WHOLE_FILE, { jetStream: false });

/** A pool of one slot that is held; everything submitted now is parked. */
async function heldSlot(t: Owner, pool: string, options: ManagerOptions = {}) {
  const held = gate();
  const order: string[] = [];
  const manager = await Manager.connect({ pool, servers: broker.url, graceMs: 0, ...options });
  cleanUp(t, () => manager.close());
  const worker = new Worker<string>({
    pool,
    codec: "text",
    graceMs: 0,
    servers: broker.url,
    run: async ({ payload }) => {
      order.push(payload);
      if (payload === "first") await held.promise;
    },
  });
  cleanUp(t, () => worker.stop());
  await worker.start();
  await eventually(() => manager.capacity.slots === 1);
  const jobs = [manager.submit("first", { client: "nobody" })];
  await eventually(() => order.length === 1);
  const park = (name: string, more: SubmitOptions = {}): void => void jobs.push(manager.submit(name, more));
  const finish = async (): Promise<string[]> => {
    held.open();
    await Promise.all(jobs);
    return order.slice(1);
  };
  return { manager, park, finish };
}

const refusal = (promise: Promise<unknown>): Promise<PoolError> =>
  promise.then(
    () => assert.fail("it was taken"),
    (error: PoolError) => error,
  );

test("overload - high goes before normal and normal before low, each in its own order", async (t) => {
  const { park, finish } = await heldSlot(t, "priorities");
  for (const i of [1, 2])
    for (const priority of ["low", "normal", "high"] as const) park(`${priority}${i}`, { priority });
  assert.deepEqual(await finish(), ["high1", "high2", "normal1", "normal2", "low1", "low2"]);
});

test("overload - clients take turns, however much one of them has submitted", async (t) => {
  const { park, finish } = await heldSlot(t, "turns");
  for (let i = 1; i <= 5; i += 1) park(`a${i}`, { client: "a" });
  for (let i = 1; i <= 2; i += 1) park(`b${i}`, { client: "b" });
  assert.deepEqual(await finish(), ["a1", "b1", "a2", "b2", "a3", "a4", "a5"]);
});

test("overload - one client holds at most its share of the parked queue, and others still find room", async (t) => {
  const { manager, park, finish } = await heldSlot(t, "shares", { parkedLimit: 4, clientShare: 0.5 });
  park("a1", { client: "a" });
  park("a2", { client: "a" });
  const refused = await refusal(manager.submit("a3", { client: "a" }));
  assert.deepEqual([refused.reason, refused.retryable, refused.parked], ["pool_full", true, 2]);
  park("b1", { client: "b" });
  park("b2", { client: "b" });
  const full = await refusal(manager.submit("c1", { client: "c" }));
  assert.deepEqual(
    [full.reason, full.utilization, full.parked, (full.retryAfterMs ?? 0) > 0],
    ["pool_full", 1, 4, true],
  );
  assert.deepEqual(await finish(), ["a1", "b1", "a2", "b2"]);
});

test("overload - the bytes of parked jobs are bounded too", async (t) => {
  const { manager, park, finish } = await heldSlot(t, "bytes", { parkedBytesLimit: 100 });
  park("x".repeat(80));
  const refused = await refusal(manager.submit("y".repeat(30)));
  assert.equal(refused.reason, "pool_full");
  park("z".repeat(20));
  assert.equal((await finish()).length, 2);
});

test("overload - who does not want to wait is refused at once, and nothing of it is parked", async (t) => {
  const { manager, finish } = await heldSlot(t, "no-wait");
  const refused = await refusal(manager.submit("now", { wait: false }));
  assert.deepEqual([refused.reason, manager.capacity.parked], ["pool_full", 0]);
  await finish();
});
