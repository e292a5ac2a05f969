/** The limits of all pools of one manager, for who sets and lists them. The stream is made with the first limit. */
import type { EnqueueParts } from "../../../../mesh/durable/enqueue.js";
import type { Limit } from "../../../../mesh/durable/limits/limit.js";
import { listLimits } from "../../../../mesh/durable/limits/list-limits.js";
import { limitsStream } from "../../../../mesh/durable/streams.js";
import { ensureStream, type Provisioning } from "../provision.js";
import { removeLimit, setLimit } from "./limit-store.js";
import type { LimitsDoorParts } from "./limits-door.js";

/** What it works with. */
export interface LaneLimitsParts extends EnqueueParts {
  /** Runs `work` with as many copies as the cluster can hold. */
  readonly provision: (work: (parts: Provisioning) => Promise<unknown>) => Promise<unknown>;
  /** Opens the lane of a pool, if it has none yet. @throws PoolError */
  readonly ensure: (pool: string) => Promise<void>;
}

export class LaneLimits implements LimitsDoorParts {
  readonly #parts: LaneLimitsParts;

  constructor(parts: LaneLimitsParts) {
    this.#parts = parts;
  }

  async set(pool: string, limit: Limit): Promise<void> {
    const { provision, names, ensure } = this.#parts;
    await ensure(pool);
    await provision((parts) => ensureStream(parts, limitsStream(names, parts.replicas)));
    return setLimit(this.#parts, pool, limit);
  }

  remove(pool: string, target: string): Promise<void> {
    return removeLimit(this.#parts, pool, target);
  }

  list(pool: string): Promise<Limit[]> {
    return listLimits(this.#parts, pool);
  }
}
