/**
 * The outcomes of jobs of the durable lane, kept for managers that hand in such a
 * job again because the manager that had it is gone. Pure.
 *
 * Decided here: which outcomes answer a later attempt, how many are kept and for how
 * long. A failure that may pass answers nothing: the job is to run again after it.
 */
import type { HandlerOutcome } from "../handlers/runner.js";
import { ResultStore } from "./results.js";
import { type Addressee, jobKey } from "./running-job.js";

/** At most so many are kept, of so many payload bytes, and for so long. The oldest goes first. */
export const KEPT_OUTCOMES = 10_000;
export const KEPT_OUTCOMES_BYTES = 64 * 2 ** 20;
export const KEPT_OUTCOMES_MS = 60_000;
/** Room in the store: a power of two. */
const PLACES = 16_384;
/** An outcome is that of the job, whichever attempt it was. */
const ANY_ATTEMPT = 0;

export class KeptOutcomes {
  /** Made for the first job of the lane: most workers never have one. */
  #store: ResultStore | undefined;
  #keptAtMs = new Float64Array(0);
  #newest = 0;
  #oldest = 1;
  #bytes = 0;

  /** How many are kept now. */
  get size(): number {
    return this.#newest - this.#oldest + 1;
  }

  /** Payload bytes kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Keeps how a job has ended, if that is how it ends whoever runs it. */
  keep({ id, nonce }: Pick<Addressee, "id" | "nonce">, outcome: HandlerOutcome, nowMs: number): void {
    if (!outcome.ok && outcome.error.reason !== "job_rejected") return;
    const store = this.#store ?? this.#open();
    this.#newest += 1;
    store.put(this.#newest, { id, nonce, attempt: ANY_ATTEMPT, reply: undefined }, outcome);
    this.#keptAtMs[this.#newest % PLACES] = nowMs;
    this.#bytes += store.size(this.#newest);
    this.sweep(nowMs);
  }

  /** How a submission has ended; undefined when it is not known, or not any more. */
  find(id: string, nonce: string, nowMs: number): HandlerOutcome | undefined {
    this.sweep(nowMs);
    const number = this.#store?.find(jobKey(id, nonce), ANY_ATTEMPT) ?? 0;
    return number < this.#oldest ? undefined : this.#store?.get(number).outcome;
  }

  /** Drops what is too old or too much. */
  sweep(nowMs: number): void {
    while (this.size > 0 && (this.size > KEPT_OUTCOMES || this.#bytes > KEPT_OUTCOMES_BYTES || this.#isOld(nowMs))) {
      this.#bytes -= this.#store?.size(this.#oldest) ?? 0;
      this.#store?.release(this.#oldest);
      this.#oldest += 1;
    }
  }

  #open(): ResultStore {
    this.#keptAtMs = new Float64Array(PLACES);
    this.#store = new ResultStore(PLACES);
    return this.#store;
  }

  #isOld(nowMs: number): boolean {
    return nowMs - (this.#keptAtMs[this.#oldest % PLACES] as number) > KEPT_OUTCOMES_MS;
  }
}
