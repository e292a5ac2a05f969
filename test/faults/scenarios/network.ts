/** Networks that stall, lie, delay and lose. */
import assert from "node:assert/strict";
import { Bus } from "../../../mesh/link/bus.js";
import { Worker } from "../../../services/worker/worker.js";
import { connectBus } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { seededRandom } from "../../support/random.js";
import { eventually } from "../../support/wait.js";
import { machineNow } from "../history.js";
import { assertEnded } from "../rig/caller.js";
import { POOL } from "../rig/pool.js";
import { memoryMib } from "../rig/resources.js";
import type { Scenario } from "../rig/scenario.js";

const deafSocket: Scenario = {
  id: "F38",
  fault: "a worker stops reading its socket",
  brokers: [1],
  run: async (rig) => {
    const proxy = await rig.proxy();
    const [victim] = await Promise.all([
      rig.worker("w1", { slots: 2, via: proxy.url }),
      rig.worker("w2", { slots: 2 }),
      rig.manager("m1"),
    ]);
    const caller = await rig.client();
    const order = { do: "wait", ms: 10 } as const;
    await caller.load({ jobs: 20, window: 4, order });
    const watched = { broker: rig.broker.pid, worker: victim.pid };
    for (const [name, pid] of Object.entries(watched)) {
      rig.history.add({
        kind: "resources",
        process: name,
        phase: "baseline",
        held: { memoryMib: await memoryMib(pid) },
      });
    }
    proxy.set("to-client", { mode: "pause" });
    const heard = await caller.load({ jobs: rig.scale(60, 600), window: 4, order, timeoutMs: 20_000 });
    assertEnded(heard, { ok: heard.length });
    assert.ok(
      heard.every(({ worker }) => worker === "w2"),
      "its jobs go elsewhere",
    );
    for (const [name, pid] of Object.entries(watched)) {
      rig.history.add({ kind: "resources", process: name, phase: "rest", held: { memoryMib: await memoryMib(pid) } });
    }
    proxy.heal();
    return `${heard.length} jobs ok elsewhere; memory of broker and worker bounded`;
  },
};

const halfOpen: Scenario = {
  id: "F39",
  fault: "a half-open link",
  brokers: [1],
  run: async (rig) => {
    const pingIntervalMs = 300;
    const proxy = await rig.proxy();
    const bus = await connectBus(rig.owner, { url: proxy.url }, { pingIntervalMs });
    await Promise.all([rig.worker("w1", { via: proxy.url }), rig.manager("m1")]);
    const caller = await rig.client();
    // The cut-off worker itself ends the job at its deadline.
    const held = caller.submit({ do: "wait", ms: 60_000 }, { timeoutMs: 8_000 });
    await rig.begun(1);
    await eventually(() => rig.history.of("accepted").length === 1);
    proxy.set("both", { mode: "drop" });
    const since = machineNow();
    await eventually(() => !bus.connected, { what: "the bus to notice" });
    const busMs = machineNow() - since;
    const lost = await held;
    const callerMs = machineNow() - since;
    assert.ok(busMs < 3 * pingIntervalMs + 3_000, `noticed after ${busMs} ms`);
    assert.deepEqual([lost.reason, lost.maybeExecuted], ["worker_lost", true]);
    assert.ok(callerMs < 3_000 + 1_000 + 4_000, `the caller heard after ${callerMs} ms`);
    proxy.heal();
    proxy.reset();
    await eventually(() => bus.connected, { what: "the bus to be back" });
    await eventually(() => rig.history.of("end").length === 1, { what: "the cut-off handler to end" });
    return `the bus noticed after ${Math.round(busMs)} ms (ping ${pingIntervalMs} ms); the caller after ${Math.round(callerMs)} ms`;
  },
};

const slowLink: Scenario = {
  id: "F41",
  fault: "200 ms delay each way",
  brokers: [1],
  run: async (rig) => {
    const proxy = await rig.proxy();
    proxy.set("both", { delayMs: 200 });
    const removed: string[] = [];
    const caller = await rig.embedded({ hooks: { workerRemove: ({ id, why }) => removed.push(`${id} ${why}`) } });
    await Promise.all([rig.worker("w1", { slots: 2, via: proxy.url }), rig.worker("w2", { slots: 2, via: proxy.url })]);
    await rig.sees(caller, 4);
    const jobs = rig.scale(24, 240);
    const heard = await caller.load({
      jobs,
      window: 4,
      order: (index) => ({ do: "wait", ms: index % 3 === 0 ? 300 : 0 }),
      timeoutMs: 20_000,
    });
    assertEnded(heard, { ok: jobs });
    assert.equal(rig.history.of("start").length, jobs, "no double dispatch");
    assert.deepEqual(removed, [], "no flapping");
    return `${jobs} jobs ok, each once; nobody was taken for lost`;
  },
};

const lossyBeats: Scenario = {
  id: "F70",
  fault: "30 % of heartbeats lost",
  brokers: [1],
  run: async (rig) => {
    const random = seededRandom(70);
    const meter = await rig.meter("meter");
    const bus = await Bus.connect({ servers: rig.broker.url });
    cleanUp(rig.owner, () => bus.close());
    const publish = bus.publish.bind(bus);
    let lost = 0;
    bus.publish = (subject, payload, options) => {
      if (!subject.includes(".heartbeat.") || random() >= 0.3) return publish(subject, payload, options);
      lost += 1;
      return true;
    };
    const removed: string[] = [];
    const caller = await rig.embedded({ hooks: { workerRemove: ({ why }) => removed.push(why) } });
    const worker = new Worker({ pool: POOL, id: "w1", slots: 2, run: () => 1, heartbeatIntervalMs: 400 });
    worker.useBus(bus);
    cleanUp(rig.owner, () => worker.stop());
    await worker.start();
    await rig.sees(caller, 2);
    const view = rig.view(meter);
    await eventually(async () => (await view.capacity())?.slots === 2);
    const stream = view.watch(rig.owner);
    const enough = rig.scale(12, 60);
    await eventually(() => lost >= enough, { limitMs: 240_000, what: `${enough} lost heartbeats` });
    const dips = rig.history.of("stream").filter(({ slots }) => slots !== 2).length;
    assert.deepEqual([removed, dips], [[], 0], "no flapping");
    stream.cancel();
    await caller.submitter.close();
    await worker.stop();
    return `${lost} heartbeats lost; neither manager nor meter took it for lost`;
  },
};

/** All of them. */
export const network: readonly Scenario[] = [deafSocket, halfOpen, slowLink, lossyBeats];
