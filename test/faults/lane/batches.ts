/** A batch whose managers, workers and broker are killed while its jobs run. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../support/wait.js";
import type { Given } from "../rig/lane-caller.js";
import { POOL } from "../rig/pool.js";
import type { Scenario } from "../rig/scenario.js";
import { provisionPool } from "./provision-pool.js";

const JOBS = 2_000;
const SLOTS = 32;
/** Each so many-th job is one whose handler throws. */
const FAILING = 100;
/** So that what a killed manager had just been given comes again soon, seconds. */
const ACK_WAIT_S = 3;

function given(index: number): Given {
  const fails = index % FAILING === FAILING / 2;
  const echo = `row ${index}`;
  return fails ? { order: { do: "throw-error" }, fails } : { order: { do: "wait", ms: 5 + (index % 7) * 5, echo } };
}

const killed: Scenario = {
  id: "F90",
  fault: "kill -9 managers, workers and a broker, one after the other, while the jobs of a batch run",
  brokers: [1, 3],
  // Four processes start beside those that work: on a busy machine it takes a minute, so it is played by hand.
  quickBrokers: [],
  lane: true,
  run: async (rig) => {
    await provisionPool(rig, ACK_WAIT_S);
    const everywhere = { via: rig.brokers.map(({ url }) => url).join(",") };
    const worker = (id: string) => rig.worker(id, { slots: SLOTS, ...everywhere });
    const [m1, m2, w1, w2] = await Promise.all([
      rig.manager("m1", everywhere),
      rig.manager("m2", everywhere),
      worker("w1"),
      worker("w2"),
    ]);
    const caller = await rig.laneCaller();
    const ended = { count: 0 };
    await caller.hears(`pool.${POOL}.ended.*`, () => (ended.count += 1));
    const reached = (part: number) =>
      eventually(() => ended.count >= JOBS * part, { limitMs: 60_000, pollMs: 5, what: `${part} of all outcomes` });
    const adding = caller.enqueueBatch("batch", JOBS, given);
    const began: Promise<unknown>[] = [];
    await reached(0.1);
    await m1.kill();
    began.push(rig.manager("m3", everywhere));
    await reached(0.3);
    await w1.kill();
    began.push(worker("w3"));
    await reached(0.5);
    const broker = rig.brokers.at(-1);
    rig.history.add({ kind: "fault", what: "kill -9", whom: `broker ${rig.brokers.length}` });
    await broker?.crash();
    await delay(300);
    await broker?.revive();
    await reached(0.7);
    await Promise.all([m2.kill(), w2.kill()]);
    began.push(rig.manager("m4", everywhere));
    const { told, completion } = await (await adding)();
    await Promise.all(began);
    await caller.rest();
    const { results, givenUp } = caller;
    assert.deepEqual([told.total, told.succeeded, told.failed], [JOBS, results, givenUp]);
    assert.deepEqual([results, givenUp], [JOBS - JOBS / FAILING, JOBS / FAILING]);
    const starts = rig.history.of("start");
    const completions = starts.filter(({ id }) => id === completion).length;
    const again = secondRuns(starts.map(({ id }) => id));
    assert.equal(completions, 1, "runs of the completion job");
    return `${JOBS} jobs: ${results} results, ${givenUp} dead letters, ${again} second runs; one completion job, with these counts`;
  },
};

/** Starts beyond the first, of jobs whose handler does not throw. */
function secondRuns(starts: readonly string[]): number {
  const well = starts.filter((id) => given(Number(id.slice(id.lastIndexOf("-") + 1))).fails !== true);
  return well.length - new Set(well).size;
}

/** All of them. */
export const laneBatches: readonly Scenario[] = [killed];
