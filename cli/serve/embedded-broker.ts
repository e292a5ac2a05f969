/** The embedded broker for a command: found or installed, then started. */
import { Broker, type BrokerOptions } from "../../broker/broker.js";
import { ensureServer } from "../../broker/install.js";
import type { Shell } from "../shell.js";

/**
 * Starts a broker; says on stderr what is being installed.
 *
 * @throws PoolError `bus_unavailable` that says how to get nats-server
 */
export async function startBroker(shell: Shell, options: BrokerOptions): Promise<Broker> {
  const { path } = await ensureServer({ onProgress: (line) => void shell.stderr.line(line) });
  const broker = new Broker({ binary: path, ...options });
  await broker.start();
  return broker;
}
