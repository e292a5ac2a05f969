/**
 * What one pool has done at one manager since it became known there: counts, how
 * fast its jobs end, how long they took, and the last of them. Pure.
 */
import type { Reason } from "../../../mesh/errors.js";
import { TimeHistogram } from "../../../mesh/job/containers.js";
import type { Outcome } from "../../../mesh/job/job.js";
import { JobHistory } from "./history.js";
import type { Attempt, Job, JobObserver } from "./job.js";

/** How long the jobs took that a worker ended. */
export interface EndedJobs {
  readonly wait: TimeHistogram;
  readonly run: TimeHistogram;
  readonly total: TimeHistogram;
}

/** A stream that captures subjects is told about for so long, in milliseconds. */
const SHOWN_MS = 60_000;
/** A report follows the last one after so long while jobs end, and after so long while none does, in milliseconds. */
const REPORT_AFTER_MS = 950;
const IDLE_REPORT_AFTER_MS = 10_000;

/** Errors that a worker gave: besides results only these have a run. */
const OF_WORKERS: ReadonlySet<string> = new Set(["job_failed", "job_rejected"]);

export class Totals {
  /** Jobs taken. */
  submitted = 0;
  /** `busy` replies of workers. */
  refused = 0;
  /** Replies that came too late or for a stale attempt; dropped. */
  late = 0;
  /** Replies that are no answer of a worker: unknown kinds, acknowledgements of streams; dropped. */
  strangers = 0;
  /** Hears what happens to each job; undefined while nobody looks. See observe() in observers.ts. */
  observer: JobObserver | undefined;
  /** It ends here since its client has given it to another manager, which tells of it from now on. */
  handedOver: Job | undefined;
  readonly history: JobHistory;
  readonly #outcomes = new Map<Reason | "ok", OutcomeTotals>();
  /** A stream that captures subjects of jobs, and when that was known last. */
  #stream: { readonly name: string; readonly atMs: number } | undefined;
  readonly #rate = new ServiceRate();
  #ended = 0;
  #reported = { ended: 0, atMs: Number.NEGATIVE_INFINITY };

  constructor(history = new JobHistory()) {
    this.history = history;
  }

  /** A job was taken. */
  taken(job: Job): void {
    this.submitted += 1;
    this.observer?.taken(job);
  }

  /** A worker had no free slot for an attempt. */
  wasRefused(attempt: Attempt, worker: string | undefined): void {
    this.refused += 1;
    this.observer?.refused(attempt, worker ?? "");
  }

  /** A job has its outcome. @param nowMs monotonic milliseconds */
  ended(job: Job, outcome: Outcome, nowMs: number): void {
    const reason = outcome.ok ? "ok" : outcome.error.reason;
    const totalMs = nowMs - job.submittedAtMs;
    const waitMs = job.attempt === undefined ? totalMs : job.attempt.sentAtMs - job.submittedAtMs;
    this.#rate.ended(nowMs);
    let totals = this.#outcomes.get(reason);
    if (totals === undefined) {
      totals = new OutcomeTotals();
      this.#outcomes.set(reason, totals);
    }
    totals.add(job, waitMs, totalMs);
    this.#ended += 1;
    if (job === this.handedOver) return;
    this.history.add(job, outcome, nowMs);
    this.observer?.ended(job, outcome, nowMs);
  }

  /** Outcomes by reason, "ok" for a result: how many there were, and how long their jobs took. */
  outcomes(): ReadonlyMap<Reason | "ok", OutcomeTotals> {
    return this.#outcomes;
  }

  /** How jobs ended, when it is time to tell again; undefined until then. @param nowMs monotonic milliseconds */
  report(nowMs: number): EndedJobs | undefined {
    const { ended, atMs } = this.#reported;
    const afterMs = ended === this.#ended ? IDLE_REPORT_AFTER_MS : REPORT_AFTER_MS;
    if (this.#ended === 0 || nowMs - atMs < afterMs) return undefined;
    this.#reported = { ended: this.#ended, atMs: nowMs };
    return this.#timesOfWorkers();
  }

  /** Whether a job has ended since the last report. */
  get hasNews(): boolean {
    return this.#reported.ended !== this.#ended;
  }

  /** A stream captures subjects of this pool: its acknowledgement came in the place of an answer, or the broker says so. */
  streamCovers(name: string, nowMs: number): void {
    this.#stream = { name, atMs: nowMs };
  }

  /** The stream of which that was known within the last minute. */
  stream(nowMs: number): string | undefined {
    const { name, atMs } = this.#stream ?? {};
    return atMs !== undefined && nowMs - atMs < SHOWN_MS ? name : undefined;
  }

  /** When a caller that was refused may come back: the time until `jobs` will have ended, 50 to 30,000 milliseconds. */
  timeForMs(jobs: number, nowMs: number): number {
    return this.#rate.timeForMs(jobs, nowMs);
  }

  #timesOfWorkers(): EndedJobs {
    const times = { wait: new TimeHistogram(), run: new TimeHistogram(), total: new TimeHistogram() };
    for (const [reason, { wait, run, total }] of this.#outcomes) {
      if (reason !== "ok" && !OF_WORKERS.has(reason)) continue;
      times.wait.addAll(wait);
      times.run.addAll(run);
      times.total.addAll(total);
    }
    return times;
  }
}

/** The jobs that ended in one way. */
export class OutcomeTotals {
  count = 0;
  /** From submit to the sending of the last attempt; to the end where there was none. */
  readonly wait = new TimeHistogram();
  /** From that sending to the end. Jobs without an attempt are not among them. */
  readonly run = new TimeHistogram();
  /** From submit to the end. */
  readonly total = new TimeHistogram();

  add({ attempt }: Job, waitMs: number, totalMs: number): void {
    this.count += 1;
    this.total.add(totalMs);
    this.wait.add(waitMs);
    if (attempt !== undefined) this.run.add(totalMs - waitMs);
  }
}

/** The time constant of the rate. */
const TIME_CONSTANT_MS = 5_000;

/** How fast jobs end: an exponentially weighted rate. */
class ServiceRate {
  #perMs = 0;
  #lastAt: number | undefined;

  /** Counts a job that ended at `now`, monotonic milliseconds. */
  ended(now: number): void {
    this.#decay(now);
    this.#perMs += 1 / TIME_CONSTANT_MS;
  }

  /** Time until `jobs` will have ended at this rate, 50 to 30,000 milliseconds. */
  timeForMs(jobs: number, now: number): number {
    this.#decay(now);
    const estimate = this.#perMs > 0 ? jobs / this.#perMs : 1_000;
    return Math.min(30_000, Math.max(50, Math.ceil(estimate)));
  }

  #decay(now: number): void {
    if (this.#lastAt !== undefined && now > this.#lastAt) {
      this.#perMs *= Math.exp((this.#lastAt - now) / TIME_CONSTANT_MS);
    }
    this.#lastAt = now;
  }
}
