/** Jobs that follow others, while managers die and links are slow. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../support/wait.js";
import type { Given, LaneCaller } from "../rig/lane-caller.js";
import { POOL } from "../rig/pool.js";
import type { Rig } from "../rig/rig.js";
import type { Scenario } from "../rig/scenario.js";

/** The pool of every second job. */
const AFTER = "after";
/** How long what the broker says to the manager is kept back, milliseconds: time to kill it. */
const HELD_BACK_MS = 500;
const SLOW_MS = 400;

/** A job with two that follow it: in the other pool, and in the first one again. */
function chain(index: number): Given {
  // A result has the echo of its own job, and is the payload of the next one.
  const echo = `chain ${index}`;
  const next = { do: "wait", ms: 20, echo, next: { do: "return", echo } } as const;
  return {
    order: { do: "wait", ms: 20, echo, next },
    idempotent: index % 2 > 0,
    follows: [AFTER, POOL],
  };
}

async function ended(rig: Rig, caller: LaneCaller, chains: number): Promise<string> {
  await caller.rest();
  const { results, givenUp } = caller;
  const starts = rig.history.of("start");
  const ids = new Set(starts.map(({ id }) => id));
  // What is given up ends its chain.
  assert.ok(results + givenUp * 3 >= chains * 3 && results <= chains * 3, `${results} results, ${givenUp} given up`);
  assert.ok(ids.size <= results + givenUp, "each job of each chain has one id");
  return `${chains} chains of three jobs: ${results} results, ${givenUp} that may run once given up, ${starts.length - ids.size} second runs`;
}

const between: Scenario = {
  id: "F86",
  fault: "kill -9 a manager between the outcome of a job and the job that follows it",
  brokers: [1, 3],
  // It waits for the 30 seconds of the broker before a job is delivered again: played by hand.
  quickBrokers: [],
  lane: true,
  run: async (rig) => {
    const proxy = await rig.proxy(rig.nextUrl());
    const kills = rig.scale(1, 3);
    await Promise.all([rig.worker("w1", { slots: 4 }), rig.worker("w2", { slots: 4, env: { POOL: AFTER } })]);
    let manager = await rig.manager("m0", { via: proxy.url });
    const caller = await rig.laneCaller();
    const told = { count: 0 };
    await caller.hears(`pool.${POOL}.ended.*`, () => (told.count += 1));
    for (let kill = 1; kill <= kills; kill += 1) {
      proxy.set("to-client", { delayMs: HELD_BACK_MS });
      const before = told.count;
      const enqueueing = caller.enqueueAll(`chain-${kill}`, rig.scale(6, 20), chain);
      // An outcome is stored, and the manager has not heard so: it has enqueued nothing yet.
      await eventually(() => told.count > before, { limitMs: 60_000, pollMs: 1, what: "an outcome" });
      await manager.kill();
      proxy.heal();
      manager = await rig.manager(`m${kill}`, { via: proxy.url });
      await enqueueing;
    }
    return ended(rig, caller, kills * rig.scale(6, 20));
  },
};

const slow: Scenario = {
  id: "F87",
  fault: "the next pool's worker and one of two managers are behind a slow link that breaks",
  brokers: [1, 3],
  quickBrokers: [1],
  lane: true,
  run: async (rig) => {
    const proxy = await rig.proxy(rig.nextUrl());
    await Promise.all([
      rig.worker("w1", { slots: 4 }),
      rig.worker("w2", { slots: 4, via: proxy.url, env: { POOL: AFTER } }),
      rig.manager("m1", { via: proxy.url }),
      rig.manager("m2"),
    ]);
    const caller = await rig.laneCaller();
    proxy.set("both", { delayMs: SLOW_MS });
    const chains = rig.scale(10, 40);
    const enqueueing = caller.enqueueAll("chain", chains, chain);
    for (let i = 0; i < rig.scale(1, 3); i += 1) {
      await delay(2_000);
      rig.history.add({ kind: "fault", what: "reset", whom: "the slow link" });
      proxy.reset();
    }
    await enqueueing;
    return ended(rig, caller, chains);
  },
};

/** All of them. */
export const laneChains: readonly Scenario[] = [between, slow];
