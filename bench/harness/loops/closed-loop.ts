/** A closed loop: a fixed number of jobs in flight, each end starts the next. */
import type { CallerRole } from "../arm.js";

/** What a loop did. */
export interface LoopResult {
  readonly jobs: number;
  readonly ms: number;
  /** Processor time of this process meanwhile, in microseconds. */
  readonly cpuUs: number;
  /** Latency of each job, in milliseconds; only with a window of 1. */
  readonly latenciesMs: number[];
}

export interface LoopOptions {
  readonly bytes: number;
  readonly window: number;
  readonly ms: number;
  readonly bulk?: boolean;
}

/** Runs for `ms`, and until the last job in flight has ended. */
export async function closedLoop(caller: CallerRole, options: LoopOptions): Promise<LoopResult> {
  const payload = caller.encode("x".repeat(options.bytes));
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const latenciesMs: number[] = [];
  const jobs = options.bulk
    ? await batches(caller, payload, options, startedAt)
    : await singles(caller, payload, options, startedAt, latenciesMs);
  const cpu = process.cpuUsage(cpuBefore);
  return { jobs, ms: performance.now() - startedAt, cpuUs: cpu.user + cpu.system, latenciesMs };
}

function singles(
  caller: CallerRole,
  payload: unknown,
  { window, ms }: LoopOptions,
  startedAt: number,
  latenciesMs: number[],
): Promise<number> {
  return new Promise((resolve, reject) => {
    let jobs = 0;
    let underWay = 0;
    let sentAt = 0;
    const next = (): void => {
      underWay += 1;
      if (window === 1) sentAt = performance.now();
      caller.call(payload, onEnd);
    };
    const onEnd = (error: Error | undefined): void => {
      if (error !== undefined) return reject(error);
      jobs += 1;
      underWay -= 1;
      const now = performance.now();
      if (window === 1) latenciesMs.push(now - sentAt);
      if (now - startedAt < ms) next();
      else if (underWay === 0) resolve(jobs);
    };
    for (let i = 0; i < window; i += 1) next();
  });
}

/** Two batches of half the window each are in flight, so that one is made while the other runs. */
async function batches(
  caller: CallerRole,
  payload: unknown,
  { window, ms }: LoopOptions,
  startedAt: number,
): Promise<number> {
  const size = Math.max(1, Math.floor(window / 2));
  const payloads = new Array<unknown>(size).fill(payload);
  const lane = async (): Promise<number> => {
    let jobs = 0;
    while (performance.now() - startedAt < ms) {
      await batch(caller, payloads);
      jobs += size;
    }
    return jobs;
  };
  const done = await Promise.all(window > 1 ? [lane(), lane()] : [lane()]);
  return done.reduce((sum, jobs) => sum + jobs, 0);
}

function batch(caller: CallerRole, payloads: readonly unknown[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = payloads.length;
    caller.callMany?.(payloads, (error) => {
      left -= 1;
      if (error !== undefined) reject(error);
      else if (left === 0) resolve();
    });
  });
}
