/** Slots, the bounded memories, and the judgements of a worker: pure parts. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Bus } from "../../../mesh/link/bus.js";
import { StallDetector } from "../../../mesh/link/runtime.js";
import { CANCELED_ID_TTL_MS, REVOKED_LIMIT, REVOKED_TTL_MS, Revoked } from "../../../services/worker/jobs/intake.js";
import {
  AcceptPolicy,
  QUICK_JOBS_NEEDED,
  SLOW_LOOP_MS,
  SLOW_SYNC_MS,
} from "../../../services/worker/jobs/running-job.js";
import { Slots } from "../../../services/worker/jobs/running-jobs.js";
import { IDLE_LOOP_TICK_MS, LOOP_TICK_MS, STALL_MS, Ticker } from "../../../services/worker/ticker.js";
import { ManualRuntime } from "../../support/core/manual-runtime.js";
import { gate } from "../../support/wait.js";

describe("slots", () => {
  test("as many are taken as there are, and one given back can be taken again", () => {
    const slots = new Slots(2);
    assert.deepEqual([slots.take(), slots.take(), slots.take()], [true, true, false]);
    slots.give();
    assert.deepEqual([slots.free, slots.busy, slots.take(), slots.free], [1, 1, true, 0]);
  });

  test("a resize below busy leaves none free and never a negative number", () => {
    const slots = new Slots(3);
    slots.take();
    slots.take();
    slots.resize(1);
    assert.deepEqual([slots.total, slots.busy, slots.free, slots.take()], [1, 2, 0, false]);
    slots.give();
    slots.give();
    assert.equal(slots.take(), true);
  });

  test("a slot that is given back twice is a bug that is seen", () => {
    assert.throws(() => new Slots(1).give(), /twice/);
  });
});

describe("revoked", () => {
  const ALL = Number.POSITIVE_INFINITY;

  test("attempts up to the revoked one are held back, later ones are not, and a cancel holds back all", () => {
    const revoked = new Revoked();
    revoked.add({ id: "a", nonce: "", upToAttempt: 2 }, 0);
    revoked.add({ id: "a", nonce: "", upToAttempt: 1 }, 0);
    revoked.add({ id: "b", nonce: "", upToAttempt: ALL }, 0);
    const has = (id: string, attempt: number): boolean => revoked.has(id, "", attempt, 1);
    assert.deepEqual([has("a", 2), has("a", 3), has("b", 999), has("c", 1)], [true, false, true, false]);
  });

  test("what names a submission holds back that one alone, and what names none holds back every one of its id", () => {
    const revoked = new Revoked();
    revoked.add({ id: "a", nonce: "n1", upToAttempt: ALL }, 0);
    assert.deepEqual(
      [revoked.has("a", "n1", 1, 1), revoked.has("a", "n2", 1, 1), revoked.has("a", "", 1, 1)],
      [true, false, false],
    );
    revoked.add({ id: "a", nonce: "", upToAttempt: ALL }, 0);
    assert.equal(revoked.has("a", "n2", 1, 1), true);
  });

  test("all attempts of a manager are revoked when those up to its last one are, or the submission is canceled by its nonce", () => {
    const revoked = new Revoked();
    revoked.add({ id: "retried", nonce: "", upToAttempt: 1 }, 0);
    revoked.add({ id: "elsewhere", nonce: "", upToAttempt: 1_000 }, 0);
    revoked.add({ id: "canceled", nonce: "n", upToAttempt: ALL }, 0);
    revoked.add({ id: "any", nonce: "", upToAttempt: ALL }, 0);
    const all = (id: string, nonce: string, attempt: number): boolean => revoked.hasAllOfManager(id, nonce, attempt, 1);
    assert.deepEqual(
      [all("retried", "", 1), all("elsewhere", "", 1), all("elsewhere", "", 1_000), all("elsewhere", "", 1_001)],
      [false, true, true, false],
    );
    assert.deepEqual([all("canceled", "n", 1), all("any", "", 1), all("any", "n", 1)], [true, false, false]);
  });

  test("a canceled id can be used again soon, a revoked attempt is held back for long", () => {
    const revoked = new Revoked();
    revoked.add({ id: "canceled", nonce: "", upToAttempt: ALL }, 0);
    revoked.add({ id: "revoked", nonce: "", upToAttempt: 1 }, 0);
    const at = (nowMs: number): boolean[] => ["canceled", "revoked"].map((id) => revoked.has(id, "", 1, nowMs));
    assert.deepEqual(
      [at(CANCELED_ID_TTL_MS), at(CANCELED_ID_TTL_MS + 1)],
      [
        [true, true],
        [false, true],
      ],
    );
    assert.deepEqual(at(REVOKED_TTL_MS + 1), [false, false]);
  });

  test("it forgets the oldest when there are too many", () => {
    const revoked = new Revoked();
    for (let i = 0; i <= REVOKED_LIMIT; i += 1) revoked.add({ id: `j${i}`, nonce: "", upToAttempt: 1 }, 0);
    assert.deepEqual([revoked.has("j0", "", 1, 0), revoked.has("j1", "", 1, 0)], [false, true]);
  });
});

describe("accept policy", () => {
  function quick(): AcceptPolicy {
    const policy = new AcceptPolicy();
    for (let i = 0; i < QUICK_JOBS_NEEDED; i += 1) policy.ran(0.1);
    return policy;
  }

  test("a result is enough after a streak of quick jobs and not one earlier", () => {
    const policy = new AcceptPolicy();
    for (let i = 1; i < QUICK_JOBS_NEEDED; i += 1) policy.ran(0.1);
    assert.equal(policy.resultIsEnough, false);
    policy.ran(0.1);
    assert.equal(policy.resultIsEnough, true);
  });

  test("after a slow synchronous part or a stalled loop jobs are accepted first again", () => {
    const slow = quick();
    slow.ran(SLOW_SYNC_MS);
    const late = quick();
    late.lagged(SLOW_LOOP_MS);
    assert.equal(late.resultIsEnough, true);
    late.lagged(SLOW_LOOP_MS + 1);
    assert.deepEqual([slow.resultIsEnough, late.resultIsEnough], [false, false]);
  });
});

describe("stall detector", () => {
  const [every, tolerance] = [LOOP_TICK_MS, STALL_MS];

  test("regular signs are no stall, and their longest lag is remembered until it was told", () => {
    const detector = new StallDetector(0, every, tolerance);
    assert.equal(detector.sign(every), 0);
    assert.equal(detector.sign(2 * every + 30), 30);
    assert.deepEqual([detector.stalls, detector.longestLagMs], [0, 30]);
    detector.resetLag();
    assert.equal(detector.longestLagMs, 0);
  });

  test("a message finds the stall before the timer does, and it counts once", () => {
    const detector = new StallDetector(0, every, tolerance);
    assert.equal(detector.check(every + tolerance), false);
    assert.equal(detector.check(1_000), true);
    assert.equal(detector.check(1_001), false);
    assert.equal(detector.sign(1_002), 0);
    assert.equal(detector.stalls, 1);
  });

  test("another pace changes what counts as late", () => {
    const detector = new StallDetector(0, every, tolerance);
    detector.expect(10, 1_000, 500);
    assert.equal(detector.check(1_500), false);
    assert.equal(detector.check(1_511), true);
  });
});

describe("ticker", () => {
  test("what is read after a stall is stale until a round trip that began after the last stall", async () => {
    const runtime = new ManualRuntime();
    const trips: ReturnType<typeof gate<boolean>>[] = [];
    const flush = (): Promise<boolean> => {
      const trip = gate<boolean>();
      trips.push(trip);
      return trip.promise;
    };
    const ticker = new Ticker({ bus: { runtime, flush } as unknown as Bus, checkJobs: () => 0, onLag: () => {} });
    ticker.start();
    ticker.onMessage(runtime.now());
    assert.equal(ticker.inputIsStale, false);
    runtime.stall(1_000);
    ticker.onMessage(runtime.now());
    assert.equal(ticker.inputIsStale, true);
    runtime.stall(1_000);
    ticker.onMessage(runtime.now());
    trips[0]?.open(true);
    await runtime.turn();
    assert.equal(ticker.inputIsStale, true, "that round trip began before the second stall");
    trips[1]?.open(true);
    await runtime.turn();
    assert.equal(ticker.inputIsStale, false);
    ticker.stop();
    assert.equal(runtime.timers, 0);
  });

  test("the event loop is watched closely while jobs run, and about twice a second while none does", async () => {
    const runtime = new ManualRuntime();
    let looks = 0;
    let running = 0;
    const bus = { runtime, flush: async () => true } as unknown as Bus;
    const onLag = (): void => {
      looks += 1;
    };
    const ticker = new Ticker({ bus, checkJobs: () => running, onLag });
    const looksIn = async (ms: number): Promise<number> => {
      looks = 0;
      await runtime.advance(ms);
      return looks;
    };
    ticker.start();
    assert.equal(await looksIn(10_000), Math.floor(10_000 / IDLE_LOOP_TICK_MS));
    running = 1;
    ticker.onJobStarted();
    assert.equal(await looksIn(10_000), 10_000 / LOOP_TICK_MS);
    running = 0;
    await runtime.advance(1_000);
    const idleLooks = await looksIn(10_000);
    assert.ok(Math.abs(idleLooks - 10_000 / IDLE_LOOP_TICK_MS) <= 1, `${idleLooks} looks`);
    assert.equal(ticker.inputIsStale, false);
    runtime.stall(IDLE_LOOP_TICK_MS + STALL_MS + 1);
    ticker.onMessage(runtime.now());
    assert.equal(ticker.inputIsStale, true);
    ticker.stop();
  });

  test("an idle worker with a heartbeat a second is woken twice a second: the heartbeat is a tick of the event loop too", async () => {
    const runtime = new ManualRuntime();
    const bus = { runtime, flush: async () => true } as unknown as Bus;
    const wakes = new Set<number>();
    const looks: number[] = [];
    const wake = (): void => void wakes.add(runtime.now());
    const onLag = (): void => {
      wake();
      looks.push(runtime.now());
    };
    const ticker = new Ticker({ bus, checkJobs: () => 0, onLag });
    ticker.start();
    runtime.every(1_000, () => {
      wake();
      ticker.onHeartbeat();
    });
    await runtime.advance(10_000);
    assert.equal(wakes.size, 20);
    const gaps = looks.map((at, i) => at - (looks[i - 1] ?? 0));
    assert.ok(Math.max(...gaps) <= IDLE_LOOP_TICK_MS, `gaps ${gaps}`);
    ticker.stop();
    ticker.onHeartbeat();
    assert.equal(runtime.timers, 1);
  });

  test("running jobs are checked every 10 ms, and no timer stays when none has run for a while", async () => {
    const runtime = new ManualRuntime();
    let running = 1;
    let checks = 0;
    const checkJobs = (): number => {
      checks += 1;
      return running;
    };
    const bus = { runtime, flush: async () => true } as unknown as Bus;
    const ticker = new Ticker({ bus, checkJobs, onLag: () => {} });
    ticker.onJobStarted();
    await runtime.advance(100);
    assert.equal(checks, 10);
    running = 0;
    await runtime.advance(10_000);
    assert.equal(runtime.timers, 0);
  });
});
