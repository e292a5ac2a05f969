import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Changes } from "../../../services/meter/streams/changes.js";
import type { Delta } from "../../../services/meter/streams/feed.js";
import type { Reader } from "../../../services/meter/streams/reader.js";
import { View } from "../../../services/meter/streams/view.js";
import { beatOf } from "../../support/meter/beats.js";
import { settled, within } from "../../support/wait.js";

const PACE = { minIntervalMs: 1, keepAliveMs: 60_000 };
const ADDER = { pool: "adder", labels: {} };

function meter(t: TestContext, pace = PACE, coalesceMs = 1) {
  const changes = new Changes({ coalesceMs, lookMs: 5 });
  const view = new View(changes);
  changes.start();
  const leave = new AbortController();
  t.after(() => {
    leave.abort();
    changes.stop();
  });
  return { changes, view, leave, join: () => changes.watchCapacity(view, ADDER, pace, leave.signal) };
}

test("readers of the same view share it, and the view goes with the last of them", async (t) => {
  const { changes, leave, view, join } = meter(t);
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
});

test("a reader that comes back late gets the newest value, once", async (t) => {
  const { view, join } = meter(t);
  const { reader } = join();
  await read(reader);
  const fast = join().reader;
  await read(fast);
  for (let busy = 1; busy <= 4; busy += 1) {
    view.observe(beatOf({ seq: BigInt(busy), busy }), busy);
    const delta = await read(fast);
    assert.deepEqual(
      delta.changed.map((pool) => pool.busy),
      [busy],
    );
  }
  const late = await read(reader);
  assert.deepEqual(
    late.changed.map((pool) => pool.busy),
    [4],
  );
  assert.equal(await settled(reader.next()), "pending");
});

test("a reader is not told of other pools, nor of heartbeats that change nothing", async (t) => {
  const { changes, view, leave, join } = meter(t);
  view.observe(beatOf({ seq: 1n }), 0);
  const { reader } = join();
  await read(reader);
  const next = reader.next();
  view.observe(beatOf({ seq: 2n }), 1);
  view.observe(beatOf({ pool: "other" }), 1);
  const everything = changes.watchCapacity(view, { pool: "", labels: {} }, PACE, leave.signal);
  await read(everything.reader);
  assert.equal(await settled(next), "pending");
  view.observe(beatOf({ seq: 3n, busy: 1 }), 2);
  assert.equal((await within(next)).changed[0]?.busy, 1);
});

test("a reader that waits is released with the reason of its end", async (t) => {
  const { leave, join } = meter(t);
  const { reader } = join();
  await read(reader);
  const next = reader.next();
  leave.abort(new Error("the call ended"));
  await assert.rejects(within(next), /the call ended/);
});

test("a reader whose pace is the tick hears of every tick", async (t) => {
  const { changes, view, join } = meter(t, { minIntervalMs: 20, keepAliveMs: 60_000 }, 20);
  const { reader } = join();
  await read(reader);
  let ticks = 0;
  const stop = changes.onTick(() => {
    ticks += 1;
    view.observe(beatOf({ seq: BigInt(ticks + 1), busy: ticks % 4 }), ticks);
  });
  t.after(stop);
  view.observe(beatOf({ seq: 1n }), 0);
  let heard = 0;
  for (; ticks < 60; heard += 1) await read(reader);
  // A reader that misses the tick it waits for hears of every second one. A busy machine joins a few.
  assert.ok(heard > 0.65 * ticks, `${heard} messages in ${ticks} ticks`);
});

/** What is new, as a stream sends it. */
async function read<V>(reader: Reader<V>): Promise<Delta<V>> {
  const delta = await within(reader.next());
  reader.sent();
  return delta;
}
