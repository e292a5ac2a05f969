/** Workers that are told to stop. */
import assert from "node:assert/strict";
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { eventually } from "../../support/wait.js";
import { machineNow } from "../history.js";
import { assertEnded } from "../rig/caller.js";
import type { Scenario } from "../rig/scenario.js";

const withinGrace: Scenario = {
  id: "F10",
  fault: "SIGTERM, running jobs shorter than the grace",
  brokers: [1, 3],
  run: async (rig) => {
    const [meter, leaver] = await Promise.all([
      rig.meter("meter"),
      rig.worker("w1", { slots: 3, graceMs: 20_000 }),
      rig.manager("m1"),
    ]);
    const caller = await rig.client();
    const running = caller.load({ jobs: 3, window: 3, order: { do: "wait", ms: 3_000 }, timeoutMs: 20_000 });
    await rig.begun(3);
    const ended = leaver.end();
    const since = machineNow();
    const view = rig.view(meter);
    const state = async () => (await view.worker("w1"))?.heartbeat?.state;
    await eventually(async () => (await state()) === WorkerState.DRAINING, { what: "DRAINING in the meter" });
    await view.shows({ slots: 0, busy: 3 }, since);
    const [heard, parked] = [await running, await caller.submit({ do: "return" }, { timeoutMs: 1_000 })];
    assertEnded(heard, { ok: 3 });
    assert.deepEqual([parked.reason, parked.maybeExecuted], ["deadline_exceeded", false], "nothing new is taken");
    assert.equal((await ended).code, 0);
    await view.shows({ slots: 0, busy: 0 });
    return "DRAINING shown, nothing new taken, 3 results, exit 0";
  },
};

const overGrace: Scenario = {
  id: "F11",
  fault: "SIGTERM, a job longer than the grace",
  brokers: [1],
  run: async (rig) => {
    const [leaver] = await Promise.all([rig.worker("w1", { slots: 3, graceMs: 1_000 }), rig.manager("m1")]);
    const caller = await rig.client();
    const polite = caller.submit({ do: "wait", ms: 60_000 }, { timeoutMs: 60_000 });
    const deaf = caller.submit({ do: "deaf", ms: 60_000 }, { timeoutMs: 60_000 });
    const again = { do: "wait", ms: 60_000, laterMs: 10 } as const;
    const idempotent = caller.submit(again, { timeoutMs: 60_000, idempotent: true });
    await rig.begun(3);
    await rig.worker("w2");
    await leaver.end();
    const rerun = await idempotent;
    assert.deepEqual([rerun.ok, rerun.worker], [true, "w2"], "what may run twice runs elsewhere");
    for (const heard of [await polite, await deaf]) {
      assert.deepEqual([heard.reason, heard.maybeExecuted], ["draining", true]);
      assert.ok(heard.afterMs < 30_000, "at the grace, not at the deadline");
    }
    return "draining, maybeExecuted, at the grace; the idempotent one ran elsewhere; exit 0, although one was deaf";
  },
};

const secondSignal: Scenario = {
  id: "F12",
  fault: "a second SIGTERM",
  brokers: [1],
  run: async (rig) => {
    const [leaver] = await Promise.all([rig.worker("w1", { graceMs: 60_000 }), rig.manager("m1")]);
    const caller = await rig.client();
    const held = caller.submit({ do: "wait", ms: 60_000 }, { timeoutMs: 60_000 });
    await rig.begun(1);
    leaver.process.signal("SIGTERM");
    await eventually(() => rig.observer.workers.get("w1")?.state === WorkerState.DRAINING);
    const since = machineNow();
    leaver.process.signal("SIGTERM");
    await leaver.ended(since, [130], 0);
    assert.equal((await held).reason, "worker_lost");
    return "exit 130 at once; its job is worker_lost";
  },
};

const withoutBroker: Scenario = {
  id: "F13",
  fault: "SIGTERM while the broker is down",
  brokers: [1],
  run: async (rig) => {
    const services = await Promise.all([
      rig.worker("w1", { graceMs: 1_000 }),
      rig.manager("m1", { env: { GRACE_MS: "1000" } }),
      rig.meter("meter"),
    ]);
    const caller = await rig.client();
    const held = caller.submit({ do: "wait", ms: 60_000 }, { timeoutMs: 4_000 });
    await rig.begun(1);
    await rig.broker.crash();
    await Promise.all(services.map((service) => service.end()));
    const heard = await held;
    assert.deepEqual([heard.reason, heard.maybeExecuted], ["deadline_exceeded", true]);
    return "worker, manager and meter exit 0 by the grace";
  },
};

/** All of them. */
export const workerStop: readonly Scenario[] = [withinGrace, overGrace, secondSignal, withoutBroker];
