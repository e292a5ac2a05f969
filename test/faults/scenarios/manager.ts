/** Managers that die. */
import assert from "node:assert/strict";
import { eventually } from "../../support/wait.js";
import { machineNow } from "../history.js";
import { assertEnded, countBy } from "../rig/caller.js";
import type { Scenario } from "../rig/scenario.js";
import { DEATH_KNOWN_MS } from "./worker-death.js";

/** A busy machine may add this. */
const NOISE_MS = 4_000;

const killOnly: Scenario = {
  id: "F18",
  fault: "kill -9 a manager with 50 jobs in flight",
  brokers: [1, 3],
  run: async (rig) => {
    const [manager] = await Promise.all([rig.manager("m1"), rig.worker("w1", { slots: 50 })]);
    const caller = await rig.client();
    const running = caller.load({ jobs: 50, window: 50, order: { do: "wait", ms: 3_000 }, timeoutMs: 60_000 });
    await rig.begun(50);
    await eventually(() => rig.history.of("accepted").length === 50, { what: "all to be accepted" });
    const killedAt = machineNow();
    await manager.kill();
    const heard = await running;
    const slowestMs = Math.max(...rig.history.of("outcome").map(({ at }) => at - killedAt));
    assertEnded(heard, { bus_unavailable: 50 });
    assert.ok(
      heard.every(({ maybeExecuted }) => maybeExecuted),
      "they may have run",
    );
    assert.ok(slowestMs < DEATH_KNOWN_MS + NOISE_MS, `heard after ${Math.round(slowestMs)} ms`);
    await eventually(() => rig.history.of("end").length === 50, { what: "the workers to finish" });
    await rig.manager("m2");
    const next = await caller.submit({ do: "return" }, { timeoutMs: 20_000 });
    assert.ok(next.ok, "another manager serves");
    return `50 callers heard after ${Math.round(slowestMs)} ms; the workers finished; the next manager serves`;
  },
};

const killOneOfTwo: Scenario = {
  id: "F20",
  fault: "two managers, one killed under load",
  brokers: [1, 3],
  run: async (rig) => {
    const [victim] = await Promise.all([
      rig.manager("m1"),
      rig.manager("m2"),
      rig.worker("w1", { slots: 4 }),
      rig.worker("w2", { slots: 4 }),
    ]);
    const caller = await rig.client();
    const order = { do: "wait", ms: 40 } as const;
    const jobs = rig.scale(150, 1_500);
    const safe = caller.load({ jobs, window: 6, order, idempotent: true, timeoutMs: 20_000 });
    const unsafe = caller.load({ jobs, window: 6, order, timeoutMs: 20_000 });
    await eventually(() => rig.history.of("outcome").length > jobs / 2, { limitMs: 30_000 });
    await victim.kill();
    const [again, once] = [await safe, await unsafe];
    assertEnded(again, { ok: jobs });
    const { ok = 0, bus_unavailable: gone = 0 } = countBy(once);
    assert.equal(ok + gone, jobs, JSON.stringify(countBy(once)));
    assert.ok(gone <= 6, `only what it had: ${gone}`);
    return `${jobs} idempotent jobs ok; of ${jobs} others ${gone} were at the dead one and are bus_unavailable`;
  },
};

/** All of them. */
export const managers: readonly Scenario[] = [killOnly, killOneOfTwo];
