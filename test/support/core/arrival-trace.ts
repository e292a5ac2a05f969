/**
 * One arrival trace, replayed through a pool, beside what an ideal central
 * queue would have given with the service times that were measured.
 *
 * The mix that queue groups do worst: 90 % of the jobs take 5 ms, 10 % take 200 ms.
 */
import { setTimeout as delay } from "node:timers/promises";
import { seededRandom } from "../random.js";

export interface Arrival {
  /** Milliseconds after the start of the trace. */
  readonly atMs: number;
  readonly serviceMs: number;
}

/** One job of a replay, by the clock of this process. */
export interface Served {
  readonly arrivedAt: number;
  readonly startedAt: number;
  readonly endedAt: number;
}

export interface Waits {
  readonly jobs: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** A Poisson trace at `load` of `slots` slots. */
export function makeTrace(jobs: number, slots: number, load: number, seed: number): Arrival[] {
  const random = seededRandom(seed);
  const meanServiceMs = 0.9 * 5 + 0.1 * 200;
  const meanGapMs = meanServiceMs / (slots * load);
  let atMs = 0;
  return Array.from({ length: jobs }, () => {
    atMs += -Math.log(1 - random()) * meanGapMs;
    return { atMs, serviceMs: random() < 0.9 ? 5 : 200 };
  });
}

/** Calls `submit` for each arrival at its time, however long earlier ones take. */
export async function replay(
  trace: readonly Arrival[],
  submit: (index: number, arrival: Arrival) => Promise<void>,
): Promise<number[]> {
  const startedAt = performance.now() + 50;
  const arrivedAt: number[] = [];
  const pending: Promise<void>[] = [];
  for (const [index, arrival] of trace.entries()) {
    const waitMs = startedAt + arrival.atMs - performance.now();
    if (waitMs > 1) await delay(waitMs);
    arrivedAt.push(performance.now());
    pending.push(submit(index, arrival));
  }
  await Promise.all(pending);
  return arrivedAt;
}

/** Waits that one central queue with `slots` servers gives, first come first served, for these service times. */
export function idealWaits(served: readonly Served[], slots: number): Waits {
  const freeAt = new Array<number>(slots).fill(0);
  const waits = [...served]
    .sort((a, b) => a.arrivedAt - b.arrivedAt)
    .map(({ arrivedAt, startedAt, endedAt }) => {
      const first = freeAt.indexOf(Math.min(...freeAt));
      const start = Math.max(arrivedAt, freeAt[first] ?? 0);
      freeAt[first] = start + (endedAt - startedAt);
      return start - arrivedAt;
    });
  return summarize(waits);
}

/** Waits as they were: from arrival to the start of the handler. */
export function measuredWaits(served: readonly Served[]): Waits {
  return summarize(served.map(({ arrivedAt, startedAt }) => startedAt - arrivedAt));
}

function summarize(values: readonly number[]): Waits {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (q: number): number => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
  return { jobs: sorted.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 };
}
