/** What an idle meter does while nobody looks, and what it does once somebody does. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Bus } from "../../../mesh/link/bus.js";
import { ClockWork } from "../../../services/meter/clock-work.js";
import type { Listener } from "../../../services/meter/listener.js";
import type { MeterState } from "../../../services/meter/meter-state.js";
import type { Prober } from "../../../services/meter/prober.js";
import { Freshness } from "../../../services/meter/registry/freshness.js";
import { Liveness } from "../../../services/meter/registry/liveness.js";
import type { WorkerRow } from "../../../services/meter/registry/worker-row.js";
import { Changes } from "../../../services/meter/streams/changes.js";
import { History } from "../../../services/meter/streams/history.js";
import { View } from "../../../services/meter/streams/view.js";

const PACE = { minIntervalMs: 1, keepAliveMs: 60_000 };
const ALL = { pool: "", labels: {} };

/** Time that moves when the test says so. */
function stopped(t: TestContext) {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  let ms = 0;
  return {
    nowMs: () => ms,
    advance: (byMs: number, eachMs: () => void = () => {}): void => {
      for (let i = 0; i < byMs; i += 1) {
        ms += 1;
        t.mock.timers.tick(1);
        eachMs();
      }
    },
  };
}

function makeClock(t: TestContext) {
  const time = stopped(t);
  const changes = new Changes({ nowMs: time.nowMs });
  const history = new History();
  const freshness = new Freshness(0);
  freshness.regain();
  const view = new View(changes);
  const state = { view, changes, freshness, history, nowMs: time.nowMs, wallMs: time.nowMs } as unknown as MeterState;
  const seconds: number[] = [];
  const clock = new ClockWork(state, () => seconds.push(time.nowMs()));
  changes.start();
  clock.start();
  const join = (): AbortController => {
    const leave = new AbortController();
    changes.watchCapacity(view, ALL, PACE, leave.signal);
    return leave;
  };
  return { ...time, changes, clock, seconds, join };
}

test("while nobody watches, each second is done when a message comes; the meter has no wake of its own", (t) => {
  const { advance, nowMs, clock, seconds } = makeClock(t);
  const beats: number[] = [];
  advance(20_000, () => {
    if (nowMs() % 1_000 !== 400) return;
    beats.push(nowMs());
    clock.onMessage(nowMs());
  });
  assert.deepEqual(seconds, beats.slice(1));
  clock.stop();
});

test("without any message a second is done one later, and while somebody watches at its time", (t) => {
  const { advance, clock, seconds, join } = makeClock(t);
  advance(5_000);
  assert.deepEqual(seconds, [2_000, 3_000, 4_000, 5_000]);
  const leave = join();
  advance(3_000);
  assert.deepEqual(seconds.slice(4), [5_001, 6_000, 7_000, 8_000]);
  leave.abort();
  clock.stop();
});

test("there is a point for every second, however the messages come", (t) => {
  const { advance, nowMs, clock, seconds } = makeClock(t);
  advance(60_000, () => {
    if (nowMs() % 730 === 0) clock.onMessage(nowMs());
  });
  assert.ok(Math.abs(seconds.length - 59) <= 1, `${seconds.length} seconds`);
  clock.stop();
});

test("keep-alives are looked for while there is a reader, and not before or after", (t) => {
  const { changes } = makeClock(t);
  const sets = t.mock.method(globalThis, "setInterval");
  const clears = t.mock.method(globalThis, "clearInterval");
  const leave = new AbortController();
  changes.watchCapacity(new View(changes), ALL, PACE, leave.signal);
  assert.equal(sets.mock.callCount(), 1);
  leave.abort();
  assert.ok(clears.mock.calls.some(({ arguments: [timer] }) => timer === sets.mock.calls[0]?.result));
});

test("who asks once is taken for watching for a few seconds, and tells those who slept", (t) => {
  const { advance, changes } = makeClock(t);
  let told = 0;
  changes.onWatched(() => {
    told += 1;
  });
  assert.equal(changes.isWatched, false);
  changes.glance();
  changes.glance();
  assert.deepEqual([changes.isWatched, told], [true, 1]);
  advance(5_000);
  assert.equal(changes.isWatched, false);
});

function makeLiveness(t: TestContext) {
  const time = stopped(t);
  const freshness = new Freshness(0);
  freshness.regain();
  const found = { quiet: [] as WorkerRow[], watched: false, sweeps: 0 };
  const bus = { connected: true, on: () => () => {}, flush: async () => true } as unknown as Bus;
  const liveness = new Liveness({
    bus,
    listener: { heardMs: Number.POSITIVE_INFINITY, connected: () => {} } as unknown as Listener,
    prober: { check: () => {}, onReconnect: () => {} } as unknown as Prober,
    view: {
      sweep: () => {
        found.sweeps += 1;
        return found.quiet;
      },
      forgiveSilence: () => {},
    } as unknown as View,
    freshness,
    nowMs: time.nowMs,
    onFreshness: () => {},
    isWatched: () => found.watched,
  });
  t.after(() => liveness.stop());
  return { ...time, liveness, found };
}

test("silence is judged when it is asked for while all is well and nobody watches, and ten times a second once somebody is quiet", async (t) => {
  const { advance, liveness, found } = makeLiveness(t);
  await liveness.start();
  advance(1_000);
  assert.equal(found.sweeps, 1);
  found.quiet = [{} as WorkerRow];
  liveness.check();
  advance(1_000);
  assert.equal(found.sweeps, 12);
  found.quiet = [];
  advance(10_000);
  assert.equal(found.sweeps, 13);
});

test("silence is judged ten times a second while somebody watches, from the moment on in which they come", async (t) => {
  const { advance, liveness, found } = makeLiveness(t);
  await liveness.start();
  advance(1_000);
  found.watched = true;
  liveness.check();
  assert.equal(found.sweeps, 2);
  advance(1_000);
  assert.equal(found.sweeps, 12);
  found.watched = false;
  advance(1_000);
  assert.equal(found.sweeps, 13);
});
