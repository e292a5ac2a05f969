/**
 * Arrival traces: jobs of mixed length that arrive at random, and what one
 * central queue would have made of them.
 *
 * The mix that queue groups do worst: 90 % take 5 ms, 10 % take 200 ms.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { CallerRole, Run } from "../arm.js";
import { machineNow } from "../figures/clock.js";
import { exponential, seededRandom } from "../figures/random.js";

/** One job to come. */
export interface Arrival {
  /** Milliseconds after the start of the trace. */
  readonly atMs: number;
  readonly serviceMs: number;
}

const SHORT_MS = 5;
const LONG_MS = 200;
const LONG_SHARE = 0.1;
const LEAD_MS = 50;

/** A Poisson trace at `load` of `slots` slots. */
export function makeTrace(options: { jobs: number; slots: number; load: number; seed: number }): Arrival[] {
  const { jobs, slots, load, seed } = options;
  const random = seededRandom(seed);
  const meanGapMs = ((1 - LONG_SHARE) * SHORT_MS + LONG_SHARE * LONG_MS) / (slots * load);
  let atMs = 0;
  return Array.from({ length: jobs }, () => {
    atMs += exponential(random, meanGapMs);
    return { atMs, serviceMs: random() < LONG_SHARE ? LONG_MS : SHORT_MS };
  });
}

/** Submits each job at its time, however long earlier ones take; when that was, by the machine's clock. */
export async function replay(caller: CallerRole, trace: readonly Arrival[]): Promise<number[]> {
  const startedAt = machineNow() + LEAD_MS;
  const submittedAt: number[] = [];
  const ends: Promise<void>[] = [];
  for (const [index, { atMs, serviceMs }] of trace.entries()) {
    const waitMs = startedAt + atMs - machineNow();
    if (waitMs > 1) await delay(waitMs);
    const payload = caller.encode(`${index} ${serviceMs}`);
    submittedAt.push(machineNow());
    ends.push(
      new Promise((resolve, reject) => {
        caller.call(payload, (error) => (error === undefined ? resolve() : reject(error)));
      }),
    );
  }
  await Promise.all(ends);
  return submittedAt;
}

/** The waits of a trace, from submission to the start of the work, and those of one central queue with the same service times. */
export function waitsOf(submittedAt: readonly number[], runs: readonly Run[], slots: number) {
  const first = new Map<number, Run>();
  for (const run of runs) if (!first.has(run.index)) first.set(run.index, run);
  if (first.size !== submittedAt.length || runs.length !== first.size) {
    throw new Error(`${submittedAt.length} jobs were submitted, ${first.size} ran, ${runs.length - first.size} twice`);
  }
  const waits: number[] = [];
  const ideal: number[] = [];
  const freeAt = new Array<number>(slots).fill(0);
  for (const [index, arrivedAt] of submittedAt.entries()) {
    const { startedAt, endedAt } = first.get(index) as Run;
    waits.push(startedAt - arrivedAt);
    const slot = freeAt.indexOf(Math.min(...freeAt));
    const start = Math.max(arrivedAt, freeAt[slot] ?? 0);
    freeAt[slot] = start + (endedAt - startedAt);
    ideal.push(start - arrivedAt);
  }
  return { waits, ideal };
}
