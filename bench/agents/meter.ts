/** The meter, in its own process. */
import { Meter } from "../harness/processes/services.js";

let meter: InstanceType<typeof Meter> | undefined;

/** Starts it on any port; its URL. @param pools those it hears; default all */
export async function start(servers: readonly string[], pools?: readonly string[]): Promise<string> {
  const bus = { servers: servers[0] as string };
  meter = new Meter({ bus, listen: { host: "127.0.0.1", port: 0 }, ...(pools === undefined ? {} : { pools }) });
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
