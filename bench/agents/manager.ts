/** The manager as a service, in its own process. */

import { ManagerService } from "../harness/processes/services.js";
import type { Secured } from "../harness/secured.js";

let manager: InstanceType<typeof ManagerService> | undefined;

/** How a manager is started beside the rest of a run. */
export interface ManagerSetup {
  /** The pools that it serves: without them it would take the jobs of other arms. */
  readonly pools: readonly string[];
  /** Has the durable lane; default false. */
  readonly durable?: boolean;
  /** Serves TLS, and checks its callers against a policy. */
  readonly secured?: Secured;
}

/** Starts it on any port; its URL. */
export async function start(
  servers: readonly string[],
  { pools, secured, durable = false }: ManagerSetup,
): Promise<string> {
  const listen = { host: "127.0.0.1", port: 0 };
  const edge =
    secured === undefined
      ? {}
      : { tlsCertFile: secured.certFile, tlsKeyFile: secured.keyFile, policyFile: secured.policyFile };
  manager = new ManagerService({ bus: { servers: servers[0] as string }, pools, listen, durable, ...edge });
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
