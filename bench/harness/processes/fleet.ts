/** One arm, running: its workers and its caller, each a process, and the broker between them. */

import type { Setup, Work } from "../arm.js";
import { Agent } from "./agent.js";
import { cpuUsOf } from "./processes.js";
import type { Servers } from "./servers.js";

type CallerAgent = typeof import("../../agents/caller.js");
type ManagerAgent = typeof import("../../agents/manager.js");
type WorkerAgent = typeof import("../../agents/worker.js");

/** What to start. */
export interface FleetSpec {
  /** How tables and charts call it. */
  readonly name: string;
  /** A file of arms/. */
  readonly arm: string;
  /** "jetstream" is a broker that stores. */
  readonly over: "nats" | "jetstream" | "redis" | "none";
  readonly workers: number;
  readonly slots: number;
  readonly work: Work;
  /** Managers as services, each a process; default none: the caller has one of its own, or needs none. */
  readonly managers?: number;
  /** Managers have the durable lane; default false. */
  readonly durable?: boolean;
  /** The queue has each job on the disk before it acknowledges it; default false. */
  readonly synced?: boolean;
  /** Broker nodes; default 1. */
  readonly nodes?: number;
}

/** Processor time so far, in microseconds. */
export interface CpuUs {
  readonly workers: number;
  readonly managers: number;
  readonly broker: number;
}

/** Where a fleet's jobs go. */
export interface FleetPlace {
  /** Its pool, subject or queue. */
  readonly group: string;
  /** URLs of NATS brokers. */
  readonly servers: readonly string[];
  /** Where its managers serve HTTP. */
  readonly managerUrls: readonly string[];
  readonly brokerPids: readonly number[];
}

let started = 0;

export class Fleet {
  readonly #workers: Agent<WorkerAgent>[];
  readonly #managers: Agent<ManagerAgent>[];

  /** What has started of a fleet that does not start whole is stopped again. */
  static async start(servers: Servers, spec: FleetSpec): Promise<Fleet> {
    const agents: { stop(): Promise<void> }[] = [];
    try {
      return await Fleet.#start(servers, spec, agents);
    } catch (error) {
      await Promise.all(agents.map((agent) => agent.stop()));
      throw error;
    }
  }

  static async #start(servers: Servers, spec: FleetSpec, agents: { stop(): Promise<void> }[]): Promise<Fleet> {
    const startAgent = async <M>(name: string): Promise<Agent<M>> => {
      const agent = await Agent.start<M>(name);
      agents.push(agent);
      return agent;
    };
    const { synced = false, durable = false } = spec;
    const redis = spec.over === "redis" ? await servers.redis(synced) : undefined;
    const stored = spec.over === "jetstream" ? await servers.jetStream(synced) : undefined;
    const nats = spec.over === "nats" ? await servers.nats(spec.nodes) : undefined;
    const brokers = stored === undefined ? (nats?.brokers ?? []) : [stored];
    const urls = brokers.map(({ url }) => url);
    started += 1;
    const group = `bench-${started}`;
    const setup = (index: number): Setup => ({
      group,
      servers: urls,
      redisPort: redis?.port ?? 0,
      slots: spec.slots,
      workers: spec.workers,
      index,
      work: spec.work,
    });
    const pids = redis === undefined ? brokers.map(({ pid }) => pid) : [redis.pid];
    const workers = await allOf(spec.workers, async (index) => {
      const worker = await startAgent<WorkerAgent>("worker");
      await worker.ask("start", spec.arm, setup(index));
      return worker;
    });
    const managerUrls: string[] = [];
    const managers = await allOf(spec.managers ?? 0, async () => {
      const manager = await startAgent<ManagerAgent>("manager");
      managerUrls.push(await manager.ask("start", urls, { pools: [group], durable }));
      return manager;
    });
    const caller = await startAgent<CallerAgent>("caller");
    await caller.ask("start", spec.arm, setup(0)).catch((error: Error) => {
      throw new Error(`${spec.name}: ${error.message}`);
    });
    return new Fleet(
      spec.name,
      caller,
      { workers, managers },
      {
        ...{ group, servers: urls },
        ...{ managerUrls, brokerPids: pids },
      },
    );
  }

  private constructor(
    readonly name: string,
    readonly caller: Agent<CallerAgent>,
    { workers, managers }: { readonly workers: Agent<WorkerAgent>[]; readonly managers: Agent<ManagerAgent>[] },
    readonly place: FleetPlace,
  ) {
    this.#workers = workers;
    this.#managers = managers;
  }

  /** Processes, for what the system knows of them. */
  get pids(): { readonly workers: readonly number[]; readonly managers: readonly number[] } {
    return { workers: this.#workers.map(({ pid }) => pid), managers: this.#managers.map(({ pid }) => pid) };
  }

  async cpuUs(): Promise<CpuUs> {
    const each = await Promise.all(this.#workers.map((worker) => worker.ask("cpuUs")));
    const managers = await Promise.all(this.#managers.map((manager) => manager.ask("cpuUs")));
    return { workers: sum(each), managers: sum(managers), broker: sum(this.place.brokerPids.map(cpuUsOf)) };
  }

  /** The timed jobs of all workers, in the order of their start. */
  async runs() {
    const each = await Promise.all(this.#workers.map((worker) => worker.ask("runs")));
    return each.flat().sort((a, b) => a.startedAt - b.startedAt);
  }

  /** The caller leaves first, so that nothing is in flight. */
  async stop(): Promise<void> {
    await this.caller.ask("stop").catch(() => undefined);
    await this.caller.stop();
    await Promise.all(
      [...this.#workers, ...this.#managers].map(async (agent) => {
        await agent.ask("stop").catch(() => undefined);
        await agent.stop();
      }),
    );
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Starts several at once. Rejects when all have started or failed. */
async function allOf<T>(count: number, start: (index: number) => Promise<T>): Promise<T[]> {
  const starts = Array.from({ length: count }, (_, index) => start(index));
  await Promise.allSettled(starts);
  return Promise.all(starts);
}
