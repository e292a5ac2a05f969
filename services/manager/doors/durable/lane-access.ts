/** The durable lane of this manager, for one caller's request: whether there is one, and for which pool. */
import { DeadLetters } from "../../../../client/durable/dead-letters.js";
import { JobReads, type JobReadsParts } from "../../../../client/durable/job-reads.js";
import { PoolError } from "../../../../mesh/errors.js";
import type { Bus } from "../../../../mesh/link/bus.js";
import { checkName } from "../../../../mesh/wire/subjects.js";
import type { DurableLane } from "../../durable/lane.js";
import type { Pools } from "../../pools.js";

export class LaneAccess {
  readonly #bus: Bus;
  readonly #pools: Pools;

  constructor(bus: Bus, pools: Pools) {
    this.#bus = bus;
    this.#pools = pools;
  }

  /** @throws PoolError `unknown_pool` when this manager has no durable lane */
  get lane(): DurableLane {
    const { durable } = this.#pools;
    if (durable !== undefined) return durable;
    const message = "this manager has no durable lane; start it with --durable";
    throw new PoolError("unknown_pool", message, { field: "pool", retryable: false });
  }

  /** What reads of one pool work with. @throws PoolError `unknown_pool`, `invalid_argument`, `not_found` */
  parts(pool: string): JobReadsParts {
    const { names, store } = this.lane;
    this.#requireServed(pool);
    return { pool, bus: this.#bus, inbox: this.#pools.inbox, names, store };
  }

  /** @throws PoolError `unknown_pool`, `invalid_argument`, `not_found` */
  reads(pool: string): JobReads {
    return new JobReads(this.parts(pool));
  }

  /** @throws PoolError `unknown_pool`, `invalid_argument`, `not_found` */
  dead(pool: string): DeadLetters {
    return new DeadLetters({ ...this.parts(pool), publisher: this.lane.publisher });
  }

  /**
   * The streams of a pool are there when this resolves.
   *
   * @throws PoolError `unknown_pool`, `invalid_argument`, `not_found`, `draining`, `bus_unavailable`
   */
  async ready(name: string): Promise<void> {
    const { lane } = this;
    this.#requireServed(name);
    if (lane.isOpen(name)) return;
    await this.#pools.rollCall.settle(this.#pools.get(name));
    try {
      await lane.ensure(name);
    } catch (thrown) {
      const isUnknown = thrown instanceof PoolError && thrown.reason === "unknown_pool";
      if (!isUnknown) throw thrown;
      // Its workers have gone, and its jobs wait for them.
      await this.requireLane(name);
    }
  }

  /**
   * Whether or not its workers are there now, the pool has streams.
   *
   * @throws PoolError `unknown_pool`, `invalid_argument`, `not_found`, `bus_unavailable`
   */
  async requireLane(name: string): Promise<void> {
    this.#requireServed(name);
    const { lane } = this;
    if (!lane.isOpen(name) && !(await lane.hasStream(name))) throw this.#pools.unknown(name);
  }

  #requireServed(pool: string): void {
    if (this.#pools.serves(checkName("pool", pool))) return;
    throw new PoolError("not_found", "this manager does not serve that pool", { field: "pool" });
  }
}
