/** Workers that stand still: stopped processes and blocked event loops. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { eventually } from "../../support/wait.js";
import { machineNow } from "../history.js";
import { assertEnded } from "../rig/caller.js";
import type { Scenario } from "../rig/scenario.js";

const pauseUnderLoad: Scenario = {
  id: "F03",
  fault: "SIGSTOP one of two workers under load",
  brokers: [1, 3],
  run: async (rig) => {
    const [victim] = await Promise.all([
      rig.worker("w1", { slots: 2 }),
      rig.worker("w2", { slots: 2 }),
      rig.manager("m1"),
    ]);
    const caller = await rig.client();
    await caller.load({ jobs: 40, window: 4, order: { do: "return" } });
    const idle = caller.load({ jobs: 8, window: 4, order: { do: "wait", ms: 30 }, idempotent: true });
    await idle;
    victim.pause();
    const stoppedAt = machineNow();
    const pauseMs = rig.scale(5_000, 10_000);
    const over = () => machineNow() - stoppedAt > pauseMs;
    const order = { do: "wait", ms: 20 } as const;
    const heard = await caller.load({ jobs: 100_000, window: 6, order, timeoutMs: 10_000, until: over });
    const startsBefore = rig.history.of("start").length;
    victim.resume();
    await delay(500);
    const late = rig.history
      .of("start")
      .slice(startsBefore)
      .filter(({ worker }) => worker === "w1");
    assertEnded(heard, { ok: heard.length });
    assert.deepEqual(
      late.map(({ id }) => id),
      [],
      "it runs nothing that was buffered",
    );
    const after = await caller.load({ jobs: 40, window: 4, order });
    assertEnded(after, { ok: after.length });
    return `${heard.length} jobs ok while it stood still; nothing buffered was run`;
  },
};

const pauseDuringJob: Scenario = {
  id: "F04",
  fault: "SIGSTOP during a job, SIGCONT after the deadline",
  brokers: [1],
  run: async (rig) => {
    const [manager, victim] = await Promise.all([rig.manager("m1"), rig.worker("w1")]);
    const caller = await rig.client();
    const submitted = caller.submit({ do: "wait", ms: 1_500 }, { timeoutMs: 2_500 });
    await rig.begun(1);
    await eventually(() => rig.history.of("accepted").length === 1);
    victim.pause();
    const heard = await submitted;
    assert.equal(heard.reason, "deadline_exceeded");
    assert.ok(heard.afterMs >= 2_500, `after ${heard.afterMs} ms`);
    victim.resume();
    const late = () => rig.observer.managers.get(manager.name)?.lateTotal ?? 0n;
    await eventually(() => late() > 0n, { what: "the late answer to be counted" });
    const next = await caller.submit({ do: "return" }, { timeoutMs: 10_000 });
    assert.ok(next.ok, "the slot comes back");
    return `deadline_exceeded after ${Math.round(heard.afterMs)} ms; the late answer was counted; the slot came back`;
  },
};

const blockedLoop: Scenario = {
  id: "F05",
  fault: "a handler blocks its event loop for 5 s",
  brokers: [1],
  run: async (rig) => {
    const [meter] = await Promise.all([
      rig.meter("meter"),
      rig.manager("m1"),
      rig.worker("w-inline"),
      rig.worker("w-thread", { isolation: "thread" }),
    ]);
    const caller = await rig.client();
    const blocked = caller.load({ jobs: 2, window: 2, order: { do: "block", ms: 5_000 }, timeoutMs: 20_000 });
    await rig.begun(2);
    const view = rig.view(meter);
    const states = new Set<WorkerState | undefined>();
    const watched = eventually(
      async () => {
        states.add((await view.worker("w-thread"))?.heartbeat?.state);
        return rig.history.of("outcome").length === 2;
      },
      { limitMs: 30_000, pollMs: 100 },
    );
    const heard = await blocked;
    await watched;
    const byWorker = (id: string) => heard.filter(({ worker }) => worker === id);
    assert.ok(
      byWorker("w-thread").every(({ ok }) => ok) && byWorker("w-thread").length === 1,
      "the isolated one returns",
    );
    assert.deepEqual([...states], [WorkerState.READY], "never LOST");
    assert.equal(rig.history.of("start").length, 2, "no second run");
    await eventually(async () => (await view.worker("w-inline"))?.heartbeat?.state === WorkerState.READY);
    const { ok, reason } = heard.find(({ worker }) => worker !== "w-thread") ?? { ok: false };
    return `isolated: result, READY throughout; on its own loop: ${ok ? "result" : reason}, no second run`;
  },
};

/** All of them. */
export const workerPause: readonly Scenario[] = [pauseUnderLoad, pauseDuringJob, blockedLoop];
