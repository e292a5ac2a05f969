/** One worker of any arm, in its own process. */
import type { Arm, Run, Setup, WorkerRole } from "../harness/arm.js";

let role: WorkerRole | undefined;

export async function start(armName: string, setup: Setup): Promise<void> {
  const { arm } = (await import(`../arms/${armName}.js`)) as { arm: Arm };
  role = await arm.startWorker(setup);
}

/** The timed jobs so far. */
export async function runs(): Promise<readonly Run[]> {
  return role?.runs ?? [];
}

/** The processor time of this process so far, in microseconds. */
export async function cpuUs(): Promise<number> {
  const { user, system } = process.cpuUsage();
  return user + system;
}

export async function stop(): Promise<void> {
  await role?.stop();
}
