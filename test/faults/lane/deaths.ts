/** Stored jobs whose workers, managers, brokers and links die or stand still. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../support/wait.js";
import type { Given, LaneCaller } from "../rig/lane-caller.js";
import type { Rig } from "../rig/rig.js";
import type { Scenario } from "../rig/scenario.js";
import type { Service } from "../rig/service.js";
import { provisionPool } from "./provision-pool.js";

/** So that what stands still comes again soon, seconds. */
const ACK_WAIT_S = 2;
/** Longer than that, and than what a worker may say nothing. */
const PAUSE_MS = 6_000;
const LONG_MS = ACK_WAIT_S * 5_000;
/** How long what the broker says is kept back before the link breaks, milliseconds. */
const HELD_BACK_MS = 400;
const SLOTS = 4;

/** Every third may run once. */
function given(index: number): Given {
  return { order: { do: "wait", ms: 40 + (index % 5) * 40, echo: `job ${index}` }, idempotent: index % 3 > 0 };
}

/** Runs of a job after its first. */
function secondRuns(rig: Rig): number {
  const ids = rig.history.of("start").map(({ id }) => id);
  return ids.length - new Set(ids).size;
}

/** What came of a load that is over. A worker that a busy machine keeps from speaking is taken for lost, too: second runs are told, not judged. */
async function ended(rig: Rig, caller: LaneCaller, jobs: number): Promise<string> {
  await caller.rest();
  const { results, givenUp } = caller;
  assert.equal(results + givenUp, jobs, "every job has an outcome");
  const again = secondRuns(rig);
  return `${jobs} jobs ended: ${results} results, ${givenUp} that may run once given up, ${again} second runs`;
}

/** Of sixty jobs, while one of those that have them stands still. */
async function endedAroundPause(rig: Rig, victim: Service): Promise<string> {
  const caller = await rig.laneCaller();
  const enqueueing = caller.enqueueAll("job", 60, given);
  await rig.begun(10);
  victim.pause();
  await delay(PAUSE_MS);
  victim.resume();
  await enqueueing;
  return ended(rig, caller, 60);
}

const killedWorker: Scenario = {
  id: "F47",
  fault: "kill -9 a worker, again and again, while it runs stored jobs",
  brokers: [1, 3],
  quickBrokers: [1],
  lane: true,
  run: async (rig) => {
    const kills = rig.scale(2, 6);
    let worker = await rig.worker("w0", { slots: SLOTS });
    await Promise.all([rig.manager("m1"), rig.worker("other", { slots: SLOTS })]);
    const caller = await rig.laneCaller();
    for (let kill = 1; kill <= kills; kill += 1) {
      const enqueueing = caller.enqueueAll(`kill-${kill}`, 30, given);
      const name = worker.name;
      const before = rig.history.of("start").filter((event) => event.worker === name).length;
      const runs = () => rig.history.of("start").filter((event) => event.worker === name).length > before + 2;
      await eventually(runs, { limitMs: 60_000, pollMs: 5, what: "jobs at the worker" });
      await worker.kill();
      worker = await rig.worker(`w${kill}`, { slots: SLOTS });
      await enqueueing;
    }
    return ended(rig, caller, kills * 30);
  },
};

const pausedWorker: Scenario = {
  id: "F48",
  fault: "SIGSTOP a worker with stored jobs until it counts as lost, SIGCONT",
  brokers: [1, 3],
  // It takes long: played by hand.
  quickBrokers: [],
  lane: true,
  run: async (rig) => {
    const [victim] = await Promise.all([
      rig.worker("w1", { slots: SLOTS }),
      rig.worker("w2", { slots: SLOTS }),
      rig.manager("m1"),
    ]);
    return endedAroundPause(rig, victim);
  },
};

const longJobs: Scenario = {
  id: "F49",
  fault: "stored jobs that last five times the ack wait",
  brokers: [1, 3],
  quickBrokers: [1],
  lane: true,
  run: async (rig) => {
    await provisionPool(rig, ACK_WAIT_S);
    await Promise.all([rig.manager("m1"), rig.manager("m2"), rig.worker("w1", { slots: SLOTS })]);
    const caller = await rig.laneCaller();
    await caller.enqueueAll("long", SLOTS, () => ({ order: { do: "wait", ms: LONG_MS } }));
    const outcome = await ended(rig, caller, SLOTS);
    assert.equal(caller.lastAttempt, 1, "one delivery each");
    return `${outcome}, each ${LONG_MS} ms long, in one delivery each`;
  },
};

