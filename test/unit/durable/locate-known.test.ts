/** Who has a stored job that comes to a manager once more: a worker, or another manager. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { durableDefaults } from "../../../mesh/durable/job.js";
import { Delivery } from "../../../services/manager/durable/held.js";
import { locateKnown } from "../../../services/manager/durable/takeover/locate-known.js";
import type { Pool } from "../../../services/manager/pool/pool.js";
import { ManualRuntime } from "../../support/core/manual-runtime.js";

/** A job that has come `deliveries` times; what becomes of it is told by `end`. */
function comes(deliveries: number) {
  const runtime = new ManualRuntime();
  const facts = { stream: "s", consumer: "normal", deliveries, sequence: 1, count: 1, storedAt: "1", pending: 0 };
  const delivery = new Delivery("j", "normal", facts, "ack", undefined, new Uint8Array(), durableDefaults(), 0);
  const world = { worker: undefined as string | undefined, isHeldElsewhere: true, isWanted: true };
  const pool = { locator: { locate: async () => world.worker }, workers: { get: () => ({}) } } as unknown as Pool;
  const parts = { pool, bus: { runtime }, isHeldElsewhere: () => world.isHeldElsewhere };
  const end = { is: "open" as string | undefined };
  const looks = locateKnown(parts, delivery, () => world.isWanted).then((worker) => {
    end.is = worker;
  });
  return { runtime, delivery, world, end, looks };
}

describe("a job that a consumer delivers as if for the first time, and that another manager holds", () => {
  test("waits until that one has ended it, or is gone, and is not told as held here meanwhile", async () => {
    const { runtime, delivery, world, end, looks } = comes(1);
    await runtime.advance(5_000);
    assert.deepEqual([end.is, delivery.awaitsOther], ["open", true]);
    world.isHeldElsewhere = false;
    await runtime.advance(400);
    await looks;
    assert.deepEqual([end.is, delivery.awaitsOther], [undefined, false]);
  });

  test("is joined as soon as a worker has it", async () => {
    const { runtime, world, end, looks } = comes(1);
    await runtime.advance(1_000);
    world.worker = "w1";
    await runtime.advance(400);
    await looks;
    assert.equal(end.is, "w1");
  });

  test("is given up when this manager stops", async () => {
    const { runtime, world, end, looks } = comes(1);
    world.isWanted = false;
    await runtime.advance(400);
    await looks;
    assert.equal(end.is, undefined);
  });
});

test("a job that was given back is not awaited, although its manager has not yet said that it holds it no more", async () => {
  const { end, looks } = comes(2);
  await looks;
  assert.equal(end.is, undefined);
});
