/** The manager as a service, in its own process. */

import { ManagerService } from "../harness/processes/services.js";
import type { Secured } from "../harness/secured.js";

let manager: InstanceType<typeof ManagerService> | undefined;

/** Starts it on any port, with TLS and a policy when files for that are given; its URL. */
export async function start(servers: readonly string[], secured?: Secured): Promise<string> {
  const listen = { host: "127.0.0.1", port: 0 };
  const edge =
    secured === undefined
      ? {}
      : { tlsCertFile: secured.certFile, tlsKeyFile: secured.keyFile, policyFile: secured.policyFile };
  manager = new ManagerService({ bus: { servers: servers[0] as string }, listen, ...edge });
  await manager.start();
  return manager.url;
}

/** Processor time of this process so far, in microseconds. */
export async function cpuUs(): Promise<number> {
  const { user, system } = process.cpuUsage();
  return user + system;
}

export async function stop(): Promise<void> {
  await manager?.stop();
}
