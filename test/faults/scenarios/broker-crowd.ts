/** Brokers that appear late, leave politely, and are met by crowds. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { Broker } from "../../../broker/broker.js";
import { Bus } from "../../../mesh/link/bus.js";
import { startBroker, startCluster } from "../../support/broker.js";
import { cleanUp } from "../../support/clean-up.js";
import { eventually } from "../../support/wait.js";
import { machineNow } from "../history.js";
import { assertEnded } from "../rig/caller.js";
import type { Rig } from "../rig/rig.js";
import type { Scenario } from "../rig/scenario.js";

const LAME_DUCK = 'lame_duck_duration: "30s"\nlame_duck_grace_period: "1s"';

const lameDuck: Scenario = {
  id: "F31",
  fault: "lame duck on one of three brokers under load",
  brokers: [0],
  run: async (rig) => {
    await rig.useBrokers((await startCluster(rig.owner, 3, { extraConfig: LAME_DUCK })).brokers);
    const leaving = rig.broker;
    const via = leaving.url;
    await Promise.all([
      rig.manager("m1", { via }),
      rig.manager("m2"),
      rig.worker("w1", { slots: 4, via }),
      rig.worker("w2", { slots: 4 }),
    ]);
    const caller = await rig.client({ servers: via });
    const order = { do: "wait", ms: 30 } as const;
    let over = false;
    const load = caller.load({ jobs: 100_000, window: 6, order, timeoutMs: 20_000, until: () => over });
    await eventually(() => heardOf(rig).length > 20);
    rig.history.add({ kind: "fault", what: "lame duck", whom: "the first broker" });
    await leaving.crash("SIGUSR2");
    const left = heardOf(rig).length;
    await eventually(() => heardOf(rig).length > left + 30, { what: "jobs after it has gone" });
    over = true;
    const heard = await load;
    assertEnded(heard, { ok: heard.length });
    const slowestMs = Math.max(...heard.map(({ afterMs }) => afterMs));
    return `${heard.length} jobs of ${order.ms} ms ok, ${left} of them before it had gone, the slowest after ${Math.round(slowestMs)} ms`;
  },
};

const heardOf = (rig: Rig) => rig.history.of("outcome");

const demand: Scenario = {
  id: "F36",
  fault: "a cluster of three, workers on other nodes, demand above capacity",
  brokers: [3],
  run: async (rig) => {
    const [first = rig.broker, second = first, third = first] = rig.brokers;
    await Promise.all([
      rig.manager("m1", { via: first.url, env: { ACCEPT_TIMEOUT_MS: "5000" } }),
      rig.worker("w1", { slots: 3, via: second.url }),
      rig.worker("w2", { slots: 3, via: third.url }),
    ]);
    const caller = await rig.client({ servers: first.url });
    const jobs = rig.scale(300, 3_000);
    const heard = await caller.load({ jobs, window: 40, order: { do: "wait", ms: 15 }, timeoutMs: 60_000 });
    assertEnded(heard, { ok: jobs });
    assert.equal(rig.history.of("start").length, jobs, "each once");
    return `${jobs} jobs at seven times the capacity: all ok, each once`;
  },
};

const lateBroker: Scenario = {
  id: "F43",
  fault: "no broker at start, one appears later",
  brokers: [0],
  run: async (rig) => {
    const scout = await startBroker(rig.owner, { jetStream: false });
    const { port, url: via } = scout;
    await scout.stop();
    const services = [
      rig.spawnWorker("w1", { via }),
      rig.spawnManager("m1", { via }),
      rig.spawnMeter("meter", { via }),
    ];
    await delay(rig.scale(2_000, 5_000));
    assert.ok(
      services.every(({ process }) => !process.ended),
      "nobody gives up",
    );
    const broker = new Broker({ port, jetStream: false });
    cleanUp(rig.owner, () => broker.stop());
    await broker.start();
    const since = machineNow();
    await rig.useBrokers([broker]);
    await Promise.all(services.map((service) => service.ready()));
    const readyMs = machineNow() - since;
    const caller = await rig.client();
    assert.ok((await caller.submit({ do: "return" }, { timeoutMs: 10_000 })).ok);
    return `no crash; all ready ${Math.round(readyMs)} ms after the broker`;
  },
};

const reconnects: Scenario = {
  id: "F45",
  fault: "200 clients reconnect at once",
  brokers: [1],
  run: async (rig) => {
    const connecting = Array.from({ length: 200 }, async () => {
      const bus = await Bus.connect({ servers: rig.broker.url });
      cleanUp(rig.owner, () => bus.close());
      return bus;
    });
    const buses = await Promise.all(connecting);
    await rig.broker.crash();
    await eventually(() => buses.every((bus) => !bus.connected), { what: "all to notice" });
    const since = machineNow();
    await rig.broker.revive();
    await eventually(() => buses.every((bus) => bus.connected), { limitMs: 10_000, what: "all 200 to be back" });
    return `all back ${Math.round(machineNow() - since)} ms after the restart began`;
  },
};

/** All of them. */
export const brokerCrowd: readonly Scenario[] = [lameDuck, demand, lateBroker, reconnects];
