/** Managers that stand still. */
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../support/wait.js";
import { assertEnded } from "../rig/caller.js";
import type { Rig } from "../rig/rig.js";
import type { Scenario } from "../rig/scenario.js";
import type { Service } from "../rig/service.js";

const PAUSE_MS = 4_000;

/** Jobs without a break before, during and after a pause of `victim`. */
async function loadThrough(rig: Rig, victim: Service): Promise<number> {
  const caller = await rig.client();
  let over = false;
  const order = { do: "wait", ms: 30 } as const;
  const load = caller.load({ jobs: 100_000, window: 6, order, timeoutMs: 20_000, until: () => over });
  const heardOf = () => rig.history.of("outcome").length;
  await eventually(() => heardOf() > 20);
  victim.pause();
  await delay(PAUSE_MS);
  victim.resume();
  const before = heardOf();
  await eventually(() => heardOf() > before + 20, { what: "jobs after the pause" });
  over = true;
  const heard = await load;
  assertEnded(heard, { ok: heard.length });
  return heard.length;
}

const oneOfTwo: Scenario = {
  id: "X01",
  fault: "SIGSTOP one of two managers under load, SIGCONT",
  brokers: [1],
  run: async (rig) => {
    const [victim] = await Promise.all([rig.manager("m1"), rig.manager("m2"), rig.worker("w1", { slots: 4 })]);
    return `${await loadThrough(rig, victim)} jobs ok; what it had came late, what it never took went to the other`;
  },
};

const theOnly: Scenario = {
  id: "X02",
  fault: "SIGSTOP the only manager under load, SIGCONT",
  brokers: [1],
  run: async (rig) => {
    const [victim] = await Promise.all([rig.manager("m1"), rig.worker("w1", { slots: 4 })]);
    return `${await loadThrough(rig, victim)} jobs ok; no worker was taken for lost`;
  },
};

/** All of them. */
export const managerPause: readonly Scenario[] = [oneOfTwo, theOnly];
