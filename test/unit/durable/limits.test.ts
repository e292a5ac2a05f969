/** Limits: who may start, as one pure decision, and what is stored of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { ManagerHeartbeatSchema } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { checkConcurrencyKey, keyToken } from "../../../mesh/durable/limits/concurrency-key.js";
import { checkLimit, decodeLimits, encodeLimits, type Limit, limitOfKey } from "../../../mesh/durable/limits/limit.js";
import { PoolError } from "../../../mesh/errors.js";
import { BrokerClock } from "../../../services/manager/durable/limits/broker-clock.js";
import { plan, type Wish } from "../../../services/manager/durable/limits/plan.js";
import {
  dated,
  decodeRecord,
  EMPTY_RECORD,
  encodeRecord,
  isOver,
  type Leave,
  type LimitRecord,
} from "../../../services/manager/durable/limits/record.js";
import { AllHeldBack } from "../../../services/manager/durable/told/held-back.js";

const NOW = 1_700_000_000_000;

function wish(limit: Limit | undefined, waiting: number[], more: Partial<Wish> = {}): Wish {
  return { manager: "me", limit, waiting: firsts(waiting), ended: new Map(), nowMs: NOW, mayPass: false, ...more };
}

/** Jobs of which each was delivered once. */
function firsts(sequences: readonly number[]): Map<number, number> {
  return new Map(sequences.map((sequence) => [sequence, 1]));
}

function leaves(...sequences: number[]): Leave[] {
  return [...firsts(sequences)];
}

const three: Limit = { target: "each-key", running: 3 };

test("limits - the earliest jobs get leave up to the limit, and the record says who waits", () => {
  const { record, granted, isChanged } = plan(EMPTY_RECORD, wish(three, [9, 4, 7, 5]));
  assert.deepEqual(granted, [4, 5, 7]);
  assert.deepEqual(record.running, leaves(4, 5, 7));
  assert.deepEqual(record.waiting, { me: 9 });
  assert.ok(isChanged);
  const again = plan(record, wish(three, [9]));
  assert.equal(again.isChanged, false, "a job that waits on costs no write");
  const next = plan(record, wish(three, [9], { ended: firsts([4]) }));
  assert.deepEqual(next.granted, [9]);
  assert.deepEqual(next.record.running, leaves(5, 7, 9));
  assert.deepEqual(next.record.waiting, {});
});

test("limits - a job that has leave keeps it at another manager, also when the limit is lower by then", () => {
  const before: LimitRecord = { ...EMPTY_RECORD, running: leaves(1, 2, 3) };
  const { granted, isChanged } = plan(before, wish({ target: "pool", running: 1 }, [2, 8], { manager: "other" }));
  assert.deepEqual(granted, [2]);
  assert.ok(isChanged, "job 8 waits from now on");
});

test("limits - a manager leaves a place to one whose job was stored earlier, until that one does not come", () => {
  const before: LimitRecord = { ...EMPTY_RECORD, running: leaves(1), waiting: { other: 5 } };
  const free = { ended: firsts([1]) };
  const polite = plan(before, wish({ target: "pool", running: 1 }, [6], free));
  assert.deepEqual(polite.granted, []);
  assert.deepEqual(polite.record.waiting, { other: 5, me: 6 });
  const first = plan(before, wish({ target: "pool", running: 1 }, [4], free));
  assert.deepEqual(first.granted, [4]);
  const passing = plan(before, wish({ target: "pool", running: 1 }, [6], { ...free, mayPass: true }));
  assert.deepEqual(passing.granted, [6]);
  assert.deepEqual(passing.record.waiting, {}, "whoever waits says so again");
});

test("limits - for a thousand random times of arrival no window has more starts than its limit", () => {
  for (const perMs of [100, 1_000, 86_400_000]) {
    const limit: Limit = { target: "pool", starts: 7, perMs };
    let record = EMPTY_RECORD;
    let atMs = NOW;
    const starts: number[] = [];
    for (let sequence = 1; sequence <= 1_000; sequence += 1) {
      atMs += Math.random() ** 3 * perMs * 0.5;
      const planned = plan(record, wish(limit, [sequence], { nowMs: atMs, mayPass: true }));
      record = dated(decodeRecord(encodeRecord(planned.record)), atMs);
      if (planned.granted.length > 0) starts.push(atMs);
    }
    assert.ok(starts.length > 10);
    for (let i = 7; i < starts.length; i += 1) {
      assert.ok((starts[i] ?? 0) - (starts[i - 7] ?? 0) >= perMs, `eight starts within ${perMs} ms`);
    }
    assert.ok(record.starts.length <= 21, "what is kept of a window is bounded");
  }
});

