/** Whom a control command means: one rule for every door. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { type Heartbeat, HeartbeatSchema, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { type ControlVerb, fits, selectWorkers, type WorkerSelector } from "../../../mesh/wire/worker-selection.js";
import { seededRandom } from "../../support/random.js";

const { READY, PAUSED, DRAINING, STOPPED, STARTING } = WorkerState;

function beat(worker: string, more: Partial<Pick<Heartbeat, "busy" | "state" | "labels" | "pool">> = {}): Heartbeat {
  return create(HeartbeatSchema, { pool: "p", worker, state: READY, ...more });
}

function names(workers: readonly Heartbeat[], selector: WorkerSelector, verb: ControlVerb = "drain"): string[] {
  return selectWorkers(workers, selector, verb).chosen.map(({ worker }) => worker);
}

describe("worker selection", () => {
  test("the least busy go first, equally busy ones by name with their numbers", () => {
    const workers = [beat("w-10"), beat("w-2"), beat("w-1", { busy: 2 }), beat("w-3", { busy: 1 })];
    assert.deepEqual(names(workers, { labels: {} }), ["w-2", "w-10", "w-3", "w-1"]);
    assert.deepEqual(names(workers, { labels: {}, count: 3 }), ["w-2", "w-10", "w-3"]);
    assert.deepEqual(names(workers, { labels: {}, count: 0 }).length, 4);
    assert.deepEqual(names(workers, { labels: {}, count: 99 }).length, 4);
  });

  test("the order in which workers are known does not matter", () => {
    const random = seededRandom(5);
    const workers = Array.from({ length: 40 }, (_, i) => beat(`w-${i}`, { busy: Math.floor(random() * 4) }));
    const expected = names(workers, { labels: {}, count: 17 });
    for (let round = 0; round < 20; round += 1) {
      const shuffled = [...workers].sort(() => random() - 0.5);
      assert.deepEqual(names(shuffled, { labels: {}, count: 17 }), expected);
    }
  });

  test("every label has to be borne with its value", () => {
    const workers = [
      beat("a", { labels: { zone: "x", disk: "ssd" } }),
      beat("b", { labels: { zone: "x" } }),
      beat("c"),
    ];
    assert.deepEqual(names(workers, { labels: { zone: "x" } }), ["a", "b"]);
    assert.deepEqual(names(workers, { labels: { zone: "x", disk: "ssd" } }), ["a"]);
    assert.deepEqual(names(workers, { labels: { toString: "x" } }), []);
  });

  test("of several only those are meant that the command can change; those that match are told apart", () => {
    const states = [READY, PAUSED, DRAINING, STOPPED, STARTING];
    const workers = states.map((state) => beat(WorkerState[state] ?? "", { state }));
    const meant: [verb: ControlVerb, workers: string[]][] = [
      ["drain", ["PAUSED", "READY", "STARTING"]],
      ["resize", ["PAUSED", "READY", "STARTING"]],
      ["pause", ["READY"]],
      ["resume", ["PAUSED"]],
      ["restart", ["DRAINING", "PAUSED", "READY", "STARTING", "STOPPED"]],
    ];
    for (const [verb, expected] of meant) {
      assert.deepEqual(names(workers, { labels: {} }, verb), expected, verb);
      assert.equal(selectWorkers(workers, { labels: {} }, verb).matching.length, states.length);
    }
  });

  test("a worker that is named is meant in any state, since it says itself what it can do", () => {
    for (const state of [READY, PAUSED, DRAINING, STOPPED]) {
      assert.deepEqual(names([beat("a", { state }), beat("b")], { worker: "a", labels: {} }, "pause"), ["a"]);
    }
    assert.deepEqual(names([beat("a")], { worker: "a", labels: { zone: "x" } }), []);
    assert.deepEqual(
      names([beat("a", { pool: "p" }), beat("a", { pool: "q" })], { worker: "a", labels: {} }).length,
      2,
    );
  });

  test("a draining worker is not asked again", () => {
    assert.equal(fits("drain", DRAINING), false);
    assert.equal(fits("resize", DRAINING), false);
  });
});
