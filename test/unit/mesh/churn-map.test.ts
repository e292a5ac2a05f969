import assert from "node:assert/strict";
import { test } from "node:test";
import { ChurnMap } from "../../../mesh/job/containers.js";
import { seededRandom } from "../../support/random.js";

test("churn map - does what a Map does, whatever comes and goes", () => {
  for (const seed of [1, 2, 3]) {
    const random = seededRandom(seed);
    const map = new ChurnMap<number>();
    const model = new Map<string, number>();
    for (let step = 0; step < 20_000; step += 1) {
      // few keys, so that they are set again and deleted in vain too; more live ones in the middle
      const key = `job-${Math.floor(random() * (step < 10_000 ? 2_000 : 300))}`;
      if (random() < (step % 5_000 < 2_500 ? 0.7 : 0.3)) {
        map.set(key, step);
        model.set(key, step);
      } else assert.equal(map.delete(key), model.delete(key));
      assert.equal(map.size, model.size);
      assert.equal(map.get(key), model.get(key));
    }
    for (let i = 0; i < 2_000; i += 1) assert.equal(map.get(`job-${i}`), model.get(`job-${i}`));
    const inOrder = (values: Iterable<number>): number[] => [...values].sort((a, b) => a - b);
    assert.deepEqual(inOrder(map.values()), inOrder(model.values()));
  }
});

test("churn map - after a peak it is smaller again, and has what it had", () => {
  const map = new ChurnMap<number>();
  for (let i = 0; i < 20_000; i += 1) map.set(`${i}`, i);
  for (let i = 0; i < 19_900; i += 1) assert.equal(map.delete(`${i}`), true);
  assert.equal(map.size, 100);
  for (let i = 19_800; i < 20_000; i += 1) assert.equal(map.get(`${i}`), i < 19_900 ? undefined : i);
  assert.equal(map.values().length, 100);
});

test("churn map - holds undefined as a value, the empty string as a key, and nothing after clear()", () => {
  const map = new ChurnMap<number | undefined>();
  map.set("", undefined);
  map.set("a", 1);
  assert.equal(map.size, 2);
  assert.equal(map.delete(""), true);
  assert.equal(map.delete(""), false);
  for (const count of [1, 100]) {
    for (let i = 0; i < count; i += 1) map.set(`${i}`, i);
    map.clear();
    assert.deepEqual([map.size, map.get("a"), map.get("0"), map.values()], [0, undefined, undefined, []]);
  }
  map.set("a", 2);
  assert.deepEqual([map.size, map.values()], [1, [2]]);
});

test("churn map - values() is as of now: what is deleted meanwhile is still given, once", () => {
  const map = new ChurnMap<string>();
  for (let i = 0; i < 100; i += 1) map.set(`${i}`, `${i}`);
  const seen: string[] = [];
  for (const value of map.values()) {
    seen.push(value);
    for (let i = 0; i < 100; i += 1) map.delete(`${i}`);
  }
  assert.equal(new Set(seen).size, 100);
  assert.equal(map.size, 0);
});
