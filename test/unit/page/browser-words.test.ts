import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Backoff } from "../../../browser/backoff.js";
import { age, count, duration, percent, rate } from "../../../browser/format.js";
import { mergeWorkers, NO_WORKERS } from "../../../browser/merge-workers.js";
import { byName, isShown, sortRows } from "../../../browser/order-workers.js";
import { type WorkerRow, workerRow } from "../../../browser/worker-row.js";
import { type Heartbeat, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { WatchWorkersResponseSchema } from "../../../gen/poolmesh/v1/meter_pb.js";
import { plainText } from "../../../mesh/plain-text.js";

/** What the meter says of a worker beside its heartbeat. */
interface Said {
  conflict?: boolean;
  clockOffsetMs?: number;
}

type Given = Partial<Pick<Heartbeat, "worker" | "pool" | "state" | "host" | "labels" | "busy" | "runningJobs">>;

function rowsOf(...given: (Given & Said)[]): WorkerRow[] {
  const message = create(WatchWorkersResponseSchema, {
    snapshot: true,
    changed: given.map(({ conflict = false, clockOffsetMs = 0, ...heartbeat }, i) => ({
      conflict,
      clockOffsetMs,
      heartbeat: { pool: "p", slots: 4, incarnation: BigInt(i), state: WorkerState.READY, ...heartbeat },
    })),
  });
  return [...mergeWorkers(NO_WORKERS, message, 0).workers.values()].map(workerRow);
}

const names = (rows: readonly WorkerRow[]) => rows.map((row) => row.worker);
const all = { pool: "", text: "", states: new Set<never>() };

test("percent - only full reads 100 % and only idle reads 0 %", () => {
  assert.deepEqual([0, 0.001, 0.734, 0.999, 1, 7, Number.NaN].map(percent), [
    "0 %",
    "1 %",
    "73 %",
    "99 %",
    "100 %",
    "100 %",
    "100 %",
  ]);
});

test("duration - reads as a person says it", () => {
  const given = [0, 0.4, 340, 2_400, 9_960, 48_000, 252_000, 300_000, 11_100_000, 187_200_000];
  assert.deepEqual(given.map(duration), [
    "0 ms",
    "0 ms",
    "340 ms",
    "2.4 s",
    "10 s",
    "48 s",
    "4 min 12 s",
    "5 min",
    "3 h 5 min",
    "2 d 4 h",
  ]);
});

test("age - is in whole seconds", () => {
  assert.deepEqual([-5, 0, 999, 1_000, 4_900, 59_999, 63_000].map(age), [
    "now",
    "now",
    "now",
    "1 s",
    "4 s",
    "59 s",
    "1 min 3 s",
  ]);
});

test("count and rate - large numbers stay short", () => {
  assert.deepEqual([0, 999, 12_480, 123_456, 1_250_000].map(count), ["0", "999", "12\u202f480", "123 k", "1.25 M"]);
  assert.deepEqual([0, 0.04, 0.4, 7.49, 41.2, 1_240].map(rate), ["0", "0", "0.4", "7.5", "41", "1\u202f240"]);
});

test("plainText - what could move a cursor, turn the direction or hide is replaced", () => {
  assert.equal(plainText("a\u001b[2Jb\r\nc\u202ed\u200be"), "a·[2Jb··c·d·e");
  assert.equal(plainText("<b>x</b>"), "<b>x</b>");
  assert.equal(plainText("x".repeat(200), 10), `${"x".repeat(9)}…`);
});

test("Backoff - doubles up to its bound, with jitter between half and all", () => {
  const backoff = new Backoff({ baseMs: 100, maxMs: 1_000 });
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6].map(() => backoff.failed(0, 1)),
    [100, 200, 400, 800, 1_000, 1_000],
  );
  assert.equal(backoff.failed(0, 0), 500);
});

test("Backoff - starts anew after a healthy minute, and not before", () => {
  const backoff = new Backoff({ baseMs: 100, maxMs: 1_000 });
  backoff.failed(0, 1);
  assert.equal(backoff.failed(59_999, 1), 200);
  assert.equal(backoff.failed(60_000, 1), 100);
});

test("byName - numbers count as numbers, pools come first", () => {
  const rows = rowsOf({ worker: "w-10" }, { worker: "w-2" }, { worker: "a", pool: "q" });
  assert.deepEqual(names(rows.sort(byName)), ["w-2", "w-10", "a"]);
});

test("sortRows - trouble comes first: lost, conflict, draining, then the rest by name", () => {
  const rows = rowsOf(
    { worker: "a" },
    { worker: "b", state: WorkerState.DRAINING },
    { worker: "c", conflict: true },
    { worker: "d", state: WorkerState.LOST },
    { worker: "e", state: WorkerState.STOPPED },
  );
  const sorted = sortRows(rows, { column: "trouble", descending: false }, 0);
  assert.deepEqual(names(sorted), ["d", "c", "b", "a", "e"]);
});

test("isShown - every word must be found in name, host, state, label or job", () => {
  const [row] = rowsOf({ worker: "w-1", host: "Box", labels: { zone: "eu" }, runningJobs: ["j-77"] });
  assert.ok(row);
  for (const text of ["", "w-1", "box", "ready", "zone=eu", "j-77", "eu BOX"])
    assert.equal(isShown(row, { ...all, text }), true, text);
  for (const text of ["w-2", "eu us"]) assert.equal(isShown(row, { ...all, text }), false, text);
  assert.equal(isShown(row, { ...all, pool: "other" }), false);
  assert.equal(isShown(row, { ...all, states: new Set(["lost"] as const) }), false);
});

test("workerRow - is the same object as long as the worker is", () => {
  const [row] = rowsOf({ worker: "w-1" });
  assert.ok(row);
  assert.equal(workerRow(row.seen), row);
});

test("a row marks a worker whose clock is off by more than two seconds, in either direction", () => {
  const offsets = [0, 1_999, -2_000, 2_001, -3_600_000];
  const rows = rowsOf(...offsets.map((clockOffsetMs, i) => ({ worker: `w${i}`, clockOffsetMs })));
  assert.deepEqual(
    rows.map(({ marks, clockOffsetMs }) => [marks.join(), clockOffsetMs]),
    offsets.map((offset, i) => [i > 2 ? "clock off" : "", offset]),
  );
});
