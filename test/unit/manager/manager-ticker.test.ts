/** When a manager does what it does once a second. */
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
      ticker.onWake();
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
      runtime.every(everyMs, () => ticker.onWake());
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
    ticker.onWake();
    assert.deepEqual([seconds.length, runtime.timers], [0, 0]);
  });
});
