import assert from "node:assert/strict";
import { test } from "node:test";
import { Deadlines } from "../../../mesh/job/containers.js";
import { seededRandom } from "../../support/random.js";

test("deadlines - nothing expires early, everything within a tick", () => {
  const deadlines = new Deadlines<string>(10);
  deadlines.add("a", 25);
  assert.deepEqual(deadlines.expired(25), []);
  assert.deepEqual(deadlines.expired(30), ["a"]);
  assert.equal(deadlines.size, 0);
});

test("deadlines - a deadline that is past already expires at the next sweep", () => {
  const deadlines = new Deadlines<string>(10);
  deadlines.expired(1_000);
  deadlines.add("late", 500);
  assert.deepEqual(deadlines.expired(1_010), ["late"]);
});

test("deadlines - what was deleted does not expire", () => {
  const deadlines = new Deadlines<string>(10);
  const tick = deadlines.add("a", 25);
  deadlines.delete("a", tick);
  deadlines.delete("a", tick);
  assert.equal(deadlines.size, 0);
  assert.deepEqual(deadlines.expired(1_000), []);
});

test("deadlines - any mix of additions, deletions and sweeps hands out each survivor once, in time", () => {
  const random = seededRandom(3);
  const deadlines = new Deadlines<number>(10);
  const alive = new Map<number, { at: number; tick: number }>();
  let now = 0;
  for (let i = 0; i < 5_000; i += 1) {
    now += random() * (random() < 0.01 ? 5_000 : 8);
    if (random() < 0.6) {
      const at = now + random() * 300;
      alive.set(i, { at, tick: deadlines.add(i, at) });
    } else if (random() < 0.3) {
      const [id, { tick }] = [...alive][0] ?? [-1, { tick: 0 }];
      deadlines.delete(id, tick);
      alive.delete(id);
    }
    for (const id of deadlines.expired(now)) {
      assert.ok((alive.get(id)?.at ?? Number.POSITIVE_INFINITY) <= now);
      alive.delete(id);
    }
    for (const { at } of alive.values()) assert.ok(at > now - 20, "overdue by at most two ticks");
    assert.equal(deadlines.size, alive.size);
  }
});
