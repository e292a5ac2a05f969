/**
 * Starts jobs and is patient with outages.
 *
 * When no manager has taken any job yet and none serves the pool, nothing is tried again, unless `waitForPool` is set.
 * Else a job that could not even be taken, because the broker or every manager was
 * away, is started again until its own deadline; with `waitForPool` also one of a
 * pool that nobody serves yet. One that may have run is not.
 */
import { NO_MANAGER } from "../../../client/failover.js";
import { type PoolError, type Reason, toPoolError } from "../../../mesh/errors.js";
import type { Outcome, SubmitOptions } from "../../../mesh/job/job.js";
import type { JobStarter } from "../../../mesh/job/job-flow.js";
import type { MapInput } from "./map-input.js";

const RETRY_MS = 250;

/** What runs jobs: a Client, or a manager over HTTP. */
export interface Jobs {
  detachSubmit(payload: Uint8Array, options: SubmitOptions & { onOutcome?: (outcome: Outcome) => void }): string;
  cancel(id: string): Promise<void>;
}

/** What starts the jobs of a run. */
export interface MapStarter extends JobStarter<MapInput> {
  /** Jobs that have no outcome yet. */
  readonly underWay: number;
}

/** Whether an error says that no manager at all takes jobs of the pool. */
export function isWithoutManager({ reason, message, maybeExecuted }: PoolError): boolean {
  return reason === "bus_unavailable" && message === NO_MANAGER && !maybeExecuted;
}

export class PatientStarter implements MapStarter {
  readonly #client: Jobs;
  readonly #options: SubmitOptions;
  readonly #passing: ReadonlySet<Reason>;
  #counter = 0;
  #patient = true;
  /** A manager has taken a job of this run: one that is away now may come back. */
  #wasServed = false;
  readonly #waitForPool: boolean;
  /** The client's id of each job by ours, which stays the same over tries. */
  readonly #ids = new Map<string, string>();

  constructor(client: Jobs, options: SubmitOptions, waitForPool = false) {
    this.#client = client;
    this.#options = options;
    this.#waitForPool = waitForPool;
    this.#passing = new Set<Reason>(["bus_unavailable", "draining", ...(waitForPool ? ["unknown_pool" as const] : [])]);
  }

  /** Jobs that have no outcome yet. */
  get underWay(): number {
    return this.#ids.size;
  }

  start(input: MapInput, leftMs: number, onOutcome: (outcome: Outcome) => void): string {
    this.#counter += 1;
    const key = String(this.#counter);
    const begunAt = performance.now();
    const endAt = begunAt + leftMs;
    const end = (outcome: Outcome): void => {
      input.tookMs = performance.now() - begunAt;
      this.#ids.delete(key);
      onOutcome({ ...outcome, id: key });
    };
    this.#try(key, input, endAt, end);
    return key;
  }

  cancel(key: string): void {
    this.#patient = false;
    const id = this.#ids.get(key);
    if (id !== undefined) this.#client.cancel(id).catch(() => undefined);
  }

  #try(key: string, input: MapInput, endAt: number, end: (outcome: Outcome) => void): void {
    const onOutcome = (outcome: Outcome): void => {
      if (outcome.ok || outcome.error.reason !== "bus_unavailable") this.#wasServed = true;
      if (outcome.ok || !this.#mayTryAgain(outcome.error, endAt)) end(outcome);
      else setTimeout(() => this.#try(key, input, endAt, end), RETRY_MS);
    };
    try {
      const timeoutMs = Math.max(1, Math.ceil(endAt - performance.now()));
      this.#ids.set(key, this.#client.detachSubmit(input.payload, { ...this.#options, timeoutMs, onOutcome }));
    } catch (thrown) {
      const error = toPoolError(thrown);
      setImmediate(onOutcome, { ok: false, id: key, error, worker: "", attempt: 0 });
    }
  }

  #mayTryAgain(error: PoolError, endAt: number): boolean {
    if (!this.#wasServed && !this.#waitForPool && isWithoutManager(error)) return false;
    if (!this.#patient || !this.#passing.has(error.reason) || error.maybeExecuted || this.#options.wait === false)
      return false;
    return performance.now() + RETRY_MS < endAt;
  }
}
