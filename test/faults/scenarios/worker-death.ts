/** Workers that die: killed while busy and idle, by their own handler, and back under the same id. */
import assert from "node:assert/strict";
import { eventually } from "../../support/wait.js";
import { machineNow } from "../history.js";
import { assertEnded } from "../rig/caller.js";
import type { Scenario } from "../rig/scenario.js";

/** Death of a process is known to its callers within this, in milliseconds. */
export const DEATH_KNOWN_MS = 1_000;
/** A busy machine may add this; the figures themselves are printed by a script. */
const NOISE_MS = 4_000;

const killBusy: Scenario = {
  id: "F01",
  fault: "kill -9 a worker running a job",
  brokers: [1, 3],
  run: async (rig) => {
    const [victim] = await Promise.all([rig.worker("w1", { slots: 2 }), rig.manager("m1")]);
    const caller = await rig.client();
    const options = { timeoutMs: 30_000 };
    const doomed = caller.submit({ do: "wait", ms: 60_000 }, options);
    const twice = caller.submit({ do: "wait", ms: 60_000, laterMs: 10 }, { ...options, idempotent: true });
    await rig.begun(2);
    await rig.worker("w2", { slots: 4 });
    const others = caller.load({ ...options, jobs: rig.scale(40, 400), window: 2, order: { do: "wait", ms: 20 } });
    await eventually(() => rig.history.of("accepted").length >= 4, { what: "other jobs at work" });
    const killedAt = machineNow();
    await victim.kill();
    const lost = await doomed;
    const knownMs = machineNow() - killedAt;
    assert.deepEqual([lost.reason, lost.maybeExecuted, lost.error?.retryable], ["worker_lost", true, false]);
    assert.ok(knownMs < DEATH_KNOWN_MS + NOISE_MS, `known after ${Math.round(knownMs)} ms`);
    const again = await twice;
    assert.deepEqual([again.ok, again.worker, again.attempt], [true, "w2", 2]);
    const heard = await others;
    assertEnded(heard, { ok: heard.length });
    return `worker_lost after ${Math.round(knownMs)} ms; the idempotent one ran again; ${heard.length} others unharmed`;
  },
};

const killIdle: Scenario = {
  id: "F02",
  fault: "kill -9 an idle worker",
  brokers: [1],
  run: async (rig) => {
    const [meter, victim] = await Promise.all([
      rig.meter("meter"),
      rig.worker("w1"),
      rig.worker("w2", { slots: 3 }),
      rig.manager("m1"),
    ]);
    const view = rig.view(meter);
    await view.shows({ slots: 4, busy: 0 });
    const caller = await rig.client();
    const load = caller.load({
      jobs: rig.scale(60, 600),
      window: 2,
      timeoutMs: 10_000,
      order: { do: "wait", ms: 10 },
      idempotent: true,
    });
    await victim.kill();
    const since = machineNow();
    const [heard] = await Promise.all([load, view.shows({ slots: 3 }, since)]);
    assertEnded(heard, { ok: heard.length });
    await view.shows({ slots: 3, busy: 0 });
    return `${heard.length} jobs ok; dropped by the meter`;
  },
};

const handlerKills: Scenario = {
  id: "F07",
  fault: "a handler calls process.exit, or an uncaught exception",
  brokers: [1],
  run: async (rig) => {
    await rig.manager("m1");
    const caller = await rig.client();
    for (const deed of ["exit", "uncaught"] as const) {
      const worker = await rig.worker(`w-${deed}`);
      const heard = await caller.submit({ do: deed }, { timeoutMs: 20_000 });
      assert.deepEqual([heard.reason, heard.maybeExecuted], ["worker_lost", true], deed);
      assert.notEqual((await worker.process.exit()).code, 0);
    }
    const safe = await rig.worker("w-process", { isolation: "process" });
    for (const deed of ["exit", "uncaught"] as const) {
      const heard = await caller.submit({ do: deed }, { timeoutMs: 20_000 });
      assert.deepEqual([heard.reason, heard.maybeExecuted], ["job_failed", true], `${deed}, isolated`);
    }
    assert.ok((await caller.submit({ do: "return" }, { timeoutMs: 20_000 })).ok, "the isolated worker goes on");
    assert.equal(safe.process.ended, false);
    return "inline: worker_lost; in a process of its own: job_failed, and the worker lives on";
  },
};

const sameId: Scenario = {
  id: "F14",
  fault: "a worker restarts under the same id",
  brokers: [1],
  run: async (rig) => {
    const [meter, first] = await Promise.all([rig.meter("meter"), rig.worker("w1", { slots: 2 }), rig.manager("m1")]);
    const view = rig.view(meter);
    const caller = await rig.client();
    const held = caller.submit({ do: "wait", ms: 60_000 }, { timeoutMs: 60_000 });
    await rig.begun(1);
    await view.shows({ slots: 2, busy: 1 });
    let most = 0;
    const watched = view.watch(rig.owner);
    await first.kill();
    const second = await rig.worker("w1", { slots: 2 });
    const since = machineNow();
    const lost = await held;
    assert.equal(lost.reason, "worker_lost");
    await eventually(() => watched.messages > 0);
    await view.shows({ slots: 2, busy: 0 }, since);
    for (const { slots } of rig.history.of("stream")) most = Math.max(most, slots);
    assert.equal(most, 2, "never counted twice");
    assert.equal((await view.worker("w1"))?.heartbeat?.pid, second.pid);
    assert.ok((await caller.submit({ do: "return" })).ok);
    await view.mustEndOn(watched, { slots: 2, busy: 0 });
    return "a new incarnation; never more than its 2 slots";
  },
};

/** All of them. */
export const workerDeath: readonly Scenario[] = [killBusy, killIdle, handlerKills, sameId];
