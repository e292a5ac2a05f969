/** Placements: which attempts are known to be at which worker. Pure. */
import type { Attempt } from "./job.js";

/** So many lists stay when they are empty: to make one for each job would cost more than the job's place in it. */
const MAX_LISTS = 1_000;

export class Placements {
  /** In no order: the last takes the spot of one that goes. */
  readonly #byWorker = new Map<string, Attempt[]>();

  add(worker: string, attempt: Attempt): void {
    let list = this.#byWorker.get(worker);
    if (list === undefined) {
      list = [];
      this.#byWorker.set(worker, list);
    }
    attempt.spot = list.push(attempt) - 1;
  }

  remove(worker: string, attempt: Attempt): void {
    const list = this.#byWorker.get(worker);
    const { spot } = attempt;
    if (list === undefined || list[spot] !== attempt) return;
    const last = list.pop() as Attempt;
    if (last !== attempt) {
      list[spot] = last;
      last.spot = spot;
    }
    if (list.length === 0 && this.#byWorker.size > MAX_LISTS) this.#byWorker.delete(worker);
  }

  /** Attempts at one worker. */
  at(worker: string): Attempt[] {
    return [...(this.#byWorker.get(worker) ?? [])];
  }

  /** Attempts at one worker, which is then taken to have none. */
  takeAll(worker: string): Attempt[] {
    const attempts = this.at(worker);
    this.#byWorker.delete(worker);
    return attempts;
  }

  /** Workers that have at least one attempt. */
  workers(): string[] {
    const workers: string[] = [];
    for (const [worker, list] of this.#byWorker) if (list.length > 0) workers.push(worker);
    return workers;
  }
}
