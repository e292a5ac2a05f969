/** The manager as a service, in its own process. */
import { ManagerService } from "../harness/services.js";

let manager: InstanceType<typeof ManagerService> | undefined;

/** Starts it on any port; its URL. */
export async function start(servers: readonly string[]): Promise<string> {
  const listen = { host: "127.0.0.1", port: 0 };
  manager = new ManagerService({ bus: { servers: servers[0] as string }, listen });
  await manager.start();
  return manager.url;
}

export async function stop(): Promise<void> {
  await manager?.stop();
}