const blocked: Scenario = {
  id: "F50",
  fault: "a stored job that blocks its event loop for five times the ack wait, among others",
  brokers: [1, 3],
  // It takes long: played by hand.
  quickBrokers: [],
  lane: true,
  run: async (rig) => {
    await provisionPool(rig, ACK_WAIT_S);
    const worker = rig.worker("w1", { slots: 2, isolation: "process" });
    await Promise.all([rig.manager("m1"), rig.manager("m2"), worker]);
    const caller = await rig.laneCaller();
    await caller.enqueue("long", { order: { do: "block", ms: LONG_MS } });
    await caller.enqueueAll("job", 20, given);
    return `${await ended(rig, caller, 21)}, one of them ${LONG_MS} ms long`;
  },
};

const poison: Scenario = {
  id: "F51",
  fault: "a stored job whose handler ends its process each time, among others",
  brokers: [1, 3],
  // It takes long: played by hand.
  quickBrokers: [],
  lane: true,
  run: async (rig) => {
    await Promise.all([rig.manager("m1"), rig.worker("w1", { slots: 2, isolation: "process" })]);
    const caller = await rig.laneCaller();
    await caller.enqueue("poison", { order: { do: "exit" }, fails: true });
    await caller.enqueueAll("job", 20, given);
    await caller.rest();
    assert.deepEqual([caller.results, caller.givenUp], [20, 1]);
    const attempts = rig.history.of("start").filter(({ id }) => id === "poison").length;
    return `a dead letter after ${attempts} attempts; 20 others have their results`;
  },
};

/** The link of a manager or a caller keeps back what the broker says, and breaks: acknowledgements are lost. */
function cutLink(id: string, fault: string, whose: "manager" | "caller"): Scenario {
  return {
    id,
    fault,
    brokers: [1, 3],
    quickBrokers: [1],
    lane: true,
    run: async (rig) => {
      await provisionPool(rig, ACK_WAIT_S);
      const proxy = await rig.proxy();
      const behind = { via: proxy.url };
      await Promise.all([rig.manager("m1", whose === "manager" ? behind : {}), rig.worker("w1", { slots: SLOTS })]);
      const caller = await rig.laneCaller({}, whose === "caller" ? proxy.url : undefined);
      const cuts = rig.scale(3, 10);
      const jobs = cuts * 20;
      const enqueueing = caller.enqueueAll("job", jobs, given);
      for (let cut = 1; cut <= cuts; cut += 1) {
        const starts = rig.history.of("start").length;
        const goesOn = () => rig.history.of("start").length >= Math.min(starts + 5, jobs);
        await eventually(goesOn, { limitMs: 60_000, pollMs: 20, what: "jobs after the cut" });
        proxy.set("to-client", { delayMs: HELD_BACK_MS });
        await delay(HELD_BACK_MS / 2);
        proxy.reset();
        proxy.heal();
      }
      await enqueueing;
      return ended(rig, caller, jobs);
    },
  };
}

const allBrokers: Scenario = {
  id: "F58",
  fault: "kill -9 every broker at once while stored jobs run, and start them again",
  brokers: [1, 3],
  quickBrokers: [1],
  lane: true,
  run: async (rig) => {
    await provisionPool(rig, ACK_WAIT_S);
    const via = rig.brokers.map(({ url }) => url).join(",");
    await Promise.all([rig.manager("m1", { via }), rig.worker("w1", { slots: SLOTS, via })]);
    const caller = await rig.laneCaller();
    const enqueueing = caller.enqueueAll("job", 60, given);
    await rig.begun(10);
    rig.history.add({ kind: "fault", what: "kill -9", whom: "every broker" });
    await Promise.all(rig.brokers.map((broker) => broker.crash()));
    await delay(500);
    await Promise.all(rig.brokers.map((broker) => broker.revive()));
    await enqueueing;
    return ended(rig, caller, 60);
  },
};

const pausedManager: Scenario = {
  id: "F52",
  fault: "SIGSTOP a manager that holds stored jobs for longer than the ack wait, SIGCONT",
  brokers: [1, 3],
  quickBrokers: [1],
  lane: true,
  run: async (rig) => {
    await provisionPool(rig, ACK_WAIT_S);
    const [victim] = await Promise.all([rig.manager("m1"), rig.manager("m2"), rig.worker("w1", { slots: SLOTS })]);
    return endedAroundPause(rig, victim);
  },
};

/** All of them. */
export const laneDeaths: readonly Scenario[] = [
  killedWorker,
  pausedWorker,
  longJobs,
  blocked,
  poison,
  pausedManager,
  cutLink("F53", "a manager's link breaks with the acknowledgements of what it stored, again and again", "manager"),
  cutLink("F54", "a caller's link breaks with the acknowledgements of what it enqueued, again and again", "caller"),
  allBrokers,
];
