import assert from "node:assert/strict";
import { test } from "node:test";
import { Changes } from "../../services/meter/changes.js";
import { View } from "../../services/meter/view.js";
import { beatOf } from "../support/beats.js";
import { settled, within } from "../support/wait.js";

const PACE = { minIntervalMs: 1, keepAliveMs: 60_000 };
const ADDER = { pool: "adder", labels: {} };

function meter(pace = PACE) {
  const changes = new Changes({ coalesceMs: 1, lookMs: 5 });
  const view = new View(changes);
  changes.start();
  const leave = new AbortController();
  return { changes, view, leave, join: () => changes.watchCapacity(view, ADDER, pace, leave.signal) };
}

test("readers of the same view share it, and the view goes with the last of them", async () => {
  const { changes, leave, view, join } = meter();
  const first = join();
  const second = join();
  const labelled = { pool: "adder", labels: { a: "b" } };
  const other = new AbortController();
  changes.watchCapacity(view, labelled, PACE, other.signal);
  assert.equal(first.topic, second.topic);
  assert.deepEqual([changes.topics, changes.readers], [2, 3]);
  other.abort();
  assert.deepEqual([changes.topics, changes.readers], [1, 2]);
  leave.abort();
  assert.deepEqual([changes.topics, changes.readers], [0, 0]);
  await assert.rejects(first.reader.next(), { name: "AbortError" });
  changes.stop();
});

test("a reader that comes back late gets the newest value, once", async () => {
  const { changes, view, leave, join } = meter();
  const { reader } = join();
  await within(reader.next());
  const fast = join().reader;
  await within(fast.next());
  for (let busy = 1; busy <= 4; busy += 1) {
    view.observe(beatOf({ seq: BigInt(busy), busy }), busy);
    const delta = await within(fast.next());
    assert.deepEqual(
      delta.changed.map((pool) => pool.busy),
      [busy],
    );
  }
  const late = await within(reader.next());
  assert.deepEqual(
    late.changed.map((pool) => pool.busy),
    [4],
  );
  assert.equal(await settled(reader.next()), "pending");
  leave.abort();
  changes.stop();
});

test("a reader is not told of other pools, nor of heartbeats that change nothing", async () => {
  const { changes, view, leave, join } = meter();
  view.observe(beatOf({ seq: 1n }), 0);
  const { reader } = join();
  await within(reader.next());
  const next = reader.next();
  view.observe(beatOf({ seq: 2n }), 1);
  view.observe(beatOf({ pool: "other" }), 1);
  const everything = changes.watchCapacity(view, { pool: "", labels: {} }, PACE, leave.signal);
  await within(everything.reader.next());
  assert.equal(await settled(next), "pending");
  view.observe(beatOf({ seq: 3n, busy: 1 }), 2);
  assert.equal((await within(next)).changed[0]?.busy, 1);
  leave.abort();
  changes.stop();
});

test("a reader that waits is released with the reason of its end", async () => {
  const { changes, leave, join } = meter();
  const { reader } = join();
  await within(reader.next());
  const next = reader.next();
  leave.abort(new Error("the call ended"));
  await assert.rejects(within(next), /the call ended/);
  changes.stop();
});
