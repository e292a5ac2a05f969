/** The meter, in its own process. */
import { Meter } from "../harness/processes/services.js";

let meter: InstanceType<typeof Meter> | undefined;

/** Starts it on any port; its URL. */
export async function start(servers: readonly string[]): Promise<string> {
  const bus = { servers: servers[0] as string };
  meter = new Meter({ bus, listen: { host: "127.0.0.1", port: 0 } });
  await meter.start();
  return meter.url;
}

/** Processor time so far, in microseconds. */
export async function cpuUs(): Promise<number> {
  const { user, system } = process.cpuUsage();
  return user + system;
}

export async function stop(): Promise<void> {
  await meter?.stop();
}
