/** The brokers that arms need, started when first asked for and stopped at the end. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Broker, Cluster } from "./poolmesh.js";
import { Redis } from "./redis.js";

/** Where they are. */
export interface ServerAddresses {
  readonly servers: readonly string[];
  readonly redisPort: number;
}

export class Servers {
  readonly #clusters = new Map<number, Promise<Cluster>>();
  readonly #stored = new Map<boolean, Promise<Broker>>();
  readonly #redis = new Map<boolean, Promise<Redis>>();
  readonly #folders: string[] = [];

  /** One broker, or a cluster of several. */
  async nats(nodes = 1): Promise<Cluster> {
    const cluster = this.#clusters.get(nodes) ?? startCluster(nodes);
    this.#clusters.set(nodes, cluster);
    return cluster;
  }

  /** One broker that stores. @param synced each message is on the disk before it is acknowledged */
  jetStream(synced: boolean): Promise<Broker> {
    const broker = this.#stored.get(synced) ?? this.#startStored(synced);
    this.#stored.set(synced, broker);
    return broker;
  }

  /** @param synced each job is on the disk before it is acknowledged; else nothing is */
  redis(synced = false): Promise<Redis> {
    const redis = this.#redis.get(synced) ?? Redis.start(synced);
    this.#redis.set(synced, redis);
    return redis;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#clusters.values()].map(async (cluster) => (await cluster).stop()));
    await Promise.all([...this.#stored.values(), ...this.#redis.values()].map(async (each) => (await each).stop()));
    await Promise.all(this.#folders.map((folder) => rm(folder, { recursive: true, force: true })));
  }

  async #startStored(synced: boolean): Promise<Broker> {
    const folder = await mkdtemp(join(tmpdir(), "poolmesh-bench-store-"));
    this.#folders.push(folder);
    const settings = `store_dir: "${folder}"${synced ? ", sync_interval: always" : ""}`;
    const broker = new Broker({ port: "any", jetStream: false, extraConfig: `jetstream { ${settings} }` });
    await broker.start();
    return broker;
  }
}

async function startCluster(nodes: number): Promise<Cluster> {
  const cluster = new Cluster(nodes);
  await cluster.start();
  return cluster;
}
