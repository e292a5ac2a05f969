/** How many heartbeats a manager of many pools sends, and what it asks of the workers of a large mesh. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { type ManagerHeartbeat, ManagerHeartbeatSchema } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { Bus } from "../../../mesh/link/bus.js";
import { Subjects } from "../../../mesh/wire/subjects.js";
import { Heartbeats, idleSeconds } from "../../../services/manager/heartbeat.js";
import { Totals } from "../../../services/manager/jobs/totals.js";
import { paceFor } from "../../../services/manager/pool/pace.js";
import type { Pool } from "../../../services/manager/pool/pool.js";
import { ManualRuntime } from "../../support/core/manual-runtime.js";

interface Sent {
  readonly second: number;
  readonly beat: ManagerHeartbeat;
}

/** A manager of some pools whose seconds pass when the test says so. */
function makeManager(count: number) {
  const runtime = new ManualRuntime();
  const sent: Sent[] = [];
  let second = 0;
  const publish = (_subject: string, payload: Uint8Array): boolean => {
    sent.push({ second, beat: fromBinary(ManagerHeartbeatSchema, payload) });
    return true;
  };
  const parked = { size: 0, bytes: 0, oldestSubmittedAtMs: () => undefined };
  const pools = Array.from({ length: count }, (_, i) => {
    const dispatcher = { parked, sentJobs: 0, liveJobs: 0, stream: undefined };
    return { name: `p${i}`, totals: new Totals(), dispatcher, settings: { limits: { jobs: 10 } } };
  });
  const heartbeats = new Heartbeats({
    scope: { takesSubmissions: true, allPools: true },
    hasJoined: () => true,
    bus: { runtime, publish } as unknown as Bus,
    subjects: new Subjects(),
    manager: "m",
    pools: () => pools as unknown as Pool[],
    limited: () => 0,
    retrying: () => 0,
    queued: () => 0,
  });
  const pass = (seconds: number): void => {
    for (let i = 0; i < seconds; i += 1) {
      second += 1;
      heartbeats.sendDue();
    }
  };
  return {
    runtime,
    heartbeats,
    pools,
    sent,
    pass,
    of: (pool: string) => sent.filter(({ beat }) => beat.pool === pool),
  };
}

describe("a manager's heartbeats", () => {
  test("come every second for each pool while there are few pools", () => {
    const { pass, sent } = makeManager(100);
    pass(10);
    assert.equal(sent.length, 1_000);
    assert.ok(sent.every(({ beat }) => beat.heartbeatIntervalMs === 1_000));
  });

  test("of idle pools stay within a budget for all of them, evenly spread over the seconds", () => {
    for (const pools of [101, 250, 500, 1_000]) {
      const { pass, sent } = makeManager(pools);
      pass(40);
      const late = sent.filter(({ second }) => second > 20);
      const each = Array.from({ length: 20 }, (_, i) => late.filter(({ second }) => second === 21 + i).length);
      const most = Math.ceil(pools / idleSeconds(pools));
      assert.ok(Math.max(...each) <= most && most <= 100, `${pools} pools: ${each}`);
    }
  });

  test("each come within the time that the one before has promised, also while a pool becomes busy and idle", () => {
    const { pass, pools, of } = makeManager(730);
    for (let round = 0; round < 60; round += 1) {
      const pool = pools[round % 7];
      if (pool !== undefined) pool.dispatcher.liveJobs = pool.dispatcher.liveJobs === 0 ? 1 : 0;
      pass(1);
    }
    for (const { name } of pools) {
      const beats = of(name);
      for (const [i, { second }] of beats.entries()) {
        const before = beats[i - 1];
        if (before === undefined) continue;
        assert.ok((second - before.second) * 1_000 <= before.beat.heartbeatIntervalMs, `${name} in second ${second}`);
      }
    }
  });

  test("of a busy pool, and of one of which there is news, come every second among any number of idle ones", () => {
    const { pass, pools, of } = makeManager(500);
    const [busy, taking] = pools;
    if (busy === undefined || taking === undefined) throw new Error("no pools");
    pass(10);
    busy.dispatcher.liveJobs = 3;
    for (let i = 0; i < 20; i += 1) {
      taking.totals.submitted += 1;
      pass(1);
    }
    for (const pool of ["p0", "p1"]) assert.equal(of(pool).filter(({ second }) => second > 10).length, 20, pool);
  });

  test("tell at once of the pool that has become busy, and of no other", async () => {
    const { runtime, heartbeats, pools, sent } = makeManager(500);
    heartbeats.changed(pools[7] as unknown as Pool);
    await runtime.advance(1_000);
    assert.deepEqual(
      sent.map(({ beat }) => beat.pool),
      ["p7"],
    );
  });
});

describe("the pace that a manager asks for", () => {
  test("is none for a small mesh, and keeps a large one within its budgets until each worker is at its slowest", () => {
    for (const workers of [0, 1, 99, 100]) assert.equal(paceFor(workers), undefined);
    for (const workers of [101, 500, 1_000]) {
      const pace = paceFor(workers);
      assert.ok(pace !== undefined && workers / (pace.idleIntervalMs / 1_000) <= 100, `${workers} workers`);
    }
    assert.deepEqual(paceFor(100_000), { coalesceMs: 1_000, idleIntervalMs: 10_000 });
  });
});
