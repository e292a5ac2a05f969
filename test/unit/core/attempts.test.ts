/** Numbers of attempts, which are names, and the counts that are shown. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { attemptCount, firstOfDelivery } from "../../../mesh/job/job.js";

test("attempts - a number is shown as the managers or deliveries before it, and the attempts of its own", () => {
  const shown: [number: number, count: number][] = [
    [0, 0],
    [1, 1],
    [2, 2],
    [5, 5],
    [1_001, 2],
    [1_002, 3],
    [2_001, 3],
    [501, 1],
    [991, 1],
    [992, 2],
    [1_731, 2],
    [2_503, 5],
  ];
  for (const [number, count] of shown) assert.equal(attemptCount(number), count, String(number));
});

test("attempts - whatever a delivery is numbered by, it is shown as its place among the deliveries", () => {
  for (let delivery = 1; delivery <= 110; delivery += 1) {
    for (const wallNowMs of [0, 1_000, 49_999, 1_700_000_000_123]) {
      const plain = firstOfDelivery(delivery, false, wallNowMs);
      const repeat = firstOfDelivery(delivery, true, wallNowMs);
      assert.notEqual(plain, repeat);
      for (let again = 0; again < 5; again += 1) {
        assert.equal(attemptCount(plain + again), delivery + again);
        assert.equal(attemptCount(repeat + again), delivery + again);
      }
    }
  }
});

test("attempts - of a delivery that a broker has forgotten no number is made again within 20 s, however often it is killed", () => {
  const made = new Set<number>();
  for (let i = 0; i < 100; i += 1) {
    const first = firstOfDelivery(1, true, 1_700_000_000_123 + 200 * i);
    for (let again = 0; again < 5; again += 1) made.add(first + again);
  }
  assert.equal(made.size, 500);
});
