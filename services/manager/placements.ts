/** Placements: which attempts are known to be at which worker. Pure. */
import type { Attempt } from "./live-job.js";

export class Placements {
  readonly #byWorker = new Map<string, Set<Attempt>>();

  add(worker: string, attempt: Attempt): void {
    const set = this.#byWorker.get(worker);
    if (set === undefined) this.#byWorker.set(worker, new Set([attempt]));
    else set.add(attempt);
  }

  remove(worker: string, attempt: Attempt): void {
    const set = this.#byWorker.get(worker);
    if (set?.delete(attempt) && set.size === 0) this.#byWorker.delete(worker);
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
    return [...this.#byWorker.keys()];
  }
}
