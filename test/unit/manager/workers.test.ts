import assert from "node:assert/strict";
import { test } from "node:test";
import { Isolation, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { type WorkerHeartbeat, Workers } from "../../../services/manager/jobs/workers.js";
import { seededRandom } from "../../support/random.js";

function heartbeat(worker: string, more: Partial<WorkerHeartbeat> = {}): WorkerHeartbeat {
  return {
    worker,
    incarnation: 1n,
    seq: 1n,
    state: WorkerState.READY,
    slots: 4,
    busy: 0,
    heartbeatIntervalMs: 1_000,
    isolation: Isolation.INLINE,
    ...more,
  };
}

/** An assignment is never answered. */
function timeOut(workers: Workers, id: string, nowMs: number): void {
  workers.answered(id);
  workers.timedOut(id, nowMs);
}

/** The first reply to an assignment is its result. */
function resulted(workers: Workers, id: string, free: number | undefined, nowMs: number): void {
  workers.answered(id);
  workers.freed(id);
  workers.said(id, free, nowMs);
}

test("workers - room is the free slots of READY workers only", () => {
  const workers = new Workers();
  assert.equal(workers.heartbeat(heartbeat("a"), 0), "joined");
  workers.heartbeat(heartbeat("b", { state: WorkerState.PAUSED }), 0);
  workers.heartbeat(heartbeat("c", { busy: 3 }), 0);
  assert.equal(workers.free, 5);
  assert.equal(workers.capacity, 8);
});

test("workers - an assignment takes a slot at once and its result gives it back", () => {
  const workers = new Workers();
  workers.heartbeat(heartbeat("a", { slots: 1 }), 0);
  assert.equal(workers.assign(0)?.id, "a");
  assert.equal(workers.free, 0);
  assert.equal(workers.assign(0), undefined);
  resulted(workers, "a", 1, 1);
  assert.equal(workers.free, 1);
});

test("workers - assignments go round the workers that have room", () => {
  const workers = new Workers();
  for (const id of ["a", "b", "c"]) workers.heartbeat(heartbeat(id, { slots: 2 }), 0);
  const taken = Array.from({ length: 6 }, () => workers.assign(0)?.id);
  assert.deepEqual(taken, ["a", "b", "c", "a", "b", "c"]);
});

test("workers - a heartbeat sent before an assignment arrived does not give its slot away again", () => {
  const workers = new Workers();
  workers.heartbeat(heartbeat("a", { slots: 1 }), 0);
  workers.assign(0);
  workers.heartbeat(heartbeat("a", { slots: 1, seq: 2n, busy: 0 }), 1);
  assert.equal(workers.free, 0);
});

test("workers - a heartbeat that counts the assignment leaves no slot waiting", () => {
  const workers = new Workers();
  workers.heartbeat(heartbeat("a", { slots: 4 }), 0);
  for (let i = 0; i < 3; i += 1) workers.assign(0);
  workers.heartbeat(heartbeat("a", { slots: 4, seq: 2n, busy: 3 }), 1);
  assert.equal(workers.free, 1);
});

test("workers - busy empties the estimate, a later heartbeat fills it", () => {
  const workers = new Workers();
  workers.heartbeat(heartbeat("a", { slots: 4 }), 0);
  workers.assign(0);
  workers.answered("a");
  workers.said("a", 0, 1);
  assert.equal(workers.free, 0);
  workers.heartbeat(heartbeat("a", { slots: 4, seq: 2n, busy: 1 }), 2);
  assert.equal(workers.free, 3);
});

test("workers - an older sequence number or incarnation is ignored", () => {
  const workers = new Workers();
  workers.heartbeat(heartbeat("a", { incarnation: 2n, seq: 5n, busy: 4 }), 0);
  assert.equal(workers.heartbeat(heartbeat("a", { incarnation: 2n, seq: 5n }), 1), "ignored");
  assert.equal(workers.heartbeat(heartbeat("a", { incarnation: 1n, seq: 9n }), 1), "ignored");
  assert.equal(workers.free, 0);
});

test("workers - a restart under the same id is told apart and starts fresh", () => {
  const workers = new Workers();
  workers.heartbeat(heartbeat("a"), 0);
  for (let i = 0; i < 4; i += 1) workers.assign(0);
  assert.equal(workers.heartbeat(heartbeat("a", { incarnation: 2n }), 1), "restarted");
  assert.equal(workers.free, 4);
  assert.equal(workers.size, 1);
});

test("workers - a worker that was started again with its clock set back takes its place once the earlier process is silent", () => {
  const workers = new Workers();
  const earlier = (seq: bigint): WorkerHeartbeat => heartbeat("a", { incarnation: 9n, seq });
  const later = (seq: bigint): WorkerHeartbeat => heartbeat("a", { incarnation: 5n, seq });
  workers.heartbeat(earlier(1n), 0);
  assert.equal(workers.heartbeat(later(1n), 100), "ignored");
  // A probe is answered by whoever has the id.
  workers.heard("a", 2_900);
  assert.equal(workers.heartbeat(later(2n), 3_000), "ignored");
  assert.equal(workers.heartbeat(later(2n), 3_100), "ignored", "the same heartbeat once more");
  assert.equal(workers.heartbeat(later(3n), 3_200), "restarted");
  assert.equal(workers.heartbeat(later(4n), 4_200), "updated");
  assert.equal(workers.heartbeat(later(2n), 4_300), "ignored");
});

test("workers - of two live processes with one id the later one keeps its place", () => {
  const workers = new Workers();
  for (let second = 0n; second < 10n; second += 1n) {
    const nowMs = Number(second) * 1_000;
    assert.notEqual(workers.heartbeat(heartbeat("a", { incarnation: 9n, seq: second + 1n }), nowMs), "restarted");
    assert.equal(workers.heartbeat(heartbeat("a", { incarnation: 5n, seq: second + 1n }), nowMs + 500), "ignored");
  }
});

test("workers - a last heartbeat removes the worker and its slots", () => {
  const workers = new Workers();
  workers.heartbeat(heartbeat("a"), 0);
  assert.equal(workers.heartbeat(heartbeat("a", { seq: 2n, state: WorkerState.STOPPED }), 1), "left");
  assert.equal(workers.free, 0);
  assert.equal(workers.size, 0);
});

test("workers - three silent intervals make a worker silent, an outage of our own does not", () => {
  const workers = new Workers();
  workers.heartbeat(heartbeat("a", { heartbeatIntervalMs: 200 }), 0);
  assert.deepEqual(workers.silent(600), []);
  assert.deepEqual(workers.silent(601), ["a"]);
  workers.resetSilence(601);
  assert.deepEqual(workers.silent(900), []);
});

test("workers - a worker that twice answers no assignment gets none until it speaks", () => {
  const workers = new Workers();
  workers.heartbeat(heartbeat("a", { slots: 1 }), 0);
  workers.assign(0);
  timeOut(workers, "a", 250);
  workers.heartbeat(heartbeat("a", { slots: 1, seq: 2n }), 300);
  assert.equal(workers.free, 1, "one miss is forgiven at the next heartbeat");
  workers.assign(300);
  timeOut(workers, "a", 550);
  workers.heartbeat(heartbeat("a", { slots: 1, seq: 3n }), 600);
  assert.equal(workers.free, 0, "beats, but takes nothing");
  workers.said("a", 1, 700);
  workers.heartbeat(heartbeat("a", { slots: 1, seq: 4n }), 800);
  assert.equal(workers.free, 1);
});

test("workers - is bounded", () => {
  const workers = new Workers(2);
  for (const id of ["a", "b", "c"]) workers.heartbeat(heartbeat(id), 0);
  assert.equal(workers.size, 2);
});

test("workers - the estimate stays within what the worker's word allows, for any order of events", () => {
  const random = seededRandom(11);
  const workers = new Workers();
  const SLOTS = 4;
  // The truth: jobs running at the worker, and assignments that have not reached it yet.
  let running = 0;
  let onTheWay = 0;
  let seq = 1n;
  workers.heartbeat(heartbeat("a", { slots: SLOTS }), 0);
  for (let i = 0; i < 20_000; i += 1) {
    const dice = random();
    if (dice < 0.35) {
      if (workers.assign(i) !== undefined) onTheWay += 1;
    } else if (dice < 0.6 && onTheWay > 0) {
      onTheWay -= 1;
      if (running < SLOTS) {
        running += 1;
        workers.answered("a");
        workers.said("a", SLOTS - running, i);
      } else {
        workers.answered("a");
        workers.said("a", 0, i);
      }
    } else if (dice < 0.85 && running > 0) {
      running -= 1;
      workers.freed("a");
      workers.said("a", SLOTS - running, i);
    } else {
      seq += 1n;
      workers.heartbeat(heartbeat("a", { slots: SLOTS, busy: running, seq }), i);
    }
    const free = SLOTS - running;
    assert.ok(workers.free <= free, `never more than ${free} free, got ${workers.free}`);
    assert.ok(workers.free >= free - onTheWay, `never less than ${free - onTheWay}, got ${workers.free}`);
  }
});
