import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import type { WorkerRow } from "../../../browser/worker-row.js";
import { PoolError } from "../../../browser.js";
import { JobViewSchema, JobViewState } from "../../../gen/poolmesh/v1/job_pb.js";
import { changesSaid } from "../../../services/meter/page/announcer.js";
import { filledCells } from "../../../services/meter/page/brand.js";
import { layoutField, tankHeight, workerAt } from "../../../services/meter/page/charts/field-layout.js";
import { HISTORY_POINTS, HistoryRing } from "../../../services/meter/page/charts/history-ring.js";
import { niceTop } from "../../../services/meter/page/charts/nice-top.js";
import { trailingMean } from "../../../services/meter/page/charts/trailing-mean.js";
import { timelineOf } from "../../../services/meter/page/jobs/timeline.js";
import { parsePageConfig } from "../../../services/meter/page/page-config.js";
import { initialState } from "../../../services/meter/page/page-state.js";
import { vacancyOf } from "../../../services/meter/page/pools/vacancy.js";
import { durableHash, jobHash, poolHash, routeOf, workerHash } from "../../../services/meter/page/route.js";
import { statusWords } from "../../../services/meter/page/status-pill.js";
import { virtualWindow } from "../../../services/meter/page/workers/virtual-window.js";

const tail = (ring: HistoryRing, many: number) => ring.lane("utilization").slice(-many);
const point = (utilization: number) => ({ utilization, jobsPerSecond: 1, parked: 0 });

test("HistoryRing - a seed lies so that its newest point is now, and unknown seconds are gaps", () => {
  const ring = new HistoryRing();
  ring.seed(
    { stepMs: 1_000, utilization: [-1, 0.25, 0.5], jobsPerSecond: [0, 1, 2], slots: [0, 4, 4], parked: [0, 0, 3] },
    0,
  );
  assert.deepEqual(tail(ring, 4), [null, null, 0.25, 0.5]);
  assert.deepEqual(ring.lane("parked").slice(-3), [null, 0, 3]);
  assert.equal(ring.lane("utilization").length, HISTORY_POINTS);
});

test("HistoryRing - a longer step fills each second of it", () => {
  const ring = new HistoryRing();
  ring.seed({ stepMs: 2_000, utilization: [0.25, 0.5], jobsPerSecond: [1, 2], slots: [4, 4], parked: [0, 0] }, 0);
  assert.deepEqual(tail(ring, 5), [null, 0.25, 0.25, 0.5, 0.5]);
});

test("HistoryRing - seconds that passed unseen are gaps and are reported", () => {
  const ring = new HistoryRing();
  assert.equal(ring.advance(point(0.5), 0), false);
  assert.equal(ring.advance(point(0.6), 1_010), false);
  assert.equal(ring.advance(point(0.7), 1_300), false);
  assert.equal(ring.advance(point(0.8), 6_000), true);
  assert.deepEqual(tail(ring, 7), [0.5, 0.6, null, null, null, null, 0.8]);
  assert.equal(ring.advance(point(0.9), 9_999_999), true);
  assert.equal(ring.lane("utilization").length, HISTORY_POINTS);
});

test("HistoryRing - a pool without slots is not full, and its parked jobs are known", () => {
  const ring = new HistoryRing();
  ring.seed({ stepMs: 1_000, utilization: [1, 1], jobsPerSecond: [0, 0], slots: [0, 2], parked: [7, 8] }, 0);
  assert.deepEqual(tail(ring, 2), [null, 1]);
  assert.deepEqual(ring.lane("parked").slice(-2), [7, 8]);
});

test("HistoryRing - its newest point follows what is true now, and nothing before it", () => {
  const ring = new HistoryRing();
  ring.amend(point(0.4));
  assert.deepEqual(tail(ring, 1), [null], "nothing was there to follow");
  ring.advance(point(0.5), 0);
  ring.advance(point(0.6), 1_000);
  ring.amend(point(0.65));
  assert.deepEqual(tail(ring, 2), [0.5, 0.65]);
  ring.advance(point(0.7), 2_000);
  assert.deepEqual(tail(ring, 3), [0.5, 0.65, 0.7]);
});

test("virtualWindow - a long table draws what is in view and a little more, and keeps the room of the rest", () => {
  const view = virtualWindow(1_000, 3_600, 720, 36);
  assert.deepEqual(view, { first: 92, last: 128, padTopPx: 92 * 36, padBottomPx: 872 * 36 });
  assert.deepEqual(virtualWindow(1_000, -5_000, 720, 36), { first: 0, last: 0, padTopPx: 0, padBottomPx: 36_000 });
  assert.equal(virtualWindow(1_000, 99_999, 720, 36).last, 1_000);
});

