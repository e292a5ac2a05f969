import assert from "node:assert/strict";
import { test } from "node:test";
import { Isolation, WorkerState } from "../../gen/poolmesh/v1/heartbeat_pb.js";
import { type Beat, Roster } from "../../services/manager/jobs/workers.js";
import { seededRandom } from "../support/random.js";

function beat(worker: string, more: Partial<Beat> = {}): Beat {
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

const reply = { event: "ended", free: undefined, handOff: true, counted: true } as const;

test("roster - room is the free slots of READY workers only", () => {
  const roster = new Roster();
  assert.equal(roster.beat(beat("a"), 0), "joined");
  roster.beat(beat("b", { state: WorkerState.PAUSED }), 0);
  roster.beat(beat("c", { busy: 3 }), 0);
  assert.equal(roster.free, 5);
  assert.equal(roster.capacity, 8);
});

test("roster - a hand-off takes a slot at once and its result gives it back", () => {
  const roster = new Roster();
  roster.beat(beat("a", { slots: 1 }), 0);
  assert.equal(roster.handOff(0)?.id, "a");
  assert.equal(roster.free, 0);
  assert.equal(roster.handOff(0), undefined);
  roster.answered("a", { ...reply, free: 1 }, 1);
  assert.equal(roster.free, 1);
});

test("roster - hand-offs go round the workers that have room", () => {
  const roster = new Roster();
  for (const id of ["a", "b", "c"]) roster.beat(beat(id, { slots: 2 }), 0);
  const taken = Array.from({ length: 6 }, () => roster.handOff(0)?.id);
  assert.deepEqual(taken, ["a", "b", "c", "a", "b", "c"]);
});

test("roster - a heartbeat sent before a hand-off arrived does not give its slot away again", () => {
  const roster = new Roster();
  roster.beat(beat("a", { slots: 1 }), 0);
  roster.handOff(0);
  roster.beat(beat("a", { slots: 1, seq: 2n, busy: 0 }), 1);
  assert.equal(roster.free, 0);
});

test("roster - a heartbeat that counts the hand-off leaves no slot waiting", () => {
  const roster = new Roster();
  roster.beat(beat("a", { slots: 4 }), 0);
  for (let i = 0; i < 3; i += 1) roster.handOff(0);
  roster.beat(beat("a", { slots: 4, seq: 2n, busy: 3 }), 1);
  assert.equal(roster.free, 1);
});

test("roster - busy empties the estimate, a later heartbeat fills it", () => {
  const roster = new Roster();
  roster.beat(beat("a", { slots: 4 }), 0);
  roster.handOff(0);
  roster.answered("a", { event: "busy", free: 0, handOff: true, counted: false }, 1);
  assert.equal(roster.free, 0);
  roster.beat(beat("a", { slots: 4, seq: 2n, busy: 1 }), 2);
  assert.equal(roster.free, 3);
});

test("roster - an older sequence number or incarnation is ignored", () => {
  const roster = new Roster();
  roster.beat(beat("a", { incarnation: 2n, seq: 5n, busy: 4 }), 0);
  assert.equal(roster.beat(beat("a", { incarnation: 2n, seq: 5n }), 1), "ignored");
  assert.equal(roster.beat(beat("a", { incarnation: 1n, seq: 9n }), 1), "ignored");
  assert.equal(roster.free, 0);
});

test("roster - a restart under the same id is told apart and starts fresh", () => {
  const roster = new Roster();
  roster.beat(beat("a"), 0);
  for (let i = 0; i < 4; i += 1) roster.handOff(0);
  assert.equal(roster.beat(beat("a", { incarnation: 2n }), 1), "restarted");
  assert.equal(roster.free, 4);
  assert.equal(roster.size, 1);
});

test("roster - a last heartbeat removes the worker and its slots", () => {
  const roster = new Roster();
  roster.beat(beat("a"), 0);
  assert.equal(roster.beat(beat("a", { seq: 2n, state: WorkerState.STOPPED }), 1), "left");
  assert.equal(roster.free, 0);
  assert.equal(roster.size, 0);
});

test("roster - three silent intervals make a worker silent, an outage of our own does not", () => {
  const roster = new Roster();
  roster.beat(beat("a", { heartbeatIntervalMs: 200 }), 0);
  assert.deepEqual(roster.silent(600), []);
  assert.deepEqual(roster.silent(601), ["a"]);
  roster.forgive(601);
  assert.deepEqual(roster.silent(900), []);
});

test("roster - a worker that twice takes no hand-off is shunned until it speaks", () => {
  const roster = new Roster();
  roster.beat(beat("a", { slots: 1 }), 0);
  roster.handOff(0);
  roster.unanswered("a", 250);
  roster.beat(beat("a", { slots: 1, seq: 2n }), 300);
  assert.equal(roster.free, 1, "one miss is forgiven at the next heartbeat");
  roster.handOff(300);
  roster.unanswered("a", 550);
  roster.beat(beat("a", { slots: 1, seq: 3n }), 600);
  assert.equal(roster.free, 0, "beats, but takes nothing");
  roster.answered("a", { event: "accepted", free: 1, handOff: false, counted: true }, 700);
  roster.beat(beat("a", { slots: 1, seq: 4n }), 800);
  assert.equal(roster.free, 1);
});

test("roster - is bounded", () => {
  const roster = new Roster(2);
  for (const id of ["a", "b", "c"]) roster.beat(beat(id), 0);
  assert.equal(roster.size, 2);
});

test("roster - the estimate stays within what the worker's word allows, for any order of events", () => {
  const random = seededRandom(11);
  const roster = new Roster();
  const SLOTS = 4;
  // The truth: jobs running at the worker, and hand-offs that have not reached it yet.
  let running = 0;
  let onTheWay = 0;
  let seq = 1n;
  roster.beat(beat("a", { slots: SLOTS }), 0);
  for (let i = 0; i < 20_000; i += 1) {
    const dice = random();
    if (dice < 0.35) {
      if (roster.handOff(i) !== undefined) onTheWay += 1;
    } else if (dice < 0.6 && onTheWay > 0) {
      onTheWay -= 1;
      if (running < SLOTS) {
        running += 1;
        roster.answered("a", { event: "accepted", free: SLOTS - running, handOff: true, counted: true }, i);
      } else roster.answered("a", { event: "busy", free: 0, handOff: true, counted: false }, i);
    } else if (dice < 0.85 && running > 0) {
      running -= 1;
      roster.answered("a", { event: "ended", free: SLOTS - running, handOff: false, counted: true }, i);
    } else {
      seq += 1n;
      roster.beat(beat("a", { slots: SLOTS, busy: running, seq }), i);
    }
    const free = SLOTS - running;
    assert.ok(roster.free <= free, `never more than ${free} free, got ${roster.free}`);
    assert.ok(roster.free >= free - onTheWay, `never less than ${free - onTheWay}, got ${roster.free}`);
  }
});
