/** Many workers that only beat, in one process; jobs start at them at random. */
import { setTimeout as delay } from "node:timers/promises";
import { connect } from "@nats-io/transport-node";
import { machineNow } from "../harness/figures/clock.js";
import { exponential, seededRandom } from "../harness/figures/random.js";
import { BeatingWorkers } from "../harness/processes/beating-workers.js";

let workers: BeatingWorkers | undefined;

export async function start(servers: readonly string[], pool: string, count: number): Promise<void> {
  const nc = await connect({ servers: servers[0] as string });
  workers = new BeatingWorkers(nc, pool, count);
  workers.start();
}

/** Starts jobs at random workers; when, by the machine's clock. */
export async function startJobs(options: { perSecond: number; ms: number; seed: number }): Promise<number[]> {
  const random = seededRandom(options.seed);
  const starts: number[] = [];
  const end = machineNow() + options.ms;
  for (let due = machineNow(); due < end; due += exponential(random, 1_000 / options.perSecond)) {
    const waitMs = due - machineNow();
    if (waitMs > 0) await delay(waitMs);
    starts.push(machineNow());
    workers?.startJob(Math.floor(random() * 1e6));
  }
  return starts;
}

export async function stop(): Promise<void> {
  workers?.stop();
}