test("limits - a record of which nobody knows the date, and another window, lengthen the wait and never shorten it", () => {
  const limit: Limit = { target: "pool", starts: 2, perMs: 1_000 };
  const full = plan(EMPTY_RECORD, wish(limit, [1, 2])).record;
  assert.deepEqual(plan(full, wish(limit, [3], { nowMs: NOW + 86_400_000 })).granted, [], "not dated");
  const at = dated(full, NOW);
  assert.deepEqual(plan(at, wish(limit, [3], { nowMs: undefined })).granted, []);
  assert.deepEqual(plan(at, wish(limit, [3], { nowMs: NOW - 5_000 })).granted, []);
  assert.deepEqual(plan(at, wish(limit, [3], { nowMs: NOW + 1_100 })).granted, [3]);
  const other: Limit = { target: "pool", starts: 2, perMs: 60_000 };
  const changed = plan({ ...at, waiting: { me: 3 } }, wish(other, [3], { nowMs: NOW + 1_100 }));
  assert.deepEqual(changed.granted, []);
  assert.ok(changed.isChanged, "else its starts would be of now for ever");
  const later = dated(changed.record, NOW + 1_100);
  assert.deepEqual(plan(later, wish(other, [3], { nowMs: NOW + 70_000 })).granted, [3]);
});

test("limits - starts that a wrong clock has put an hour ahead count as of now, and not for an hour", () => {
  const limit: Limit = { target: "pool", starts: 1, perMs: 1_000 };
  const ahead = dated(plan(EMPTY_RECORD, wish(limit, [1])).record, NOW + 3_600_000);
  const { granted, record, isChanged } = plan(ahead, wish(limit, [2]));
  assert.deepEqual(granted, []);
  assert.ok(isChanged);
  const next = plan(dated(record, NOW), wish(limit, [2], { nowMs: NOW + 1_100 }));
  assert.deepEqual(next.granted, [2]);
});

test("limits - the end of an earlier delivery takes no leave from a later one, also when both have one count", () => {
  // A broker that was killed counts deliveries again: the second one may have any count.
  for (const [first, second] of [
    [1, 2],
    [1, 1],
    [2, 1],
  ] as const) {
    const before: LimitRecord = { ...EMPTY_RECORD, running: [[7, first]] };
    const taken = plan(before, wish(three, [], { manager: "other", waiting: new Map([[7, second]]) }));
    assert.deepEqual(taken.granted, [7]);
    assert.ok(taken.isChanged, "who had it has to see that it was taken over");
    const stored = decodeRecord(encodeRecord(taken.record));
    const after = plan(stored, wish(three, [], { ended: new Map([[7, first]]) }));
    assert.deepEqual(after.record.running, [[7, second, "other"]]);
    const over = plan(after.record, wish(three, [], { manager: "other", ended: new Map([[7, second]]) }));
    assert.deepEqual(over.record.running, []);
    const isGone = plan(after.record, wish(three, [], { ended: new Map([[7, Number.POSITIVE_INFINITY]]) }));
    assert.deepEqual(isGone.record.running, [], "a job that its stream has no more has ended");
  }
});

test("limits - who waits for a leave that it has taken over already writes nothing", () => {
  const before: LimitRecord = { ...EMPTY_RECORD, running: [[7, 1, "me"]] };
  assert.equal(plan(before, wish(three, [7])).isChanged, false);
  assert.equal(plan(before, wish(three, [], { waiting: new Map([[7, 2]]) })).isChanged, true);
});

test("limits - a start whose acknowledgement was lost is not counted twice, and another delivery of the job is", () => {
  const limit: Limit = { target: "pool", starts: 1, perMs: 86_400_000 };
  const stored = dated(decodeRecord(encodeRecord(plan(EMPTY_RECORD, wish(limit, [5])).record)), NOW);
  const again = plan(stored, wish(limit, [5]));
  assert.deepEqual(again.granted, [5]);
  assert.equal(again.isChanged, false);
  assert.deepEqual(plan(stored, wish(limit, [], { waiting: new Map([[5, 2]]) })).granted, []);
});

