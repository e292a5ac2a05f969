/** Row 6: how soon a caller hears that its job's worker was killed, and a handler that its job was canceled. */

import { machineNow } from "../harness/figures/clock.js";
import { atMost, type Comparison, figureOf } from "../harness/figures/comparison.js";
import { Samples } from "../harness/figures/samples.js";
import { Agent } from "../harness/processes/agent.js";
import { untilTrue } from "../harness/processes/wait.js";
import type { Row, Run } from "../harness/run.js";

type Holder = Agent<typeof import("../agents/holder.js")>;
type Giver = Agent<typeof import("../agents/giver.js")>;
type ManagerAgent = Agent<typeof import("../agents/manager.js")>;

const DEATH = "kill -9 of the worker → outcome at the caller";
const CANCEL = "cancel → signal at the handler";
const VIA_CLIENT = "Poolmesh Client, 1 manager, measured";
const EMBEDDED = "Poolmesh embedded, measured";
const MEASURED = [VIA_CLIENT, EMBEDDED];
/** More than the rounds of other rows: each is one instant. */
const ROUNDS_EACH = 4;

/**
 * From their documentation and defaults, in milliseconds; not measured here.
 * BullMQ: lockDuration and stalledInterval are 30 s, so a dead worker's job is
 * found stalled after 30 to 60 s. Moleculer: a node is taken for gone after
 * heartbeatTimeout, 15 s, checked in steps of its own. request(): never, the
 * caller's own timeout ends it.
 */
const DOCUMENTED: readonly (readonly [arm: string, ms: number])[] = [
  ["Moleculer, by its heartbeatTimeout", 15_000],
  ["BullMQ, by its stalledInterval", 30_000],
];

/** The row. */
export const death: Row = {
  number: 6,
  title: "Death of a worker, and cancel",
  async measure(run) {
    const samples = new Samples();
    const rounds = run.pick(1, run.extent.rounds * ROUNDS_EACH);
    for (let round = 0; round < rounds; round += 1) {
      for (const arm of MEASURED) await measureRound(run, arm, round, samples);
    }
    for (const [arm, ms] of DOCUMENTED) samples.add(arm, DEATH, ms);
    const comparisons = [toDeath(samples), toCancel(samples)];
    return { comparisons, targets: run.extent.quick ? [] : toTargets(comparisons) };
  },
};

async function measureRound(run: Run, arm: string, round: number, samples: Samples): Promise<void> {
  const { urls } = await run.servers.nats();
  const pool = `death-${arm === EMBEDDED ? "embedded" : "client"}-${round}`;
  const manager: ManagerAgent = await Agent.start("manager");
  const giver: Giver = await Agent.start("giver");
  const holder: Holder = await Agent.start("holder");
  try {
    await holder.ask("start", { servers: urls, pool, id: "w0", slots: 1 });
    if (arm === EMBEDDED) {
      await giver.ask("start", urls, pool);
      await giver.ask("untilSlots", 1);
    } else {
      await manager.ask("start", urls, { pools: [pool] });
      await giver.ask("startClient", urls, pool);
    }
    samples.add(arm, CANCEL, await measureCancel(giver, holder));
    samples.add(arm, DEATH, await measureDeath(giver, holder));
  } finally {
    await giver.ask("stop").catch(() => undefined);
    await manager.ask("stop").catch(() => undefined);
    await Promise.all([giver.stop(), manager.stop(), holder.kill()]);
  }
}

async function measureCancel(giver: Giver, holder: Holder): Promise<number> {
  await giveOne(giver, holder);
  const canceledAt = await giver.ask("cancel");
  await giver.ask("takeEnded", 1);
  let fired: number[] = [];
  await untilTrue(async () => {
    fired = await holder.ask("takeFired");
    return fired.length === 1;
  }, "the handler's signal fires");
  return (fired[0] ?? Number.NaN) - canceledAt;
}

async function measureDeath(giver: Giver, holder: Holder): Promise<number> {
  await giveOne(giver, holder);
  const killedAt = machineNow();
  await holder.kill();
  const [end] = await giver.ask("takeEnded", 1);
  if (end?.outcome !== "worker_lost") throw new Error(`the outcome was ${end?.outcome}`);
  return end.at - killedAt;
}

async function giveOne(giver: Giver, holder: Holder): Promise<void> {
  await giver.ask("give", 1, 16);
  await untilTrue(async () => (await holder.ask("busy")) === 1, "the job runs");
}

function toDeath(samples: Samples): Comparison {
  return {
    id: "6-death",
    title: "From kill -9 of a worker to the outcome at the caller of its running job",
    unit: "ms",
    better: "lower",
    conditions: [DEATH],
    series: samples.series([...MEASURED, ...DOCUMENTED.map(([arm]) => arm)], [DEATH]),
    doesNotShow:
      "A worker's host that loses its power or its network: then the broker does not notice that the connection " +
      "is gone, and only three missing heartbeats (3 s) show it. The peers' times are those of their defaults and documentation, not measured; " +
      "nats.js request() and NestJS do not notice it: their own timeout ends the call.",
  };
}

function toCancel(samples: Samples): Comparison {
  return {
    id: "6-cancel",
    title: "From a caller's cancel to the AbortSignal of the handler, in another process",
    unit: "ms",
    better: "lower",
    conditions: [CANCEL],
    series: samples.series(MEASURED, [CANCEL]),
    doesNotShow: "Peers: none of them documents a cancel that reaches a handler in another process.",
    chart: false,
  };
}

function toTargets([deaths, cancels]: readonly Comparison[]) {
  return MEASURED.flatMap((arm) => [
    atMost(`kill -9 → outcome, ${arm}`, figureOf(deaths as Comparison, arm, DEATH), 1_000, "ms"),
    atMost(`cancel → signal, ${arm}`, figureOf(cancels as Comparison, arm, CANCEL), 200, "ms"),
  ]);
}
