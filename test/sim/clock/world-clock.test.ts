/** True time: events in order, promise chains between them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EventQueue } from "../../../testing/sim/event-queue.js";
import { SimWorld } from "../world-clock.js";
import { inMacrotask } from "./microtasks.js";
import { sealed } from "./surroundings.js";

test("world clock - events happen in the order of their times, those of one time in the order in which they came", async () => {
  const seen: string[] = [];
  await inMacrotask(() => {
    const world = new SimWorld({ seed: 1 });
    for (const [atMs, name] of [
      [30, "d"],
      [10, "a"],
      [20, "b"],
      [20, "c"],
      [40, "e"],
    ] as const) {
      world.at(atMs, () => seen.push(`${name}@${world.now()}`));
    }
    world.run(35);
    assert.equal(world.now(), 35);
  });
  assert.deepEqual(seen, ["a@10", "b@20", "c@20", "d@30"]);
});

test("world clock - an event in the past happens now, and what it schedules for now comes after what waits", async () => {
  const seen: string[] = [];
  await inMacrotask(() => {
    const world = new SimWorld({ seed: 1 });
    world.at(10, () => {
      world.at(3, () => seen.push(`late@${world.now()}`));
      seen.push("first");
    });
    world.at(10, () => seen.push("second"));
    world.run(100);
  });
  assert.deepEqual(seen, ["first", "second", "late@10"]);
});

test("world clock - a promise chain ends before the next event", async () => {
  const seen: string[] = [];
  await inMacrotask(() => {
    const world = new SimWorld({ seed: 1 });
    const chain = async (): Promise<void> => {
      for (let i = 0; i < 50; i += 1) await undefined;
      queueMicrotask(() => process.nextTick(() => seen.push("chain")));
    };
    world.at(10, () => void chain());
    world.at(10, () => seen.push("event"));
    world.run(10);
  });
  assert.deepEqual(seen, ["chain", "event"]);
});

test("world clock - a canceled event never happens, before it and twice", async () => {
  let happened = 0;
  await inMacrotask(() => {
    const world = new SimWorld({ seed: 1 });
    const scheduled = world.at(10, () => {
      happened += 1;
    });
    world.cancel(scheduled);
    world.cancel(scheduled);
    world.cancel(undefined);
    world.run(20);
  });
  assert.equal(happened, 0);
});

test("world clock - parts that call each other for ever in one instant are an error, not a hang", async () => {
  await assert.rejects(
    inMacrotask(() => {
      const world = new SimWorld({ seed: 1 });
      const again = (): void => void world.at(world.now(), again);
      again();
      world.run(1);
    }),
    /time stands still at 0 ms/,
  );
});

test("world clock - the queue agrees with a sorted list, whatever is added and taken", () => {
  const random = new SimWorld({ seed: 7 }).random;
  const queue = new EventQueue();
  const model: { atMs: number; order: number }[] = [];
  for (let i = 0; i < 5_000; i += 1) {
    if (random() < 0.6) {
      const event = queue.add(Math.floor(random() * 50), () => undefined);
      if (random() < 0.2) event.work = undefined;
      else model.push(event);
    } else {
      model.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
      const expected = model.shift();
      assert.equal(queue.nextAtMs(), expected?.atMs);
      if (expected !== undefined) assert.equal(queue.take()?.order, expected.order);
    }
  }
});

test("world clock - a part that asks the real machine for time, timers or chance is told at once", () => {
  const asks: readonly (() => unknown)[] = [
    () => Math.random(),
    () => Date.now(),
    () => performance.now(),
    () => setTimeout(() => undefined, 1),
  ];
  for (const ask of asks) {
    assert.throws(() => sealed(ask), /asks the real machine/);
  }
  assert.ok(Math.random() < 1 && Date.now() > 0);
});
