/** The brokers that arms need, started when first asked for and stopped at the end. */
import { Cluster } from "./poolmesh.js";
import { Redis } from "./redis.js";

/** Where they are. */
export interface ServerAddresses {
  readonly servers: readonly string[];
  readonly redisPort: number;
}

export class Servers {
  readonly #clusters = new Map<number, Promise<Cluster>>();
  #redis: Promise<Redis> | undefined;

  /** One broker, or a cluster of several. */
  async nats(nodes = 1): Promise<Cluster> {
    const cluster = this.#clusters.get(nodes) ?? startCluster(nodes);
    this.#clusters.set(nodes, cluster);
    return cluster;
  }

  redis(): Promise<Redis> {
    this.#redis ??= Redis.start();
    return this.#redis;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#clusters.values()].map(async (cluster) => (await cluster).stop()));
    await (await this.#redis)?.stop();
  }
}

async function startCluster(nodes: number): Promise<Cluster> {
  const cluster = new Cluster(nodes);
  await cluster.start();
  return cluster;
}
