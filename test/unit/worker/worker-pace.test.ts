/** How many heartbeats a worker sends that was asked for fewer. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { type Heartbeat, HeartbeatSchema, Isolation, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { Heartbeats } from "../../../services/worker/heartbeat.js";
import { ManualRuntime } from "../../support/core/manual-runtime.js";

function makeWorker(heartbeatIntervalMs = 1_000) {
  const runtime = new ManualRuntime();
  const sent: { readonly atMs: number; readonly beat: Heartbeat }[] = [];
  const publish = (_subject: string, payload: Uint8Array): boolean => {
    sent.push({ atMs: runtime.now(), beat: fromBinary(HeartbeatSchema, payload) });
    return true;
  };
  const now = { running: 0, state: WorkerState.READY };
  const heartbeats = new Heartbeats({
    bus: { runtime, publish, on: () => () => {} } as unknown as Bus,
    subject: "pool.p.heartbeat.w",
    identity: {
      ...{ pool: "p", worker: "w", incarnation: 1n, isolation: Isolation.INLINE, host: "h", pid: 1, version: "1" },
      ...{ labels: {}, heartbeatIntervalMs, startedAtMs: 0 },
    },
    figures: () => ({
      ...{ state: now.state, slots: 1, busy: now.running, stuck: 0, doneTotal: 0, failedTotal: 0, acceptedTotal: 0 },
      ...{ refusedTotal: 0, running: now.running, runningIds: [], runningNonces: [], loopLagMs: 0, missing: [] },
    }),
    onSent: () => {},
    onInterval: () => {},
    coalesceMs: 50,
  });
  const within = (fromMs: number, toMs: number) => sent.filter(({ atMs }) => atMs > fromMs && atMs <= toMs);
  return { runtime, heartbeats, sent, now, within };
}

/** A manager repeats its wish. */
function askAgain(runtime: ManualRuntime, heartbeats: Heartbeats, idleIntervalMs: number): void {
  runtime.every(10_000, () => heartbeats.setPace({ coalesceMs: 100, idleIntervalMs }));
}

describe("a worker that is asked for fewer heartbeats", () => {
  test("sends one in the asked time while it is idle, and says so in each", async () => {
    for (const [ownMs, askedMs, everyMs] of [
      [1_000, 5_000, 5_000],
      [1_000, 4_200, 5_000],
      [300, 1_000, 1_200],
    ] as const) {
      const { runtime, heartbeats, within } = makeWorker(ownMs);
      heartbeats.start();
      heartbeats.setPace({ coalesceMs: 100, idleIntervalMs: askedMs });
      askAgain(runtime, heartbeats, askedMs);
      await runtime.advance(70_000);
      const late = within(10_000, 70_000);
      assert.equal(late.length, 60_000 / everyMs, `${ownMs} ${askedMs}`);
      assert.ok(late.every(({ beat }) => beat.heartbeatIntervalMs === everyMs));
      heartbeats.stop();
    }
  });

  test("sends one every interval while it runs a job or drains", async () => {
    for (const change of [{ running: 1 }, { state: WorkerState.DRAINING }]) {
      const { runtime, heartbeats, now, within } = makeWorker();
      heartbeats.start();
      heartbeats.setPace({ coalesceMs: 100, idleIntervalMs: 10_000 });
      Object.assign(now, change);
      heartbeats.changed();
      await runtime.advance(20_000);
      const late = within(1_000, 20_000);
      assert.equal(late.length, 19);
      assert.ok(late.every(({ beat }) => beat.heartbeatIntervalMs === 1_000));
      heartbeats.stop();
    }
  });

  test("tells of a job at once when more than its own interval was promised, whenever the job begins", async () => {
    for (const beginAtMs of [12_001, 12_900, 13_000, 13_500, 19_999]) {
      const { runtime, heartbeats, now, sent, within } = makeWorker();
      heartbeats.start();
      heartbeats.setPace({ coalesceMs: 900, idleIntervalMs: 10_000 });
      await runtime.advance(beginAtMs);
      assert.equal(sent.at(-1)?.beat.heartbeatIntervalMs, 10_000);
      now.running = 1;
      heartbeats.changed();
      await runtime.advance(5_000);
      const after = within(beginAtMs - 1, beginAtMs + 5_000);
      assert.equal(after[0]?.atMs, beginAtMs);
      assert.ok(after.every(({ beat }) => beat.heartbeatIntervalMs === 1_000));
      heartbeats.stop();
    }
  });

  test("promises more than its own interval only when it has been without a job for one", async () => {
    const { runtime, heartbeats, now, sent } = makeWorker();
    heartbeats.start();
    heartbeats.setPace({ coalesceMs: 500, idleIntervalMs: 10_000 });
    for (let i = 0; i < 60; i += 1) {
      now.running = 1;
      heartbeats.changed();
      await runtime.advance(100);
      now.running = 0;
      heartbeats.changed();
      await runtime.advance(100);
    }
    assert.ok(sent.every(({ beat }) => beat.heartbeatIntervalMs === 1_000));
    heartbeats.stop();
  });

  test("answers with what its last heartbeat has promised, also when the wish holds no more", async () => {
    const { runtime, heartbeats, sent } = makeWorker();
    heartbeats.start();
    heartbeats.setPace({ coalesceMs: 100, idleIntervalMs: 10_000 });
    for (let i = 0; i < 60; i += 1) {
      await runtime.advance(700);
      assert.equal(
        heartbeats.snapshot().heartbeatIntervalMs,
        sent.at(-1)?.beat.heartbeatIntervalMs,
        `${runtime.now()}`,
      );
    }
    heartbeats.stop();
  });

  test("sends one every interval while the manager that asked is suspended, from 30 s on, and fewer once it is back", async () => {
    const { runtime, heartbeats, within } = makeWorker();
    heartbeats.start();
    heartbeats.setPace({ coalesceMs: 100, idleIntervalMs: 10_000 });
    await runtime.advance(90_000);
    assert.equal(within(45_000, 90_000).length, 45, "nobody repeats the wish");
    heartbeats.setPace({ coalesceMs: 100, idleIntervalMs: 10_000 });
    await runtime.advance(25_000);
    assert.ok(within(92_000, 115_000).length <= 3, "it is asked again");
    heartbeats.stop();
  });

  test("sends one every interval again 30 s after the last wish, and follows the slowest of several", async () => {
    const { runtime, heartbeats, within } = makeWorker();
    heartbeats.start();
    heartbeats.setPace({ coalesceMs: 100, idleIntervalMs: 5_000 });
    heartbeats.setPace({ coalesceMs: 50, idleIntervalMs: 2_000 });
    await runtime.advance(30_000);
    assert.ok(within(10_000, 30_000).length <= 5);
    await runtime.advance(35_000);
    assert.equal(within(45_000, 65_000).length, 20);
    heartbeats.stop();
  });
});