test("limits - the broker's time is never taken to be later than it is, and goes on between what is heard", () => {
  let nowMs = 1_000;
  const clock = new BrokerClock({ now: () => nowMs });
  assert.equal(clock.now(), undefined);
  clock.hear(undefined);
  clock.hear(Number.NaN);
  assert.equal(clock.now(), undefined);
  clock.hear(NOW);
  nowMs += 50;
  assert.equal(clock.now(), NOW + 50);
  clock.hear(NOW + 10);
  assert.equal(clock.now(), NOW + 50, "a message that was long on its way");
  clock.hear(NOW + 80);
  assert.equal(clock.now(), NOW + 80);
  nowMs += 60_000;
  clock.hear(NOW + 60_000);
  nowMs += 60_000;
  clock.hear(NOW + 120_000);
  assert.equal(clock.now(), NOW + 120_000, "what was heard long ago counts no more: clocks drift");
});

test("limits - without a limit all that wait get leave, and what ended is forgotten", () => {
  const before: LimitRecord = { ...EMPTY_RECORD, running: leaves(1, 2), waiting: { me: 3 } };
  const { record, granted } = plan(before, wish(undefined, [3, 4], { ended: firsts([1, 2]) }));
  assert.deepEqual(granted, [3, 4]);
  assert.ok(isOver(record, NOW));
});

test("limits - a record is over when nothing runs, waits or has started in its window", () => {
  const fresh = plan(EMPTY_RECORD, wish({ target: "pool", starts: 1, perMs: 1_000 }, [1])).record;
  assert.equal(isOver(fresh, NOW + 1_200), false, "nobody knows when it was stored");
  const started = dated(fresh, NOW);
  assert.equal(isOver(started, NOW + 900), false);
  assert.equal(isOver(started, undefined), false);
  assert.equal(isOver(started, NOW + 1_200), true);
  assert.equal(isOver({ ...EMPTY_RECORD, running: leaves(1) }, NOW), false);
  assert.equal(isOver({ ...EMPTY_RECORD, waiting: { other: 1 } }, NOW), false);
});

test("limits - what no manager wrote is an empty record, and no limit", () => {
  for (const text of [
    "",
    "x",
    "7",
    "[]",
    "null",
    '{"running":["a"]}',
    '{"starts":[[1,"b"]]}',
    '{"perMs":-1}',
    '{"fresh":-1}',
    '{"given":{"a":7}}',
    '{"running":[[1]]}',
    '{"waiting":{"a":"b"}}',
  ]) {
    assert.deepEqual(decodeRecord(Buffer.from(text)), EMPTY_RECORD, text);
    assert.equal(decodeLimits(Buffer.from(text)).size, 0, text);
  }
});

test("limits - the limit of one key takes the place of that for each, and limits are read back as they were written", () => {
  const all = [three, checkLimit({ target: "key:a", starts: 5 }), checkLimit({ target: "pool", running: 9 })];
  const limits = decodeLimits(encodeLimits(new Map(all.map((limit) => [limit.target, limit]))));
  assert.deepEqual([...limits.values()], all);
  assert.deepEqual(limitOfKey(limits, "a"), { target: "key:a", starts: 5, perMs: 1_000 });
  assert.deepEqual(limitOfKey(limits, "b"), three);
  assert.equal(limitOfKey(new Map([["pool", three]]), "b"), undefined);
});

test("limits - a key has 1 to 128 characters, and one token of letters, digits, _ and - in a subject", () => {
  for (const key of ["a", "*", ">", "a.b", "ключ", "k".repeat(128)]) {
    assert.equal(checkConcurrencyKey(key), key);
    assert.match(keyToken(key), /^k[A-Za-z0-9_-]{22}$/);
  }
  for (const key of ["", " a", "a ", "a\tb", "a\u0085b", "k".repeat(129), undefined, 7]) {
    assert.throws(() => checkConcurrencyKey(key), PoolError);
  }
});

test("held back - a manager adds up what it and the others that are there say, and forgets who stopped or went", () => {
  const there = new Set(["b", "c"]);
  const own = { retrying: 1, limited: 2 };
  const all = new AllHeldBack({
    own: (pool) => (pool === "p" ? own : undefined),
    others: () => [...there],
  });
  const tell = (manager: string, limited: number, stopped = false): void =>
    all.onHeartbeat(create(ManagerHeartbeatSchema, { pool: "p", manager, durableLimited: limited, stopped }));
  assert.deepEqual(all.of("p"), own);
  tell("b", 10);
  tell("c", 100);
  assert.deepEqual(all.of("p"), { retrying: 1, limited: 112 });
  assert.equal(all.of("other"), undefined, "it has no lane of that pool");
  tell("b", 0);
  assert.deepEqual(all.of("p"), { retrying: 1, limited: 102 });
  there.delete("c");
  assert.deepEqual(all.of("p"), own, "it went without a word");
  tell("b", 5);
  tell("b", 5, true);
  assert.deepEqual(all.of("p"), own, "it stopped");
});
