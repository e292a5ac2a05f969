/** Payloads over the broker's limit, in both lanes, while everything fails. */
import assert from "node:assert/strict";
import { eventually } from "../../support/wait.js";
import { assertEnded, type Caller, type Heard } from "../rig/caller.js";
import type { Order } from "../rig/handler.js";
import type { LaneCaller } from "../rig/lane-caller.js";
import type { Rig } from "../rig/rig.js";
import type { Scenario } from "../rig/scenario.js";

const LARGE = { env: { LARGE_PAYLOADS: "true" } };
/** Three times the broker's limit. */
const BYTES = 3 * 2 ** 20;

/** A payload of which every part is another one; its result is as large. */
function order(index: number): Order {
  const line = (i: number): string => `${index}-${i}`.padEnd(64, "0123456789abcdef");
  return { do: "wait", ms: 100, echo: Array.from({ length: BYTES / 64 }, (_, i) => line(i)).join("") };
}

interface Callers {
  readonly core: Caller;
  readonly lane: LaneCaller;
}

async function callers(rig: Rig): Promise<Callers> {
  const servers = rig.brokers.map(({ url }) => url).join(",");
  const core = await rig.client({ largePayloads: true, servers });
  return { core, lane: await rig.laneCaller({ largePayloads: true }) };
}

/** Sends some jobs in both lanes. Those of `submit` are idempotent: they may go to another worker. */
function send({ core, lane }: Callers, name: string, jobs: number): Promise<Heard[]> {
  const enqueueing = lane.enqueueAll(name, jobs, (i) => ({ order: order(i) }), 2);
  const submitting = core.load({ jobs, window: 2, order, idempotent: true, timeoutMs: 60_000 });
  return Promise.all([submitting, enqueueing]).then(([heard]) => heard);
}

function begun(rig: Rig, before: number): Promise<true> {
  return eventually(() => rig.history.of("start").length > before + 1, {
    limitMs: 60_000,
    pollMs: 20,
    what: "a start",
  });
}

const killed: Scenario = {
  id: "F88",
  fault: "kill -9 the worker, the manager and the broker while large payloads are under way, in both lanes",
  brokers: [1, 3],
  quickBrokers: [1],
  lane: true,
  run: async (rig) => {
    const everywhere = { via: rig.brokers.map(({ url }) => url).join(",") };
    const [, manager, , worker] = await Promise.all([
      rig.manager("m1", everywhere),
      rig.manager("m2", everywhere),
      rig.worker("w1", { slots: 2, ...everywhere, ...LARGE }),
      rig.worker("w2", { slots: 2, ...everywhere, ...LARGE }),
    ]);
    const all = await callers(rig);
    const jobs = rig.scale(4, 12);
    const starts = (): number => rig.history.of("start").length;
    const deeds: readonly (readonly [string, () => Promise<unknown>])[] = [
      ["worker", async () => Promise.all([worker.kill(), rig.worker("w3", { slots: 2, ...everywhere, ...LARGE })])],
      ["manager", async () => Promise.all([manager.kill(), rig.manager("m3", everywhere)])],
      ["broker", () => rig.broker.crash().then(() => rig.broker.revive())],
    ];
    const told: string[] = [];
    for (const [name, deed] of deeds) {
      const before = starts();
      const sending = send(all, name, jobs);
      await begun(rig, before);
      rig.history.add({ kind: "fault", what: "kill -9", whom: name });
      await deed();
      const heard = await sending;
      // A submission of the moment in which the broker is away is refused at once.
      const away = heard.filter(({ reason }) => reason === "bus_unavailable").length;
      assert.ok(away === 0 || name === "broker", `${away} were refused`);
      assertEnded(heard, { ok: jobs - away, ...(away === 0 ? {} : { bus_unavailable: away }) });
      told.push(`${name}: ${jobs - away} and ${jobs}`);
    }
    await all.lane.rest();
    assert.equal(all.lane.results, jobs * deeds.length);
    return `payloads and results of ${BYTES} bytes came back as they were: ${told.join(", ")}`;
  },
};

const LAME_DUCK = 'lame_duck_duration: "30s"\nlame_duck_grace_period: "1s"';

const lameDuck: Scenario = {
  id: "F89",
  fault: "lame duck on one of three brokers while large payloads are under way, in both lanes",
  brokers: [0],
  lane: true,
  run: async (rig) => {
    await rig.useThree(LAME_DUCK);
    const all = { via: rig.brokers.map(({ url }) => url).join(",") };
    await Promise.all([
      rig.manager("m1", all),
      rig.manager("m2", { via: rig.brokers[1]?.url ?? "" }),
      rig.worker("w1", { slots: 2, ...all, ...LARGE }),
      rig.worker("w2", { slots: 2, via: rig.brokers[2]?.url ?? "", ...LARGE }),
    ]);
    const both = await callers(rig);
    const jobs = rig.scale(5, 20);
    const sending = send(both, "duck", jobs);
    await begun(rig, 0);
    rig.history.add({ kind: "fault", what: "lame duck", whom: "the first broker" });
    await rig.broker.crash("SIGUSR2");
    const heard = await sending;
    assertEnded(heard, { ok: jobs });
    await both.lane.rest();
    assert.equal(both.lane.results, jobs);
    return `${jobs} jobs of each lane with ${BYTES} bytes there and back, all as they were`;
  },
};

/** All of them. */
export const laneLarge: readonly Scenario[] = [killed, lameDuck];
