/**
 * The health of the meter, its services and its pools.
 *
 * "" and every service are SERVING while the meter hears the broker; "pool/NAME"
 * is SERVING when the pool has a READY worker, and unknown when no worker or manager
 * has named the pool. While the meter is stale everything is NOT_SERVING.
 */
import { WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import { type HealthSource, ServingStatus } from "../../../mesh/http/health.js";
import type { MeterState } from "../meter-state.js";

const POOL_PREFIX = "pool/";

/** Statuses from the meter's state. */
export class MeterHealth implements HealthSource {
  readonly #state: MeterState;
  readonly #services: ReadonlySet<string>;

  /** @param services full names of the services served */
  constructor(state: MeterState, services: readonly string[]) {
    this.#state = state;
    this.#services = new Set(["", ...services]);
  }

  check(name: string): ServingStatus | undefined {
    if (name.startsWith(POOL_PREFIX)) return this.#checkPool(name.slice(POOL_PREFIX.length));
    if (!this.#services.has(name)) return undefined;
    return this.#state.freshness.stale ? ServingStatus.NOT_SERVING : ServingStatus.SERVING;
  }

  watch(listener: () => void): () => void {
    return this.#state.changes.onTick(listener);
  }

  #checkPool(pool: string): ServingStatus | undefined {
    const { view, freshness } = this.#state;
    if (!view.hasPool(pool)) return undefined;
    if (freshness.stale) return ServingStatus.NOT_SERVING;
    for (const row of view.registry.rows(pool)) {
      if (row.state === WorkerState.READY) return ServingStatus.SERVING;
    }
    return ServingStatus.NOT_SERVING;
  }
}
