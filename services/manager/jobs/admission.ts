/**
 * Whether a job that cannot run at once may wait, and what it hears if not.
 *
 * Pure. Overload is told honestly: with the pool's utilization, how many jobs
 * are parked, and when to come back.
 */
import { PoolError, unknownPool } from "../../../mesh/errors.js";
import { jobRefusal } from "../../../mesh/wire/payloads.js";
import type { InFlight } from "./in-flight.js";
import type { Job } from "./job.js";
import type { ParkedQueue } from "./parked-queue.js";
import type { SenderPort } from "./sender-port.js";
import type { Totals } from "./totals.js";
import type { Workers } from "./workers.js";

/** The state of a pool at the moment of a submission. */
interface Pressure {
  /** Slots of READY workers. */
  readonly capacity: number;
  /** Free slots among them that no offer is on its way to. */
  readonly free: number;
  readonly parked: number;
  /** Whether any worker has ever sent a heartbeat for the pool. */
  readonly everHeard: boolean;
  /** When a slot will be free for one more job, in milliseconds, at the rate of the last seconds. */
  readonly retryAfterMs: number;
}

/** Which bound of the parked queue a job would break. */
export type Bound = "jobs" | "bytes" | "share";

const MESSAGES = {
  slots: "every slot is busy",
  jobs: "as many jobs are parked as may be",
  bytes: "parked jobs hold as many bytes as they may",
  share: "this client holds its share of the parked jobs",
} as const;

/** What it judges by. */
export interface AdmissionParts {
  readonly workers: Workers;
  readonly parked: ParkedQueue<Job>;
  readonly inFlight: InFlight;
  readonly totals: Totals;
  readonly sender: Pick<SenderPort, "payloadLimit">;
  /** The pool that was perhaps meant, when nobody serves this one. */
  readonly near?: (() => string | undefined) | undefined;
}

export class Admission {
  readonly #parts: AdmissionParts;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  /** @throws PoolError `pool_full`, `no_workers`, `unknown_pool` when a job that cannot run now may not wait */
  checkParkable(job: Job, now: number): void {
    if (!job.spec.wait) throw this.noSlot(now);
    const bound = this.#parts.parked.refusal(job);
    if (bound !== undefined) throw poolFull(bound, this.#pressure(now));
  }

  /** The refusal of a job whose payload is larger than the broker takes now. */
  tooLarge({ spec, attempts }: Job): PoolError | undefined {
    return jobRefusal(spec.payload, spec, this.#parts.sender.payloadLimit(), attempts > 0);
  }

  /** The refusal of a job that does not want to wait. */
  noSlot(now: number): PoolError {
    return noSlot(this.#pressure(now), this.#parts);
  }

  #pressure(now: number): Pressure {
    const { workers, parked, inFlight, totals } = this.#parts;
    return {
      capacity: workers.capacity,
      free: workers.free - inFlight.offers,
      parked: parked.size,
      everHeard: workers.everHeard,
      retryAfterMs: totals.timeForMs(Math.max(1, parked.size), now),
    };
  }
}

/** When to ask again for a pool that has nobody, in milliseconds. */
const NOBODY_RETRY_MS = 1_000;

function noSlot(pressure: Pressure, { workers, near: nearPool }: AdmissionParts): PoolError {
  if (pressure.capacity > 0) return poolFull("slots", pressure);
  const retry = { retryAfterMs: NOBODY_RETRY_MS };
  const hindrance = workers.hindrance();
  const why = hindrance === undefined ? "" : `: ${hindrance}`;
  if (pressure.everHeard) return new PoolError("no_workers", `the pool has no READY worker${why}`, retry);
  const near = nearPool?.();
  return unknownPool({ ...retry, ...(near === undefined ? {} : { near }) });
}

function poolFull(bound: Bound | "slots", pressure: Pressure): PoolError {
  const { capacity, free, parked, retryAfterMs } = pressure;
  const utilization = capacity === 0 ? 1 : 1 - Math.min(capacity, Math.max(0, free)) / capacity;
  return new PoolError("pool_full", MESSAGES[bound], { utilization, parked, retryAfterMs });
}
