/** When it is in doubt what the broker has delivered, and what its stream still has. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DeliveryFacts } from "../../../mesh/durable/ack-subject.js";
import { Doubts } from "../../../services/manager/durable/takeover/doubts.js";
import { ManualRuntime } from "../../support/core/manual-runtime.js";

/** Counts the doubts by the questions that each one asks. */
function startDoubts(): { readonly doubts: Doubts; readonly begun: () => number } {
  let asked = 0;
  const doubts = new Doubts({
    bus: { runtime: new ManualRuntime(), publish: () => true },
    store: {
      at: async () => undefined,
      streamInfo: async () => {
        asked += 1;
        return { state: { last_seq: 100 } } as never;
      },
    },
    stream: "s",
    held: () => [],
    onLost: () => {},
    onSettled: () => {},
  });
  return { doubts, begun: () => asked - 1 };
}

function delivery(count: number, sequence: number, deliveries = 1, consumer = "normal"): DeliveryFacts {
  return { stream: "s", consumer, deliveries, sequence, count, storedAt: "1", pending: 0 };
}

describe("what comes is in doubt", () => {
  test("not while a consumer goes on, whatever other managers get of it, and what comes again", () => {
    const { doubts, begun } = startDoubts();
    for (const [count, sequence, deliveries] of [
      [1, 1, 1],
      [2, 4, 1],
      [5, 1, 2],
      [9, 7, 1],
      [12, 4, 3],
    ] as const)
      doubts.onDelivery(delivery(count, sequence, deliveries));
    doubts.onDelivery(delivery(1, 3, 1, "high"));
    assert.equal(begun(), 0);
  });

  test("when a consumer counts from a lower number: it was deleted and made anew", () => {
    const { doubts, begun } = startDoubts();
    doubts.onDelivery(delivery(7, 5));
    doubts.onDelivery(delivery(1, 6));
    assert.equal(begun(), 1);
    doubts.onDelivery(delivery(2, 7));
    assert.equal(begun(), 1, "once");
  });

  test("when a consumer delivers for the first time what comes before its last first delivery", () => {
    const { doubts, begun } = startDoubts();
    doubts.onDelivery(delivery(2, 5));
    doubts.onDelivery(delivery(3, 2));
    assert.equal(begun(), 1);
    doubts.onDelivery(delivery(4, 3));
    doubts.onDelivery(delivery(9, 8));
    assert.equal(begun(), 1, "once");
  });
});
