/** Several observers of one pool's jobs, as its one observer. Pure. */
import type { Outcome } from "../../../mesh/job/job.js";
import type { Attempt, Job, JobObserver } from "./job.js";
import type { Totals } from "./totals.js";

/** Adds an observer; nothing happens when it is one already. While there is none, jobs cost nothing more. */
export function observe(totals: Totals, observer: JobObserver): void {
  const all = observersOf(totals);
  if (!all.includes(observer)) totals.observer = asOne([...all, observer]);
}

/** Takes an observer away. */
export function unobserve(totals: Totals, observer: JobObserver): void {
  totals.observer = asOne(observersOf(totals).filter((each) => each !== observer));
}

function observersOf({ observer }: Totals): readonly JobObserver[] {
  if (observer === undefined) return [];
  return observer instanceof Observers ? observer.all : [observer];
}

function asOne(all: readonly JobObserver[]): JobObserver | undefined {
  return all.length > 1 ? new Observers(all) : all[0];
}

class Observers implements JobObserver {
  constructor(readonly all: readonly JobObserver[]) {}

  taken(job: Job): void {
    for (const each of this.all) each.taken(job);
  }
  parked(job: Job): void {
    for (const each of this.all) each.parked(job);
  }
  sent(attempt: Attempt, worker: string): void {
    for (const each of this.all) each.sent(attempt, worker);
  }
  refused(attempt: Attempt, worker: string): void {
    for (const each of this.all) each.refused(attempt, worker);
  }
  accepted(attempt: Attempt, worker: string): void {
    for (const each of this.all) each.accepted(attempt, worker);
  }
  revoked(attempt: Attempt): void {
    for (const each of this.all) each.revoked(attempt);
  }
  ended(job: Job, outcome: Outcome, nowMs: number): void {
    for (const each of this.all) each.ended(job, outcome, nowMs);
  }
}
