/** Ids: used again, used at two managers, used by two workers; and hooks, which pair. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../support/wait.js";
import { assertEnded } from "../rig/caller.js";
import type { Scenario } from "../rig/scenario.js";

const usedAgain: Scenario = {
  id: "X11",
  fault: "an id that is used again for other work never hears the earlier result, through one manager or two",
  brokers: [1, 3],
  quickBrokers: [1],
  run: async (rig) => {
    await Promise.all([rig.manager("m1"), rig.manager("m2"), rig.worker("w1", { slots: 2 })]);
    const callers = await Promise.all([rig.client(), rig.client()]);
    const times = rig.scale(20, 200);
    // The caller compares what comes back with what it asked for.
    for (let i = 0; i < times; i += 1) {
      const caller = callers[i % 2] ?? assert.fail("a caller");
      const heard = await caller.submit({ do: "return", echo: String(i) }, { id: "again", renews: i > 0 });
      assert.ok(heard.ok, `${heard.reason}: ${heard.message}`);
    }
    assert.equal(rig.history.of("start").length, times, "each ran");
    return `${times} jobs of one id, each with its own result`;
  },
};

const twoManagers: Scenario = {
  id: "X12",
  fault: "one id that two callers submit at once, to whichever of two managers, runs once and both hear its result",
  brokers: [1, 3],
  quickBrokers: [1],
  run: async (rig) => {
    await Promise.all([rig.manager("m1"), rig.manager("m2"), rig.worker("w1", { slots: 4 })]);
    // Managers agree on owners once each has heard the other's heartbeat.
    await delay(1_200);
    const [first, second] = [await rig.client(), await rig.client()];
    const times = rig.scale(10, 100);
    for (let i = 0; i < times; i += 1) {
      const order = { do: "wait", ms: 30, echo: String(i) } as const;
      const early = first.submit(order, { id: `shared-${i}` });
      await delay(i % 20);
      assertEnded(await Promise.all([early, second.submit(order, { id: `shared-${i}` })]), { ok: 2 });
    }
    assert.equal(rig.history.of("start").length, times, "each ran once");
    return `${times} ids, each submitted twice: ${times} runs, ${2 * times} results`;
  },
};

const oneWorkerId: Scenario = {
  id: "X23",
  fault: "two live workers that share an id lose no job",
  brokers: [1, 3],
  quickBrokers: [1],
  run: async (rig) => {
    await Promise.all([rig.manager("m1"), rig.worker("twin", { slots: 2 })]);
    // A second process of the same id: the first goes on.
    await rig.worker("twin", { slots: 2 });
    rig.history.add({ kind: "worker", worker: "twin", slots: 4 });
    const jobs = rig.scale(100, 600);
    const heard = await (await rig.client()).load({ jobs, window: 4, order: { do: "wait", ms: 5 } });
    const lost = heard.filter(({ reason }) => reason === "worker_lost").length;
    assertEnded(heard, { ok: jobs });
    return `${jobs} jobs ok, ${lost} lost`;
  },
};

const hooks: Scenario = {
  id: "X24",
  fault: "every jobStart has one jobFinish, and what ended while it was parked has neither",
  brokers: [1, 3],
  quickBrokers: [1],
  run: async (rig) => {
    const started: string[] = [];
    const finished: string[] = [];
    const caller = await rig.embedded({
      hooks: { jobFinish: (outcome) => finished.push(outcome.id), workerAdd: () => {} },
    });
    const worker = await rig.worker("w1");
    await rig.sees(caller, 1);
    const ends = [
      caller.submit({ do: "wait", ms: 60_000 }, { timeoutMs: 700, id: "expires" }),
      caller.submit({ do: "wait", ms: 60_000 }, { timeoutMs: 400, id: "expires-parked" }),
      caller.submit({ do: "throw-error" }, { id: "throws" }),
    ];
    assert.deepEqual(
      (await Promise.all(ends)).map(({ reason }) => reason),
      ["deadline_exceeded", "deadline_exceeded", "job_failed"],
    );
    const dies = caller.submit({ do: "wait", ms: 60_000 }, { id: "dies" });
    await rig.begun(3);
    await worker.kill();
    assert.equal((await dies).reason, "worker_lost");
    await eventually(() => finished.length >= 3, { what: "every end to be told" });
    started.push(...rig.history.of("accepted").map(({ id }) => id));
    assert.deepEqual(started.sort(), ["dies", "expires", "throws"]);
    assert.deepEqual(finished.sort(), started);
    return "3 started, 3 finished; the parked one was told to no hook";
  },
};

/** All of them. */
export const identity: readonly Scenario[] = [usedAgain, twoManagers, oneWorkerId, hooks];
