/** What the demo keeps of its jobs. Pure. */
import type { Outcome } from "../../index.js";
import type { Digest } from "../handlers/digest.js";

export class Tally {
  readonly digests: Digest[] = [];
  readonly failures: string[] = [];
  /** Jobs that have ended with a result. */
  jobs = 0;
  readonly #waitsMs: number[] = [];
  readonly #byWorker = new Map<string, number>();

  add(outcome: Outcome): void {
    if (!outcome.ok) {
      this.failures.push(`${outcome.error.reason}: ${outcome.error.message}`);
      return;
    }
    const { result } = outcome;
    this.jobs += 1;
    this.digests.push(...result.json<Digest[]>());
    this.#waitsMs.push(result.waitMs);
    this.#byWorker.set(result.worker, (this.#byWorker.get(result.worker) ?? 0) + 1);
  }

  get bytes(): { readonly read: number; readonly gzipped: number } {
    let read = 0;
    let gzipped = 0;
    for (const digest of this.digests) {
      read += digest.bytes;
      gzipped += digest.gzipBytes;
    }
    return { read, gzipped };
  }

  /** The time that jobs waited for a slot, in milliseconds. @param share such as 0.99 */
  waitMs(share: number): number {
    const sorted = [...this.#waitsMs].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  }

  /** Each worker's part of the jobs, 0 to 1. */
  get shares(): readonly { readonly worker: string; readonly share: number }[] {
    return [...this.#byWorker]
      .map(([worker, jobs]) => ({ worker, share: jobs / Math.max(1, this.jobs) }))
      .sort((a, b) => a.worker.localeCompare(b.worker));
  }
}
