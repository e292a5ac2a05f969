/** When a manager does what it does once a second, and what it does every ten milliseconds while jobs are live. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Bus } from "../../../mesh/link/bus.js";
import type { Pool } from "../../../services/manager/pool/pool.js";
import { Ticker } from "../../../services/manager/ticker.js";
import { ManualRuntime } from "../../support/core/manual-runtime.js";

function makeTicker(runtime: ManualRuntime) {
  const seconds: number[] = [];
  const bus = { runtime, connected: true, handingOver: false, flush: async () => true } as unknown as Bus;
  const ticker = new Ticker({
    bus,
    pools: () => [],
    heartbeats: { changed: () => {} },
    onSecond: (nowMs) => seconds.push(nowMs),
  });
  return { ticker, seconds };
}

describe("a manager's second", () => {
  test("an idle manager does it when a worker's heartbeat wakes it, and needs no wake of its own", async () => {
    const runtime = new ManualRuntime();
    const { ticker, seconds } = makeTicker(runtime);
    ticker.start();
    await runtime.advance(370);
    const beats: number[] = [];
    runtime.every(1_000, () => {
      beats.push(runtime.now());
      ticker.onWake(runtime.now());
    });
    await runtime.advance(30_000);
    assert.deepEqual(seconds.slice(-15), beats.slice(-15));
    ticker.stop();
  });

  test("it is never earlier than after 900 ms and never later than after 1,100, however many heartbeats come", async () => {
    for (const everyMs of [7, 330, 1_000, 1_700, 60_000]) {
      const runtime = new ManualRuntime();
      const { ticker, seconds } = makeTicker(runtime);
      ticker.start();
      runtime.every(everyMs, () => ticker.onWake(runtime.now()));
      await runtime.advance(20_000);
      const gaps = seconds.map((at, i) => at - (seconds[i - 1] ?? 0));
      assert.ok(
        gaps.length > 17 && Math.min(...gaps) >= 900 && Math.max(...gaps) <= 1_100,
        `every ${everyMs}: ${gaps}`,
      );
      ticker.stop();
    }
  });

  test("after stop() a heartbeat wakes nothing, and no timer is left", async () => {
    const runtime = new ManualRuntime();
    const { ticker, seconds } = makeTicker(runtime);
    ticker.start();
    ticker.onBusy({} as Pool, true);
    ticker.stop();
    await runtime.advance(2_000);
    ticker.onWake(runtime.now());
    assert.deepEqual([seconds.length, runtime.timers], [0, 0]);
  });
});

describe("a manager's tick while jobs are live", () => {
  /** A pool that notes when its deadlines are checked. */
  function watchedPool(runtime: ManualRuntime) {
    const checkedAtMs: number[] = [];
    const timeouts = {
      checkDeadlines: () => void checkedAtMs.push(runtime.now()),
      checkUnanswered: () => [],
    };
    const losses = { checkPresence: () => {}, checkSilence: () => {} };
    const pool = { timeouts, losses, dispatcher: { probeBare: () => {} } } as unknown as Pool;
    return { pool, checkedAtMs };
  }

  test("is made by a message that comes at about its time, so that the timer wakes nothing", async () => {
    const runtime = new ManualRuntime();
    const { ticker } = makeTicker(runtime);
    const { pool, checkedAtMs } = watchedPool(runtime);
    const messagesAtMs: number[] = [];
    ticker.start();
    ticker.onBusy(pool, true);
    runtime.every(3, () => {
      messagesAtMs.push(runtime.now());
      ticker.onWake(runtime.now());
    });
    await runtime.advance(900);
    assert.ok(checkedAtMs.length >= 70, `${checkedAtMs.length} checks`);
    assert.deepEqual(
      checkedAtMs.filter((atMs) => !messagesAtMs.includes(atMs)),
      [],
    );
    ticker.stop();
  });

  test("is never earlier than after 10 ms and never later than after 20, however many messages come", async () => {
    for (const everyMs of [1, 7, 13, 19, 21, 500]) {
      const runtime = new ManualRuntime();
      const { ticker } = makeTicker(runtime);
      const { pool, checkedAtMs } = watchedPool(runtime);
      ticker.start();
      ticker.onBusy(pool, true);
      runtime.every(everyMs, () => ticker.onWake(runtime.now()));
      await runtime.advance(900);
      const gaps = checkedAtMs.map((at, i) => at - (checkedAtMs[i - 1] ?? 0));
      assert.ok(gaps.length > 40 && Math.min(...gaps) >= 10 && Math.max(...gaps) <= 20, `every ${everyMs}: ${gaps}`);
      ticker.stop();
    }
  });

  test("goes on for a second after the last job, then ends", async () => {
    const runtime = new ManualRuntime();
    const { ticker } = makeTicker(runtime);
    const { pool } = watchedPool(runtime);
    ticker.start();
    const idleTimers = runtime.timers;
    ticker.onBusy(pool, true);
    await runtime.advance(300);
    ticker.onBusy(pool, false);
    await runtime.advance(900);
    assert.equal(runtime.timers, idleTimers + 1);
    await runtime.advance(200);
    assert.equal(runtime.timers, idleTimers);
    ticker.stop();
  });
});
