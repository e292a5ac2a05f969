/** Assignments: which attempts are known to be at which worker. Pure. */
import type { Attempt } from "./attempt.js";

/** So many empty lists are kept: making a list for each job costs more than the job's place in it. */
const MAX_LISTS = 1_000;

export class Assignments {
  /** In no order: the last attempt takes the spot of one that leaves. */
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

  /** The attempts at one worker, as of now. */
  at(worker: string): Attempt[] {
    return [...(this.#byWorker.get(worker) ?? [])];
  }

  /** The workers that have at least one attempt. */
  workers(): string[] {
    const workers: string[] = [];
    for (const [worker, list] of this.#byWorker) if (list.length > 0) workers.push(worker);
    return workers;
  }
}
