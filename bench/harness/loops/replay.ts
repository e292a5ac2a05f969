/**
 * Arrival traces: jobs of uneven length that arrive at random, and what one
 * central queue would have made of them.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { CallerRole, Run } from "../arm.js";
import { machineNow } from "../figures/clock.js";
import { exponential, logNormal, seededRandom } from "../figures/random.js";

/** One job to come. */
export interface Arrival {
  /** Milliseconds after the start of the trace. */
  readonly atMs: number;
  readonly serviceMs: number;
}

/** How long jobs take: how a random one is made, and their mean. */
interface Lengths {
  readonly meanMs: number;
  next(random: () => number): number;
}

const SHORT_MS = 5;
const LONG_MS = 200;
const LONG_SHARE = 0.1;
const LOG_NORMAL_MEAN_MS = 20;
const LOG_NORMAL_SIGMA = 1.1;
const LEAD_MS = 50;

const LENGTHS = {
  /** The mix that queue groups do worst: 90 % take 5 ms, 10 % take 200 ms. */
  mixed: {
    meanMs: (1 - LONG_SHARE) * SHORT_MS + LONG_SHARE * LONG_MS,
    next: (random) => (random() < LONG_SHARE ? LONG_MS : SHORT_MS),
  },
  /** As services often are: half take less than 11 ms, one in a hundred more than 140. */
  logNormal: {
    meanMs: LOG_NORMAL_MEAN_MS,
    next: (random) => logNormal(random, LOG_NORMAL_MEAN_MS, LOG_NORMAL_SIGMA),
  },
} satisfies Record<string, Lengths>;

/** A kind of jobs by their lengths. */
export type Mix = keyof typeof LENGTHS;

/** What a trace is made of. */
export interface TraceSpec {
  readonly jobs: number;
  readonly slots: number;
  readonly load: number;
  readonly seed: number;
  /** Default "mixed". */
  readonly mix?: Mix;
}

/** A Poisson trace at `load` of `slots` slots. */
export function makeTrace({ jobs, slots, load, seed, mix = "mixed" }: TraceSpec): Arrival[] {
  const random = seededRandom(seed);
  const lengths: Lengths = LENGTHS[mix];
  const meanGapMs = lengths.meanMs / (slots * load);
  let atMs = 0;
  return Array.from({ length: jobs }, () => {
    atMs += exponential(random, meanGapMs);
    return { atMs, serviceMs: lengths.next(random) };
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
