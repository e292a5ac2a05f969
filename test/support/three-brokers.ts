/** Three brokers with JetStream, as one cluster: each stream has three copies. */
import { createServer } from "node:net";
import type { Broker } from "../../broker/broker.js";
import { startBroker } from "./broker.js";
import type { Owner } from "./clean-up.js";

/**
 * Starts them; each has to know the others' ports before it starts.
 *
 * @param extraConfig of each, such as its lame duck times
 */
export async function startThree(t: Owner, extraConfig = ""): Promise<Broker[]> {
  const ports = await freePorts(3);
  const routes = ports.map((port) => `"nats://127.0.0.1:${port}"`).join(", ");
  return Promise.all(
    ports.map((port, i) => {
      const cluster = `cluster { name: three, listen: "127.0.0.1:${port}", routes: [${routes}] }`;
      return startBroker(t, {
        serverName: `broker-${i + 1}`,
        jetStream: true,
        extraConfig: `${extraConfig}\n${cluster}`,
      });
    }),
  );
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
