/** What is late, absent for a moment, or has another clock: no second run, no false loss, nothing that starts expired. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../support/wait.js";
import { assertEnded } from "../rig/caller.js";
import type { Rig } from "../rig/rig.js";
import type { Scenario } from "../rig/scenario.js";

/** How often each job ran, at most. */
function mostRuns(rig: Rig): number {
  const runs = new Map<string, number>();
  for (const { id } of rig.history.of("start")) runs.set(id, (runs.get(id) ?? 0) + 1);
  return Math.max(0, ...runs.values());
}

const heldLink: Scenario = {
  id: "X13",
  fault: "a worker's link holds its bytes for a second: no job that is not idempotent runs twice",
  brokers: [1, 3],
  quickBrokers: [1],
  run: async (rig) => {
    const proxy = await rig.proxy();
    const workers = [rig.worker("w1", { slots: 2, via: proxy.url }), rig.worker("w2", { slots: 2 })];
    await Promise.all([rig.manager("m1"), ...workers]);
    const caller = await rig.client();
    await caller.load({ jobs: 20, window: 4, order: { do: "return" } });
    for (let i = 0; i < rig.scale(1, 5); i += 1) {
      proxy.set("both", { delayMs: 1_000 });
      const load = caller.load({ jobs: 16, window: 4, order: { do: "wait", ms: 50 }, timeoutMs: 20_000 });
      await delay(1_000);
      proxy.heal();
      proxy.set("both", { delayMs: 0 });
      const heard = await load;
      assert.ok(
        heard.every(({ ok, maybeExecuted }) => ok || maybeExecuted),
        "a result, or a doubt that is told",
      );
    }
    assert.equal(mostRuns(rig), 1);
    return `${rig.history.of("start").length} runs, none of them a second one`;
  },
};

const suspendedBroker: Scenario = {
  id: "X14",
  fault:
    "a broker that stands still for 2 s, and a worker's link that is down for 0.5 s, cost no running job its result",
  brokers: [1, 3],
  run: async (rig) => {
    const proxy = await rig.proxy();
    await Promise.all([rig.manager("m1"), rig.worker("w1", { slots: 20, via: proxy.url })]);
    const caller = await rig.client();
    const running = caller.load({ jobs: 20, window: 20, order: { do: "wait", ms: 3_200 }, timeoutMs: 20_000 });
    await rig.begun(20);
    proxy.reset({ refuse: true });
    await delay(500);
    proxy.heal();
    // In a cluster it may have gone to another broker.
    await eventually(() => proxy.connections > 0 || rig.brokers.length > 1, { what: "the worker to be back" });
    rig.broker.signal("SIGSTOP");
    await delay(2_000);
    rig.broker.signal("SIGCONT");
    assertEnded(await running, { ok: 20 });
    assert.equal(mostRuns(rig), 1);
    return "20 of 20 running jobs ended with their results";
  },
};

const silentBroker: Scenario = {
  id: "X25",
  fault: "a broker that stands still for 5 s, or for 10 s, costs no job at a worker behind it its result",
  brokers: [1, 3],
  quickBrokers: [3],
  run: async (rig) => {
    const [first, other = first] = rig.brokers;
    assert.ok(first !== undefined && other !== undefined);
    await Promise.all([rig.manager("m1", { via: other.url }), rig.worker("w1", { slots: 20, via: first.url })]);
    const caller = await rig.client({ servers: other.url });
    const lasting = rig.quick ? [5_000] : [5_000, 10_000];
    for (const ms of lasting) {
      const order = { do: "wait", ms: ms + 1_000 } as const;
      const before = rig.history.of("start").length;
      const running = caller.load({ jobs: 20, window: 20, order, timeoutMs: 60_000 });
      await rig.begun(before + 20);
      first.signal("SIGSTOP");
      await delay(ms);
      first.signal("SIGCONT");
      assertEnded(await running, { ok: 20 });
    }
    assert.equal(mostRuns(rig), 1);
    return `${20 * lasting.length} of ${20 * lasting.length} results`;
  },
};

const unheardWorker: Scenario = {
  id: "X26",
  fault: "a worker that hears and is not heard for 2 s runs each job once, and each ends with its result",
  brokers: [1, 3],
  quickBrokers: [3],
  run: async (rig) => {
    const proxy = await rig.proxy();
    await Promise.all([rig.manager("m1"), rig.worker("w1", { slots: 8, via: proxy.url })]);
    const caller = await rig.client();
    await caller.load({ jobs: 8, window: 4, order: { do: "return" } });
    const rounds = rig.scale(1, 5);
    for (let i = 0; i < rounds; i += 1) {
      await eventually(() => proxy.connections > 0 || rig.brokers.length > 1, { what: "the worker to be back" });
      proxy.set("to-server", { mode: "pause" });
      const load = caller.load({ jobs: 8, window: 8, order: { do: "return" }, timeoutMs: 10_000 });
      await delay(2_000);
      proxy.heal();
      assertEnded(await load, { ok: 8 });
    }
    assert.equal(mostRuns(rig), 1);
    return `${8 * rounds} of ${8 * rounds} results, and no second run`;
  },
};

