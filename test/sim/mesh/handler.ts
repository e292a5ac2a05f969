/**
 * The simulated handler: takes simulated time, blocks the simulated event loop,
 * and reports each run. Its result says which payload and which run made it.
 */
import type { Job } from "../../../services/worker/worker.js";
import type { SimulatedProcess } from "../../../testing/sim/sim-process.js";
import type { History, RunFact } from "../history.js";

/** The payload of every simulated job. */
export interface SimPayload {
  readonly number: number;
  readonly durationMs: number;
  readonly blockMs: number;
  readonly throws: boolean;
  /** Makes it larger. */
  readonly pad: string;
}

/** The payload of a job that follows another one: what that one's run has returned. */
type Following = RunResult;

/** Runs of a job that follows, as the facts have them: its place in its chain times this is added to the payload's number. */
export const PER_FOLLOWER = 1_000;
/** The payload of the completion job of a batch, as far as it matters here. */
interface SimSummary {
  readonly batch: string;
  readonly total: number;
  readonly succeeded: number;
  readonly failed: number;
}

/** The result of every simulated job. */
export interface RunResult {
  readonly number: number;
  readonly run: number;
  /** The place in its chain of the job that follows. */
  readonly place: number;
  /** How long a job that follows takes, milliseconds. */
  readonly durationMs: number;
}

/** Runs one job. */
export type Handle = (job: Job<SimPayload | Following>) => RunResult | Promise<RunResult>;

/** Counts the runs of one world. */
export class RunCounter {
  #last = 0;

  next(): number {
    this.#last += 1;
    return this.#last;
  }
}

/** Makes the handler of one worker process. */
export function makeHandler(worker: string, process: SimulatedProcess, history: History, runs: RunCounter): Handle {
  return (job) => {
    if ("batch" in job.payload) {
      const { batch, total, succeeded, failed } = job.payload as unknown as SimSummary;
      const { id, attemptNumber: attempt } = job;
      history.record({ kind: "completion", worker, id, attempt, batch, total, succeeded, failed });
      return { number: 0, run: runs.next(), place: 0, durationMs: 0 };
    }
    const { number, durationMs, blockMs, throws, place } = { ...FIRST, ...job.payload };
    const fact: RunFact = {
      run: runs.next(),
      id: job.id,
      attempt: job.attemptNumber,
      number: number + place * PER_FOLLOWER,
    };
    history.record({ kind: "start", worker, process: process.name, ...fact });
    if (blockMs > 0) process.block(blockMs);
    const end = (): RunResult => {
      history.record({ kind: "end", worker, process: process.name, ...fact });
      if (throws) throw new Error("this payload fails");
      return { number, run: fact.run, place: place + 1, durationMs };
    };
    return durationMs === 0 ? end() : later(job, process, durationMs, end);
  };
}

const FIRST = { blockMs: 0, throws: false, place: 0 };

function later(job: Job<unknown>, process: SimulatedProcess, ms: number, end: () => RunResult): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      try {
        resolve(end());
      } catch (thrown) {
        reject(thrown);
      }
    };
    const timer = process.runtime.after(ms, settle);
    job.signal.addEventListener("abort", () => {
      process.runtime.cancel(timer);
      settle();
    });
  });
}
