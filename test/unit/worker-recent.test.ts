/** What a worker remembers lately: a ring of values, and names by two maps that take turns. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RecentNames } from "../../services/worker/recent-names.js";
import { Ring } from "../../services/worker/ring.js";
import { seededRandom } from "../support/random.js";

describe("ring", () => {
  test("it behaves like an array that loses its first value when it is full", () => {
    const random = seededRandom(7);
    const ring = new Ring<number>(5);
    const model: number[] = [];
    for (let i = 0; i < 500; i += 1) {
      if (random() < 0.7) assert.equal(ring.push(i), model.push(i) > 5 ? model.shift() : undefined);
      else assert.equal(ring.shift(), model.shift());
      assert.deepEqual(
        [ring.size, ring.oldest(), [...ring.newestFirst()]],
        [model.length, model[0], [...model].reverse()],
      );
    }
  });
});

describe("recent names", () => {
  test("the last half of the limit is remembered, and never more than the limit", () => {
    const names = new RecentNames(100, 1_000);
    for (let i = 0; i < 1_000; i += 1) {
      names.add(`j${i}`, 0);
      const known = Array.from({ length: i + 1 }, (_, j) => names.has(`j${j}`, 0));
      assert.equal(known.slice(-50).includes(false), false);
      assert.ok(known.filter(Boolean).length <= 100);
    }
  });

  test("a name is forgotten after its time, however few there are, and known again when it comes again", () => {
    const names = new RecentNames(100, 1_000);
    names.add("a", 5);
    assert.deepEqual([names.has("a", 1_005), names.has("a", 1_006), names.has("b", 5)], [true, false, false]);
    names.add("a", 2_000);
    assert.equal(names.has("a", 3_000), true);
  });
});
