/**
 * Outcomes kept for a while after the end: for GetOutcome, and so that the same
 * id with the same payload and options, submitted again, hears the same outcome.
 *
 * Pure. An id that is used again for another job never hears it; who missed the outcome of the earlier one still does. Only jobs whose caller
 * chose the id or detached are kept. Bounded in number, bytes and time; the oldest goes first.
 */
import { ChurnMap, Fifo, type FifoNode } from "../../../mesh/job/containers.js";
import type { JobSpec, Outcome } from "../../../mesh/job/job.js";

/** What tells a repeat from another job. */
export type KeptSpec = Pick<JobSpec, "payload" | "nonce" | "idempotent" | "priority" | "client">;

interface Kept {
  readonly outcome: Outcome;
  readonly spec: KeptSpec;
  /** Of every submission that it is the outcome of. */
  readonly nonces: string[];
  readonly bytes: number;
  readonly until: number;
  /** Its place among those that are kept. */
  node?: FifoNode<Kept>;
}

/** How long, how many, how much. */
export const OUTCOME_KEEP_MS = 60_000;
const MAX_OUTCOMES = 10_000;
const MAX_BYTES = 64 * 1024 * 1024;
/** Submissions that are remembered for one outcome. */
const MAX_NONCES = 64;

export class OutcomeStore {
  /** The last one of each id. */
  readonly #kept = new ChurnMap<Kept>();
  /** Those of ids that had another job since, by id and submission. */
  readonly #earlier = new Map<string, Kept>();
  /** Oldest first. Looking for the first entry of a Map passes all that were deleted before it. */
  readonly #byAge = new Fifo<Kept>();
  #bytes = 0;

  get size(): number {
    return this.#byAge.size;
  }

  /** Keeps the outcome of a submission; several may share one. */
  keep(outcome: Outcome, spec: KeptSpec, nowMs: number): void {
    const known = this.#kept.get(outcome.id);
    const isSame = known?.outcome === outcome;
    const nonces = isSame ? known.nonces : [];
    if (known !== undefined && isSame) this.#delete(known);
    else if (known !== undefined) this.#setApart(known);
    if (spec.nonce !== "" && nonces.length < MAX_NONCES) nonces.push(spec.nonce);
    const bytes = spec.payload.length + (outcome.ok ? outcome.result.payload.length : 0);
    const kept: Kept = { outcome, spec, nonces, bytes, until: nowMs + OUTCOME_KEEP_MS };
    kept.node = this.#byAge.push(kept);
    this.#kept.set(outcome.id, kept);
    this.#bytes += bytes;
    this.#trim(nowMs);
  }

  /** The outcome of a job that has ended. */
  get(id: string, nowMs: number): Outcome | undefined {
    this.#trim(nowMs);
    return this.#kept.get(id)?.outcome;
  }

  /** For which client the job was that has ended; undefined when it is not kept. */
  clientOf(id: string, nowMs: number): string | undefined {
    this.#trim(nowMs);
    return this.#kept.get(id)?.spec.client;
  }

  /** The outcome of one submission. @param nonce undefined or "" for the last one of this id */
  of(id: string, nonce: string | undefined, nowMs: number): Outcome | undefined {
    this.#trim(nowMs);
    const kept = this.#kept.get(id);
    if (nonce === undefined || nonce === "" || kept?.nonces.includes(nonce) === true) return kept?.outcome;
    return this.#earlier.get(keyOf(id, nonce))?.outcome;
  }

  /** The outcome of a job that had this id, this payload and these options; or of this very submission, whatever came after it. */
  repeat(spec: KeptSpec & Pick<JobSpec, "id">, nowMs: number): Outcome | undefined {
    this.#trim(nowMs);
    const kept = this.#kept.get(spec.id);
    if (kept !== undefined && isSameJob(kept.spec, spec)) return kept.outcome;
    return spec.nonce === "" ? undefined : this.#earlier.get(keyOf(spec.id, spec.nonce))?.outcome;
  }

  #trim(nowMs: number): void {
    for (let oldest = this.#byAge.first; oldest !== undefined; oldest = this.#byAge.first) {
      if (oldest.until > nowMs && this.#byAge.size <= MAX_OUTCOMES && this.#bytes <= MAX_BYTES) return;
      this.#delete(oldest);
    }
  }

  /** Another job of its id has ended: from now on only its own submissions hear it. */
  #setApart(kept: Kept): void {
    if (kept.nonces.length === 0) return this.#delete(kept);
    this.#kept.delete(kept.outcome.id);
    for (const nonce of kept.nonces) this.#earlier.set(keyOf(kept.outcome.id, nonce), kept);
  }

  #delete(kept: Kept): void {
    const { outcome, node, bytes, nonces } = kept;
    if (node === undefined) return;
    this.#byAge.remove(node);
    this.#bytes -= bytes;
    if (this.#kept.get(outcome.id) === kept) this.#kept.delete(outcome.id);
    else for (const nonce of nonces) this.#earlier.delete(keyOf(outcome.id, nonce));
  }
}

function keyOf(id: string, nonce: string): string {
  return `${id} ${nonce}`;
}

/** Deadlines and trace headers differ from one try of a caller to the next, and make no other job. */
function isSameJob(a: KeptSpec, b: KeptSpec): boolean {
  const sameOptions = a.idempotent === b.idempotent && a.priority === b.priority && a.client === b.client;
  return sameOptions && Buffer.compare(a.payload, b.payload) === 0;
}
