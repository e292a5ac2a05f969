/**
 * A cluster of embedded brokers, for tests and benchmarks.
 *
 * Decided here: which member connects to which (each connects to all that were
 * started before it, so every pair is connected again after one of them restarts),
 * and when the cluster is ready: a message from any member arrives at any other.
 */
import { setTimeout as delay } from "node:timers/promises";
import { connect, type NatsConnection } from "nats";
import { PoolError } from "../mesh/errors.js";
import { Lifecycle } from "../mesh/process/lifecycle.js";
import { Broker, type BrokerOptions } from "./broker.js";

/** What all members share; ports are free ones. */
export type ClusterOptions = Omit<BrokerOptions, "port" | "cluster" | "serverName" | "storeFolder" | "jetStream">;

const READY_LIMIT_MS = 20_000;
const READY_POLL_MS = 20;
const CLUSTER_NAME = "poolmesh";
const READY_SUBJECT = "poolmesh-cluster-ready";

/** Several brokers that act as one. */
export class Cluster extends Lifecycle {
  /** The members, in the order of their start. */
  readonly brokers: readonly Broker[];
  readonly #size: number;
  readonly #options: ClusterOptions;
  readonly #started: Broker[] = [];

  constructor(size: number, options: ClusterOptions = {}) {
    super();
    this.#size = size;
    this.#options = options;
    this.brokers = this.#started;
  }

  /** The URLs of all members. */
  get urls(): string[] {
    return this.brokers.map((broker) => broker.url);
  }

  /** Resolves when a message from any member arrives at any other; for example after one has restarted. */
  async ready(): Promise<void> {
    const connections: NatsConnection[] = [];
    try {
      for (const servers of this.urls) connections.push(await connect({ servers, ...this.#credentials() }));
      await hearEachOther(connections);
    } finally {
      await Promise.all(connections.map((connection) => connection.close()));
    }
  }

  protected async onStart(): Promise<void> {
    for (let i = 0; i < this.#size && this.state === "starting"; i += 1) {
      const routes = this.#started.map((broker) => broker.clusterUrl ?? "");
      const cluster = { name: CLUSTER_NAME, routes };
      const broker = new Broker({ ...this.#options, port: "any", serverName: `broker-${i + 1}`, cluster });
      this.#started.push(broker);
      await broker.start();
      void broker.closed.then((error) => error !== undefined && this.fail(error));
    }
    await this.ready();
  }

  protected async onStop(): Promise<void> {
    await Promise.all(this.#started.map((broker) => broker.stop()));
  }

  #credentials(): { token?: string; user?: string; pass?: string } {
    const { auth } = this.#options;
    if (auth === undefined) return {};
    return "token" in auth ? { token: auth.token } : { user: auth.user, pass: auth.password };
  }
}

async function hearEachOther(connections: readonly NatsConnection[]): Promise<void> {
  const heard = connections.map((connection) => {
    const from = new Set<string>();
    connection.subscribe(`${READY_SUBJECT}.*`, {
      callback: (_, msg) => {
        from.add(msg.subject);
      },
    });
    return from;
  });
  const end = performance.now() + READY_LIMIT_MS;
  while (heard.some((from) => from.size < connections.length)) {
    if (performance.now() > end)
      throw new PoolError("bus_unavailable", "messages do not arrive between the members of the cluster");
    for (const [from, connection] of connections.entries()) connection.publish(`${READY_SUBJECT}.${from}`);
    await Promise.all(connections.map((connection) => connection.flush()));
    await delay(READY_POLL_MS);
  }
}
