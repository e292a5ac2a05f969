/** Jobs that a manager has given back after a failure. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { durableDefaults } from "../../../mesh/durable/job.js";
import { Delivery, GivenBack } from "../../../services/manager/durable/held.js";

function delivered(id: string, deliveries = 1): Delivery {
  const facts = { stream: "s", consumer: "normal", sequence: 1, deliveries, count: 1, storedAt: "1", pending: 0 };
  return new Delivery(id, "normal", facts, "", undefined, new Uint8Array(), durableDefaults(), 0);
}

test("given back - all jobs that wait are counted, however many, until they are due", () => {
  const given = new GivenBack();
  for (let i = 0; i < 60_000; i += 1) given.add(delivered(`j${i}`), i < 20_000 ? 5_500 : 9_500);
  assert.equal(given.countWaiting(0), 60_000);
  assert.equal(given.countWaiting(6_000), 40_000);
  assert.equal(given.countWaiting(10_000), 0);
});

test("given back - a job that is delivered again waits no more, and is known as one that ended here", () => {
  const given = new GivenBack();
  given.add(delivered("a"), 5_000);
  given.add(delivered("b"), 5_000);
  assert.equal(given.waiting("a", 0), 1);
  assert.equal(given.take(delivered("a", 2)), true);
  assert.deepEqual([given.countWaiting(0), given.waiting("a", 0)], [1, undefined]);
  assert.equal(given.take(delivered("b", 3)), false, "another delivery was in between");
  assert.equal(given.countWaiting(0), 0);
});
