/**
 * An open loop: jobs arrive at random at a given rate, whether or not earlier
 * ones have ended. A latency counts from the instant the job was due, so that a
 * caller that falls behind cannot hide it.
 */
import { setImmediate as turn } from "node:timers/promises";
import type { CallerRole } from "../arm.js";
import { exponential, seededRandom } from "../figures/random.js";

export interface OpenLoopOptions {
  readonly bytes: number;
  readonly perSecond: number;
  readonly ms: number;
  readonly seed: number;
}

/** The latency of every job, in milliseconds. */
export async function openLoop(caller: CallerRole, options: OpenLoopOptions): Promise<number[]> {
  const { bytes, perSecond, ms, seed } = options;
  const payload = caller.encode("x".repeat(bytes));
  const random = seededRandom(seed);
  const latencies: number[] = [];
  const failures: Error[] = [];
  let underWay = 0;
  const startedAt = performance.now();
  let dueAt = startedAt + exponential(random, 1_000 / perSecond);
  while (dueAt < startedAt + ms || underWay > 0) {
    for (const now = performance.now(); dueAt <= now && dueAt < startedAt + ms; ) {
      const due = dueAt;
      underWay += 1;
      caller.call(payload, (error) => {
        underWay -= 1;
        if (error !== undefined) failures.push(error);
        latencies.push(performance.now() - due);
      });
      dueAt += exponential(random, 1_000 / perSecond);
    }
    await turn();
  }
  if (failures[0] !== undefined) throw failures[0];
  return latencies;
}
