import assert from "node:assert/strict";
import { test } from "node:test";
import { Deadlines, type Due } from "../../../mesh/job/containers.js";
import { seededRandom } from "../../support/random.js";

interface Item extends Due {
  readonly name: string;
}

const item = (name: string): Item => ({ name, dueTick: 0, duePlace: 0 });
const names = (items: readonly Item[]): string[] => items.map(({ name }) => name);

test("deadlines - nothing expires early, everything within a tick", () => {
  const deadlines = new Deadlines<Item>(10);
  deadlines.add(item("a"), 25);
  assert.deepEqual(deadlines.expired(25), []);
  assert.deepEqual(names(deadlines.expired(30)), ["a"]);
  assert.equal(deadlines.size, 0);
});

test("deadlines - a deadline that is past already expires at the next sweep", () => {
  const deadlines = new Deadlines<Item>(10);
  deadlines.expired(1_000);
  deadlines.add(item("late"), 500);
  assert.deepEqual(names(deadlines.expired(1_010)), ["late"]);
});

test("deadlines - what was deleted does not expire", () => {
  const deadlines = new Deadlines<Item>(10);
  const a = item("a");
  deadlines.add(a, 25);
  deadlines.delete(a);
  deadlines.delete(a);
  assert.equal(deadlines.size, 0);
  assert.deepEqual(deadlines.expired(1_000), []);
});

test("deadlines - any mix of additions, deletions and sweeps hands out each survivor once, in time", () => {
  const random = seededRandom(3);
  const deadlines = new Deadlines<Item>(10);
  const alive = new Map<Item, number>();
  let now = 0;
  for (let i = 0; i < 5_000; i += 1) {
    now += random() * (random() < 0.01 ? 5_000 : 8);
    if (random() < 0.6) {
      const at = now + random() * 300;
      const one = item(String(i));
      deadlines.add(one, at);
      alive.set(one, at);
    } else if (random() < 0.3) {
      const [one = item("none")] = alive.keys();
      deadlines.delete(one);
      alive.delete(one);
    }
    for (const one of deadlines.expired(now)) {
      assert.ok((alive.get(one) ?? Number.POSITIVE_INFINITY) <= now);
      alive.delete(one);
    }
    for (const at of alive.values()) assert.ok(at > now - 20, "overdue by at most two ticks");
    assert.equal(deadlines.size, alive.size);
  }
});
