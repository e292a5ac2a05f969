/**
 * Real brokers for tests: on a free port of loopback, ended after the test.
 *
 * NATS_SERVER names the binary to use; without it the newest that is found.
 */
import { Broker, type BrokerOptions } from "../../broker/broker.js";
import { Cluster, type ClusterOptions } from "../../broker/cluster.js";
import { findServer } from "../../broker/find.js";
import { isTooOld, type Need } from "../../mesh/durable/broker-needs.js";
import { Bus, type BusOptions } from "../../mesh/link/bus.js";
import { cleanUp, type Owner, WHOLE_FILE } from "./clean-up.js";

export { type Owner, WHOLE_FILE };

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