const lameDuck: Scenario = {
  id: "X15",
  fault:
    "every running job ends with its result when its broker, the only one or one of three, leaves in lame duck mode",
  brokers: [1, 3],
  quickBrokers: [1],
  run: async (rig) => {
    await Promise.all([rig.manager("m1"), rig.worker("w1", { slots: 12 })]);
    const caller = await rig.client();
    const running = caller.load({ jobs: 12, window: 12, order: { do: "wait", ms: 1_500 }, timeoutMs: 20_000 });
    await rig.begun(12);
    rig.broker.signal("SIGUSR2");
    await delay(300);
    await rig.broker.crash();
    await rig.broker.revive();
    assertEnded(await running, { ok: 12 });
    assert.equal(mostRuns(rig), 1);
    return "12 of 12 results";
  },
};

const expired: Scenario = {
  id: "X16",
  fault: "a submission that lay in a broker until its deadline is never started",
  brokers: [1, 3],
  quickBrokers: [1],
  run: async (rig) => {
    await Promise.all([rig.manager("m1"), rig.worker("w1", { slots: 4 })]);
    const caller = await rig.client();
    await caller.load({ jobs: 8, window: 4, order: { do: "return" } });
    const before = rig.history.of("start").length;
    for (const broker of rig.brokers) broker.signal("SIGSTOP");
    const heard = await caller.load({ jobs: 13, window: 13, order: { do: "return" }, timeoutMs: 700 });
    assertEnded(heard, { deadline_exceeded: 13 });
    for (const broker of rig.brokers) broker.signal("SIGCONT");
    await eventually(async () => (await caller.submit({ do: "return" }, { timeoutMs: 2_000 })).ok);
    const late = rig.history.of("start").filter(({ id }) => heard.some((each) => each.id === id));
    assert.deepEqual(late, [], "none of them started");
    return `13 of 13 deadline_exceeded, none started afterwards (${before} before)`;
  },
};

/** Moves the wall clock of a process: what `date -s` would do to its machine. */
export const AN_HOUR_ON = `--import=data:text/javascript,${encodeURIComponent(
  "const now = Date.now; Date.now = () => now() + 3_600_000;",
)}`;

const offClock: Scenario = {
  id: "X17",
  fault: "a worker whose clock is an hour ahead, or behind, runs its jobs as all others do",
  brokers: [1, 3],
  quickBrokers: [1],
  run: async (rig) => {
    const clock = { nodeOptions: AN_HOUR_ON };
    const behind = { nodeOptions: AN_HOUR_ON.replace("%2B%203_600_000", "-%203_600_000") };
    await Promise.all([rig.manager("m1"), rig.worker("ahead", clock), rig.worker("behind", behind)]);
    const jobs = rig.scale(60, 600);
    const heard = await (await rig.client()).load({ jobs, window: 2, order: { do: "wait", ms: 5 }, timeoutMs: 5_000 });
    assertEnded(heard, { ok: jobs });
    assert.deepEqual([...new Set(heard.map(({ worker }) => worker))].sort(), ["ahead", "behind"]);
    return `${jobs} jobs ok on both`;
  },
};

const givenUp: Scenario = {
  id: "X18",
  fault: "the late word of a manager that was given up is never a job's outcome",
  brokers: [1, 3],
  quickBrokers: [1],
  run: async (rig) => {
    const managers = [rig.manager("m1"), rig.manager("m2")] as const;
    const [victim] = await Promise.all([...managers, rig.worker("w1", { slots: 8 })]);
    const caller = await rig.client();
    await caller.submit({ do: "return" });
    victim.pause();
    const order = { do: "wait", ms: 100 } as const;
    const given = caller.load({ jobs: 8, window: 8, order, timeoutMs: 25_000, idempotent: true });
    // Clients give a silent manager up after 2.5 s.
    await delay(3_500);
    victim.resume();
    assertEnded(await given, { ok: 8 });
    const again = await caller.load({ jobs: 20, window: 4, order, timeoutMs: 15_000 });
    assertEnded(again, { ok: 20 });
    return "8 results; the words of the one that was given up changed none";
  },
};

/** All of them. */
export const lateness: readonly Scenario[] = [
  heldLink,
  suspendedBroker,
  silentBroker,
  unheardWorker,
  lameDuck,
  expired,
  offClock,
  givenUp,
];
