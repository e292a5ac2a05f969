/**
 * Real brokers for tests: on a free port of loopback, ended after the test.
 *
 * NATS_SERVER names the binary to use; without it the newest that is found.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { connect } from "nats";
import { Broker, type BrokerOptions } from "../../broker/broker.js";
import { Cluster, type ClusterOptions } from "../../broker/cluster.js";
import { findServer } from "../../broker/find.js";
import { isTooOld, type Need } from "../../mesh/durable/broker-needs.js";
import { Bus, type BusOptions } from "../../mesh/link/bus.js";
import { cleanUp, type Owner, WHOLE_FILE } from "./clean-up.js";
import { eventually } from "./wait.js";

export { type Owner, WHOLE_FILE };

/** How long a step of the broker's store may take while three elect a leader, in milliseconds. */
const ELECTION_STEP_MS = 10_000;

/** A broker that is ready. It is stopped when the test `t` ends. */
export async function startBroker(t: Owner = WHOLE_FILE, options: BrokerOptions = {}): Promise<Broker> {
  const broker = new Broker({ port: "any", ...testBinary(), ...options });
  cleanUp(t, () => broker.stop());
  await broker.start();
  return broker;
}

/** A cluster of `size` brokers that know each other. It is stopped when the test `t` ends. */
export async function startCluster(t: Owner, size: number, options: ClusterOptions = {}): Promise<Cluster> {
  const cluster = new Cluster(size, { ...testBinary(), ...options });
  cleanUp(t, () => cluster.stop());
  await cluster.start();
  return cluster;
}

/** A connection to `broker`, closed when the test `t` ends. */
export async function connectBus(t: Owner, broker: { readonly url: string }, options: BusOptions = {}): Promise<Bus> {
  const bus = await Bus.connect({ servers: broker.url, waitOnFirstConnect: false, ...options });
  cleanUp(t, () => bus.close());
  return bus;
}

/** Why a test of a feature is skipped: the broker that tests use has it not; false when it has. */
export async function lacking(need: Need): Promise<string | false> {
  const { binary: path } = testBinary();
  const found = await findServer(path === undefined ? {} : { path });
  const isLacking = found !== undefined && isTooOld(found.version, need);
  return isLacking && `${need.what} need nats-server ${need.since.join(".")}, this is ${found.version}`;
}

function testBinary(): { binary?: string } {
  const binary = process.env.NATS_SERVER;
  return binary === undefined || binary === "" ? {} : { binary };
}

/**
 * Three brokers with JetStream, as one cluster: each stream has three copies. Each has to know the others' ports before
 * it starts.
 *
 * @param extraConfig of each, such as its lame duck times
 */
export async function startThree(t: Owner, extraConfig = ""): Promise<Broker[]> {
  const ports = await freePorts(3);
  const routes = ports.map((port) => `"nats://127.0.0.1:${port}"`).join(", ");
  const brokers = await Promise.all(
    ports.map((port, i) => {
      const cluster = `cluster { name: three, listen: "127.0.0.1:${port}", routes: [${routes}] }`;
      return startBroker(t, {
        serverName: `broker-${i + 1}`,
        jetStream: true,
        extraConfig: `${extraConfig}\n${cluster}`,
      });
    }),
  );
  await haveElected(brokers);
  return brokers;
}

/** Waits until three brokers keep copies: who asks their leader before it knows them all gets fewer, or an error. */
async function haveElected([broker]: readonly Broker[]): Promise<void> {
  const nc = await connect({ servers: broker?.url ?? "" });
  const stream = { name: "elected", subjects: ["elected"], num_replicas: 3, storage: "memory" };
  const ask = async (what: string, payload = ""): Promise<void> => {
    const answer = await nc.request(`$JS.API.STREAM.${what}.${stream.name}`, payload, { timeout: ELECTION_STEP_MS });
    const { error } = answer.json<{ error?: { description: string } }>();
    if (error !== undefined) throw new Error(error.description);
  };
  const isKept = (): Promise<boolean> =>
    ask("CREATE", JSON.stringify(stream))
      .then(() => ask("DELETE"))
      .then(() => true);
  await eventually(isKept, { limitMs: 90_000, pollMs: 100, what: "three brokers that keep copies" });
  await nc.close();
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** SIGSTOP: it does nothing more, until it gets SIGCONT. A signal takes effect a moment after it was sent. */
export async function standStill(broker: Broker): Promise<void> {
  broker.signal("SIGSTOP");
  const stands = (): boolean => / T /.test(readFileSync(`/proc/${broker.pid}/stat`, "utf8"));
  await eventually(stands, { what: "a broker that stands still" });
}
