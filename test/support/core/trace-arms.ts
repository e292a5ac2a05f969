/** The two arms of the dispatch comparison: our pool, and a plain NATS queue group, on the same trace. */
import { setTimeout as delay } from "node:timers/promises";
import { connect, type NatsConnection } from "nats";
import { Manager, type ManagerOptions } from "../../../services/manager/manager.js";
import { Worker } from "../../../services/worker/worker.js";
import { eventually } from "../wait.js";
import { type Arrival, replay, type Served } from "./arrival-trace.js";

/** What one arm did. */
export interface ArmRun {
  readonly served: Served[];
  readonly lost: number;
  readonly twice: number;
}

class Runs {
  readonly #starts = new Map<number, number[]>();
  readonly #ends = new Map<number, number>();

  async run(index: number, serviceMs: number): Promise<void> {
    const starts = this.#starts.get(index) ?? [];
    starts.push(performance.now());
    this.#starts.set(index, starts);
    await delay(serviceMs);
    this.#ends.set(index, performance.now());
  }

  report(arrivedAt: readonly number[]): ArmRun {
    const served: Served[] = [];
    let lost = 0;
    for (const [index, at] of arrivedAt.entries()) {
      const startedAt = this.#starts.get(index)?.[0];
      const endedAt = this.#ends.get(index);
      if (startedAt === undefined || endedAt === undefined) lost += 1;
      else served.push({ arrivedAt: at, startedAt, endedAt });
    }
    const twice = [...this.#starts.values()].filter((starts) => starts.length > 1).length;
    return { served, lost, twice };
  }
}

/** Our pool: one manager, `slots` workers of one slot. Workers are spread over the servers. */
export async function runPoolmesh(
  servers: readonly string[],
  trace: readonly Arrival[],
  slots: number,
  options: ManagerOptions = {},
): Promise<ArmRun> {
  const runs = new Runs();
  const run = async (job: { payload: unknown }): Promise<null> => {
    const [index, serviceMs] = job.payload as [number, number];
    await runs.run(index, serviceMs);
    return null;
  };
  const manager = await Manager.connect({ pool: "trace", servers: servers[0] as string, ...options });
  const workers = Array.from(
    { length: slots },
    (_, i) => new Worker({ pool: "trace", slots: 1, run, servers: servers[i % servers.length] as string }),
  );
  try {
    await Promise.all(workers.map((worker) => worker.start()));
    await eventually(() => manager.capacity.slots === slots, { what: "the manager sees every worker" });
    const arrivedAt = await replay(trace, async (index, { serviceMs }) => {
      await manager.submit(JSON.stringify([index, serviceMs]));
    });
    return runs.report(arrivedAt);
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
    await manager.close();
  }
}

/** A plain queue group: members that queue locally, one job at a time, and request-reply. */
export async function runQueueGroup(
  servers: readonly string[],
  trace: readonly Arrival[],
  slots: number,
): Promise<ArmRun> {
  const runs = new Runs();
  const connections = await Promise.all(
    Array.from({ length: slots }, (_, i) => connect({ servers: servers[i % servers.length] as string })),
  );
  const caller = await connect({ servers: servers[0] as string });
  try {
    for (const nc of connections) void serve(nc, runs);
    await Promise.all(connections.map((nc) => nc.flush()));
    await eventually(
      () =>
        caller.request("plain.ready").then(
          () => true,
          () => false,
        ),
      { what: "members are known" },
    );
    const arrivedAt = await replay(trace, async (index, { serviceMs }) => {
      await caller.request("plain.job", JSON.stringify([index, serviceMs]), { timeout: 60_000 });
    });
    return runs.report(arrivedAt);
  } finally {
    await Promise.all([...connections, caller].map((nc) => nc.close()));
  }
}

async function serve(nc: NatsConnection, runs: Runs): Promise<void> {
  nc.subscribe("plain.ready", { callback: (_error, msg) => void msg.respond() });
  for await (const msg of nc.subscribe("plain.job", { queue: "plain" })) {
    const [index, serviceMs] = msg.json<[number, number]>();
    await runs.run(index, serviceMs);
    msg.respond();
  }
}