test("virtualWindow - a short table is drawn whole", () => {
  assert.deepEqual(virtualWindow(40, 9_999, 720, 36), { first: 0, last: 40, padTopPx: 0, padBottomPx: 0 });
});

test("layoutField - every cell lies inside, none on another, for any mesh", () => {
  for (const slots of [
    [4, 4, 4],
    [1],
    [64, 3, 16, 1],
    Array.from({ length: 300 }, (_, i) => 1 + (i % 9)),
    Array.from({ length: 1_000 }, () => 8),
  ]) {
    const layout = layoutField(slots, 780, 128);
    const taken = new Set(layout.places.map(String));
    assert.equal(taken.size, layout.places.length);
    assert.equal(layout.starts.length, slots.length + 1);
    for (const [x, y] of layout.places)
      assert.ok(x >= 0 && y >= 0 && x + layout.cellPx <= 780 && y + layout.cellPx <= 128);
  }
});

test("layoutField - without room for slots each worker is a cell, and no number of workers breaks it", () => {
  assert.equal(
    layoutField(
      Array.from({ length: 1_000 }, () => 8),
      780,
      128,
    ).unit,
    "workers",
  );
  assert.equal(
    layoutField(
      Array.from({ length: 100_000 }, () => 8),
      780,
      128,
    ).places.length,
    100_000,
  );
  assert.deepEqual(layoutField([], 780, 128).starts, [0]);
});

test("workerAt - finds the worker under a point, and none beside", () => {
  const slots = [4, 8, 2];
  const layout = layoutField(slots, 780, 128);
  slots.forEach((_, worker) => {
    const [x, y] = layout.places[layout.starts[worker] ?? 0] ?? [0, 0];
    assert.equal(workerAt(layout, x + 1, y + 1), worker);
  });
  assert.equal(workerAt(layout, 779, 127), undefined);
});

test("tankHeight - a typical worker comes out about square", () => {
  assert.deepEqual([[1], [4, 4], [8], [16, 16, 1], [1_000], []].map(tankHeight), [1, 2, 3, 4, 8, 1]);
});

test("statusWords - say what to think of what is seen", () => {
  const error = new PoolError("bus_unavailable", "away");
  assert.deepEqual(statusWords({ state: "live" }, 0, 0), { pill: "live", notice: "" });
  assert.equal(statusWords({ state: "stale", staleAgeMs: 3_000 }, 2_000, 0).pill, "stale for 5 s");
  const lost = statusWords({ state: "disconnected", attempt: 2, retryInMs: 4_000, error }, 500, 7_000);
  assert.match(lost.notice, /Trying again in 4 s\. The values are 7 s old\./);
  const refused = { state: "disconnected", attempt: 1, retryInMs: Number.POSITIVE_INFINITY, error } as const;
  assert.match(statusWords(refused, 0, 0).notice, /refuses: away/);
});

test("changesSaid - names a few workers in trouble, counts many, and says nothing of numbers", () => {
  const row = (worker: string, state: WorkerRow["state"]) => ({ key: worker, worker, state }) as WorkerRow;
  const ready = new Map(["a", "b", "c", "d"].map((name) => [name, "ready"] as const));
  assert.equal(changesSaid(ready, [row("a", "lost"), row("b", "ready")]), "a lost");
  assert.equal(
    changesSaid(
      ready,
      ["a", "b", "c", "d"].map((name) => row(name, "lost")),
    ),
    "4 workers lost",
  );
  assert.equal(changesSaid(ready, [row("new", "lost")]), "");
  assert.equal(changesSaid(new Map([["a", "lost"]]), [row("a", "ready")]), "a ready");
});

test("vacancyOf - tells connecting, unreachable and empty apart", () => {
  const state = initialState();
  assert.equal(vacancyOf(state), "connecting");
  const data = { version: 0n, pools: new Map(), total: undefined, freshness: undefined, receivedAtMs: 0 };
  assert.equal(
    vacancyOf({ ...state, capacity: { ...data, connection: { state: "connecting", attempt: 3 } } }),
    "unreachable",
  );
  const total = { slots: 0 } as never;
  const live = { ...data, total, connection: { state: "live" } } as const;
  assert.equal(vacancyOf({ ...state, capacity: live }), "no workers");
  assert.equal(vacancyOf({ ...state, capacity: live, pool: "p" }), "no such pool");
  const failing = { slots: 0, endedLastMinute: 3n } as never;
  assert.equal(vacancyOf({ ...state, capacity: { ...live, total: failing } }), undefined, "its failures are listed");
});

