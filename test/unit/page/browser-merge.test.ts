import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { mergeCapacity, NO_CAPACITY } from "../../../browser/merge-capacity.js";
import { heartbeatAgeMs, mergeWorkers, NO_WORKERS, workerKey } from "../../../browser/merge-workers.js";
import { WatchCapacityResponseSchema, WatchWorkersResponseSchema } from "../../../gen/poolmesh/v1/meter_pb.js";

const capacity = (version: bigint, snapshot: boolean, pools: [string, number][], removed: string[] = []) =>
  create(WatchCapacityResponseSchema, {
    version,
    snapshot,
    removed,
    pools: pools.map(([pool, slots]) => ({ pool, slots })),
    total: { slots: pools.reduce((sum, [, slots]) => sum + slots, 0) },
  });

const workers = (snapshot: boolean, changed: [string, bigint, number][], removed: [string, bigint][] = []) =>
  create(WatchWorkersResponseSchema, {
    version: 1n,
    snapshot,
    changed: changed.map(([worker, incarnation, busy]) => ({
      ageMs: 100,
      heartbeat: { pool: "p", worker, incarnation, slots: 4, busy },
    })),
    removed: removed.map(([worker, incarnation]) => ({ pool: "p", worker, incarnation })),
  });

test("mergeCapacity - a change touches only the pools that it names", () => {
  const first = mergeCapacity(
    NO_CAPACITY,
    capacity(1n, true, [
      ["a", 4],
      ["b", 8],
    ]),
    10,
  );
  const second = mergeCapacity(first, capacity(2n, false, [["b", 6]]), 20);
  assert.deepEqual(
    [...second.pools].map(([name, { slots }]) => [name, slots]),
    [
      ["a", 4],
      ["b", 6],
    ],
  );
  assert.equal(second.pools.get("a"), first.pools.get("a"));
  assert.equal(second.version, 2n);
  assert.equal(second.receivedAtMs, 20);
});

test("mergeCapacity - a snapshot forgets what it does not name", () => {
  const first = mergeCapacity(NO_CAPACITY, capacity(9n, true, [["gone", 4]]), 10);
  const second = mergeCapacity(first, capacity(1n, true, [["new", 2]]), 20);
  assert.deepEqual([...second.pools.keys()], ["new"]);
});

test("mergeCapacity - a removed pool is gone and an earlier view keeps it", () => {
  const first = mergeCapacity(
    NO_CAPACITY,
    capacity(1n, true, [
      ["a", 4],
      ["b", 8],
    ]),
    10,
  );
  const second = mergeCapacity(first, capacity(2n, false, [], ["a"]), 20);
  assert.deepEqual([...second.pools.keys()], ["b"]);
  assert.deepEqual([...first.pools.keys()], ["a", "b"]);
});

test("mergeWorkers - two incarnations of one id are two workers", () => {
  const data = mergeWorkers(
    NO_WORKERS,
    workers(true, [
      ["w", 1n, 0],
      ["w", 2n, 3],
    ]),
    0,
  );
  assert.equal(data.workers.size, 2);
  const left = mergeWorkers(data, workers(false, [], [["w", 1n]]), 0);
  assert.deepEqual(
    [...left.workers.values()].map(({ view }) => view.heartbeat?.incarnation),
    [2n],
  );
});

test("mergeWorkers - a worker that did not change keeps its object", () => {
  const first = mergeWorkers(
    NO_WORKERS,
    workers(true, [
      ["a", 1n, 0],
      ["b", 1n, 0],
    ]),
    0,
  );
  const second = mergeWorkers(first, workers(false, [["b", 1n, 2]]), 50);
  const key = (worker: string) => workerKey({ pool: "p", worker, incarnation: 1n });
  assert.equal(second.workers.get(key("a")), first.workers.get(key("a")));
  assert.equal(second.workers.get(key("b"))?.view.heartbeat?.busy, 2);
});

test("mergeWorkers - ids that only differ in where a separator lies do not collide", () => {
  const one = workerKey({ pool: "a", worker: 'b","c', incarnation: 1n });
  const other = workerKey({ pool: 'a","b', worker: "c", incarnation: 1n });
  assert.notEqual(one, other);
});

test("heartbeatAgeMs - an age grows with the reader's clock from when it was heard", () => {
  const data = mergeWorkers(NO_WORKERS, workers(true, [["a", 1n, 0]]), 1_000);
  const seen = [...data.workers.values()][0];
  assert.ok(seen);
  assert.equal(heartbeatAgeMs(seen, 1_000), 100);
  assert.equal(heartbeatAgeMs(seen, 4_000), 3_100);
  assert.equal(heartbeatAgeMs(seen, 500), 100);
});
