/** Brokers that die and come back. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../support/wait.js";
import { machineNow } from "../history.js";
import { assertEnded } from "../rig/caller.js";
import type { Scenario } from "../rig/scenario.js";

/** A refusal is made without waiting; a busy machine may add the rest. */
const AT_ONCE_MS = 100 + 400;

const restart: Scenario = {
  id: "F27",
  fault: "kill -9 the broker, restart after 500 ms, jobs running",
  brokers: [1, 3],
  run: async (rig) => {
    await Promise.all([rig.manager("m1"), rig.worker("w1", { slots: 10 }), rig.worker("w2", { slots: 10 })]);
    const caller = await rig.client();
    const order = (index: number) => ({ do: "wait", ms: 1_000 + 150 * index }) as const;
    const running = caller.load({ jobs: 20, window: 20, order, timeoutMs: 25_000 });
    await rig.begun(20);
    await eventually(() => rig.history.of("accepted").length === 20, { what: "all to be accepted" });
    await rig.broker.crash();
    await delay(500);
    await rig.broker.revive();
    const backAt = machineNow();
    await eventually(async () => (await caller.submit({ do: "return" }, { timeoutMs: 2_000 })).ok, {
      limitMs: 15_000,
      pollMs: 50,
      what: "a new job to be served",
    });
    const servedMs = machineNow() - backAt;
    const heard = await running;
    assertEnded(heard, { ok: 20 });
    return `20 results inside their deadlines; new jobs served after ${Math.round(servedMs)} ms`;
  },
};

const longOutage: Scenario = {
  id: "F28",
  fault: "the broker is down for longer than the deadlines",
  brokers: [1],
  run: async (rig) => {
    const [manager, meter] = await Promise.all([rig.manager("m1"), rig.meter("meter"), rig.worker("w1", { slots: 2 })]);
    const [client, embedded] = [await rig.client(), await rig.embedded()];
    await rig.sees(embedded, 2);
    const running = client.submit({ do: "wait", ms: 60_000 }, { timeoutMs: 3_000 });
    await rig.begun(1);
    await rig.broker.crash();
    for (const caller of [client, embedded]) {
      // Each has a connection of its own, and hears of its end by itself.
      await eventually(
        async () => (await caller.submit({ do: "return" }, { timeoutMs: 1_000 })).reason === "bus_unavailable",
      );
      const refused = await caller.submit({ do: "return" }, { timeoutMs: 1_000 });
      assert.equal(refused.reason, "bus_unavailable");
      assert.ok(refused.afterMs < AT_ONCE_MS, `refused after ${refused.afterMs} ms`);
    }
    await eventually(async () => (await statusOf(manager.url)) === 503 && (await statusOf(meter.url)) === 503, {
      what: "both to be not ready",
    });
    assert.deepEqual([(await running).reason], ["deadline_exceeded"]);
    await rig.broker.revive();
    await eventually(async () => (await statusOf(manager.url)) === 200 && (await statusOf(meter.url)) === 200, {
      what: "both to be ready",
    });
    for (const caller of [client, embedded]) {
      await eventually(async () => (await caller.submit({ do: "return" }, { timeoutMs: 2_000 })).ok, {
        limitMs: 15_000,
      });
    }
    return "bus_unavailable at once, not ready, deadline kept; all came back";
  },
};

async function statusOf(url: string): Promise<number> {
  return (await fetch(`${url}/readyz`)).status;
}

/** All of them. */
export const brokers: readonly Scenario[] = [restart, longOutage];