test("filledCells - nine of nine only when full, none only when idle", () => {
  assert.deepEqual([0, 0.01, 0.5, 0.99, 1].map(filledCells), [0, 1, 5, 8, 9]);
});

test("trailingMean - is calm where values are known and leaves gaps as they are", () => {
  assert.deepEqual(trailingMean([1, 3, null, 5, 8], 2), [1, 2, null, 5, 6.5]);
  assert.deepEqual(trailingMean([], 5), []);
});

test("niceTop - is the next of 1, 2, 5 and their tens", () => {
  assert.deepEqual(
    [niceTop(0, 10), niceTop(11, 1), niceTop(37, 1), niceTop(0.3, 1), niceTop(51, 1)],
    [10, 20, 50, 1, 100],
  );
});

test("routeOf - reads back any name, older addresses too, and nonsense as all pools", () => {
  const route = (view: string, pool: string, worker = "", job = "") => ({ view, pool, worker, job });
  for (const name of ["", "adder", "<img>", "a/b c", "%2F", "#"]) {
    assert.deepEqual(routeOf(poolHash(name)), route("pool", name));
    assert.deepEqual(routeOf(durableHash(name)), route("durable", name));
    if (name === "") continue;
    assert.deepEqual(routeOf(workerHash(name, name)), route("worker", name, name));
    assert.deepEqual(routeOf(jobHash(name, name)), route("job", name, "", name));
  }
  assert.deepEqual(routeOf("#adder"), route("pool", "adder"));
  for (const hash of ["", "#", "#/", "#%E0%A4%A", "#/pool/%E0%A4%A", "#/nothing/such"]) {
    assert.deepEqual(routeOf(hash), route("pool", ""), hash);
  }
  assert.deepEqual(routeOf("#/pool/adder/worker/"), route("pool", "adder"));
});

test("timelineOf - a job's wait and run fill its line, and each is to be seen", () => {
  const job = (attempt: number, waitMs: number, totalMs: number, state = JobViewState.SUCCEEDED) =>
    create(JobViewSchema, { state, attempt, waitMs, totalMs });
  const parts = (attempt: number, waitMs: number, totalMs: number) =>
    timelineOf(job(attempt, waitMs, totalMs)).parts.map(({ kind, ms, share }) => [kind, ms, share]);
  assert.deepEqual(parts(1, 25, 100), [
    ["waited", 25, 0.25],
    ["ran", 75, 0.75],
  ]);
  assert.deepEqual(parts(1, 0, 100), [["ran", 100, 1]]);
  assert.deepEqual(parts(1, 0.001, 1_000)[0], ["waited", 0.001, 0.01]);
  assert.deepEqual(parts(0, 100, 100), [["waited", 100, 1]]);
  assert.deepEqual(parts(1, 0, 0), [["ran", 0, 1]]);
  const texts = (attempt: number, state?: JobViewState) =>
    timelineOf(job(attempt, 5, 9, state)).events.map(({ atMs, text }) => `${atMs} ${text}`);
  assert.deepEqual(texts(2), ["0 submitted", "5 sent as attempt 2 to", "9 ended with a result"]);
  assert.deepEqual(texts(0), ["0 submitted", "9 ended with a result; it was never sent to a worker"]);
  assert.deepEqual(texts(0, JobViewState.PARKED), ["0 submitted", "9 waits for a slot"]);
  assert.deepEqual(texts(1, JobViewState.PARKED), ["0 submitted", "9 waits for a slot again"]);
  const { parts: ofParked } = timelineOf(job(1, 9, 9, JobViewState.PARKED));
  assert.deepEqual(ofParked, [{ kind: "waited", ms: 9, share: 1 }], "what waits again does not run");
  assert.deepEqual(texts(1, JobViewState.RUNNING), ["0 submitted", "5 sent to", "9 running"]);
});

test("parsePageConfig - control and the durable lane are off unless the meter says true", () => {
  const all = { control: true, durable: true, version: "1" };
  assert.deepEqual(parsePageConfig(all), all);
  for (const answer of [null, "x", 7, {}, { control: "true", durable: 1, version: 3 }]) {
    assert.deepEqual(parsePageConfig(answer), { control: false, durable: false, version: "" });
  }
});
