import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Rate, Rates } from "../../../services/meter/registry/rate.js";
import { newRow } from "../../../services/meter/registry/worker-row.js";
import { HISTORY_POINTS, History, UNKNOWN } from "../../../services/meter/streams/history.js";
import { beatOf } from "../../support/meter/beats.js";

describe("rate", () => {
  it("is the mean of the last five full seconds", () => {
    const rate = new Rate();
    for (let second = 0; second < 5; second += 1) rate.add(10, second * 1_000 + 500);
    assert.equal(rate.perSecond(4_999), 8);
    assert.equal(rate.perSecond(5_000), 10);
    assert.equal(rate.perSecond(7_000), 6);
    assert.equal(rate.perSecond(10_000), 0);
  });

  it("spreads jobs of a time in which nothing was heard over that time", () => {
    const rate = new Rate();
    rate.addOver(3_600_000, { sinceMs: 0, nowMs: 3_600_000 });
    assert.equal(Math.round(rate.perSecond(3_600_000)), 1_000);
    const slow = new Rate();
    for (let second = 10; second <= 60; second += 10) {
      slow.addOver(50, { sinceMs: (second - 10) * 1_000, nowMs: second * 1_000 });
      assert.equal(slow.perSecond(second * 1_000), 5, `after ${second} s`);
    }
  });

  it("falls to zero over a long silence, and is never negative", () => {
    const rate = new Rate();
    rate.add(1_000, 0);
    assert.equal(rate.perSecond(1_000_000_000), 0);
    assert.equal(rate.isIdle(1_000_000_000), true);
  });

  it("outlives the process that did the jobs", () => {
    const rates = new Rates();
    rates.ended(newRow(beatOf({ labels: { b: "2", a: "1" } }), 0), 25, { sinceMs: 0, nowMs: 100 });
    rates.ended(newRow(beatOf({ incarnation: 2_000n, labels: { a: "1", b: "2" } }), 0), 25, {
      sinceMs: 100,
      nowMs: 200,
    });
    assert.equal(rates.perSecond("adder", {}, 1_000), 10);
    assert.equal(rates.perSecond("adder", { a: "1" }, 1_000), 10);
    assert.equal(rates.perSecond("adder", { a: "2" }, 1_000), 0);
    assert.equal(rates.perSecond("other", {}, 1_000), 0);
  });

  it("forgets pools that have come to rest, after naming them once more", () => {
    const rates = new Rates();
    rates.ended(newRow(beatOf(), 0), 5, { sinceMs: 0, nowMs: 0 });
    assert.deepEqual(rates.moving(1_000), ["adder"]);
    assert.deepEqual(rates.moving(6_000), ["adder"]);
    assert.deepEqual(rates.moving(7_000), []);
  });
});

describe("history", () => {
  const point = (utilization: number) => ({ utilization, jobsPerSecond: 1, slots: 2, parked: 3 });

  it("keeps the last 15 minutes in order, a point a second", () => {
    const history = new History();
    for (let i = 0; i < HISTORY_POINTS + 10; i += 1) history.sample(new Map([["", { ...point(0), slots: i }]]));
    const { slots } = history.series("");
    assert.equal(slots.length, HISTORY_POINTS);
    assert.equal(slots[0], 10);
    assert.equal(slots.at(-1), HISTORY_POINTS + 9);
  });

  it("says that nothing was known: before a pool was seen, and while the meter was cut off", () => {
    const history = new History();
    history.sample(new Map([["", point(0.5)]]));
    history.sample(
      new Map([
        ["", point(0.5)],
        ["adder", point(0.25)],
      ]),
    );
    history.sample(undefined);
    assert.deepEqual(history.series("adder").utilization, [UNKNOWN, 0.25, UNKNOWN]);
    assert.deepEqual(history.series("").utilization, [0.5, 0.5, UNKNOWN]);
    assert.deepEqual(history.series("nobody").utilization, []);
  });

  it("keeps a ring for a bounded number of pools, and always one for all of them", () => {
    const history = new History(2);
    history.sample(new Map(["a", "b", "c", ""].map((pool) => [pool, point(0.5)])));
    assert.deepEqual(
      ["a", "b", "c", ""].map((pool) => history.series(pool).slots.length),
      [1, 1, 0, 1],
    );
    history.forget((pool) => pool !== "a");
    history.sample(new Map([["c", point(0.5)]]));
    assert.equal(history.series("c").slots.length, 2);
  });
});
