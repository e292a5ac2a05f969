/**
 * Looks at running jobs from time to time: acceptance to be said, deadlines
 * over, aborts ignored. One ticker for all, and none while nothing runs.
 */
import { PoolError } from "../../../mesh/errors.js";
import type { Runtime, Timer } from "../../../mesh/link/runtime.js";
import type { RunningJob } from "./running-job.js";

export interface SweepParts {
  readonly jobs: () => Iterable<RunningJob>;
  readonly runtime: Runtime;
  readonly acceptAfterMs: number;
  readonly abortGraceMs: number;
  readonly accept: (job: RunningJob) => void;
  /** The number of handlers that ignore their abort has changed. */
  readonly onStuckChange: () => void;
}

/** How often it looks, in milliseconds. */
const SWEEP_MS = 10;
/** The ticker ends itself after this many looks that found nothing. */
const IDLE_SWEEPS = 50;

export class Sweep {
  readonly #parts: SweepParts;
  #ticker: Timer | undefined;
  #idleSweeps = 0;
  #stuck = 0;

  constructor(parts: SweepParts) {
    this.#parts = parts;
  }

  /** How many slots are held by handlers that ignored their abort. */
  get stuck(): number {
    return this.#stuck;
  }

  /** A job has started. */
  wake(): void {
    this.#idleSweeps = 0;
    this.#ticker ??= this.#parts.runtime.every(SWEEP_MS, () => this.#look(this.#parts.runtime.now()));
  }

  stop(): void {
    this.#parts.runtime.cancel(this.#ticker);
    this.#ticker = undefined;
  }

  #look(nowMs: number): void {
    let stuck = 0;
    let running = 0;
    for (const job of this.#parts.jobs()) {
      running += 1;
      if (this.#tend(job, nowMs)) stuck += 1;
    }
    if (stuck !== this.#stuck) {
      this.#stuck = stuck;
      this.#parts.onStuckChange();
    }
    this.#idleSweeps = running === 0 ? this.#idleSweeps + 1 : 0;
    if (this.#idleSweeps > IDLE_SWEEPS) this.stop();
  }

  /** Does what is due for one job; true when its handler ignores its abort. */
  #tend(job: RunningJob, nowMs: number): boolean {
    const { acceptAfterMs, abortGraceMs, accept } = this.#parts;
    if (job.abortedSinceMs !== undefined) return nowMs - job.abortedSinceMs > abortGraceMs;
    if (nowMs >= job.deadlineAtMs) {
      job.abort(new PoolError("deadline_exceeded", "the job ran out of time", { maybeExecuted: true }), nowMs);
    } else if (!job.accepted && nowMs - job.startedAtMs >= acceptAfterMs) accept(job);
    return false;
  }
}
