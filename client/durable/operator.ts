/** The durable lane of one pool, for operators: its figures, dead letters, batches, cron schedules, limits, and pauses. */
import { DurableNames } from "../../mesh/durable/names.js";
import type { LanePause } from "../../mesh/durable/pause/lane-pause.js";
import { type PauseParts, pausePool, resumePool } from "../../mesh/durable/pause/pool-pause.js";
import { StreamPublisher } from "../../mesh/durable/publisher.js";
import { type LaneFigures, laneFigures, noLane } from "../../mesh/durable/shown/figures.js";
import { LaneStore } from "../../mesh/durable/store.js";
import { poolName } from "../../mesh/job/pool-definition.js";
import { Bus } from "../../mesh/link/bus.js";
import { type PartOptions, type PoolOption, toPartOptions } from "../../mesh/link/part-options.js";
import { Batches } from "./batches/batches.js";
import { Crons } from "./crons.js";
import { DeadLetters } from "./dead-letters.js";
import { Limits } from "./limits/limits.js";

/** Where the lane is. */
export interface DurableLaneOptions extends PartOptions {
  /** @deprecated say `connection` */
  bus?: Bus;
}

export class DurableLane {
  readonly pool: string;
  readonly dead: DeadLetters;
  readonly crons: Crons;
  readonly limits: Limits;
  readonly batches: Batches;
  readonly #bus: Bus;
  readonly #ownsBus: boolean;
  readonly #names: DurableNames;
  readonly #store: LaneStore;
  readonly #publisher: StreamPublisher;

  /** @throws PoolError `invalid_argument`, `bus_unavailable`, `unauthenticated` */
  static open(options: DurableLaneOptions & PoolOption): Promise<DurableLane>;
  /** @deprecated say `DurableLane.open({ pool, ...options })` */
  static open(pool: string, options?: DurableLaneOptions): Promise<DurableLane>;
  static async open(
    first: (DurableLaneOptions & PoolOption) | string,
    rest?: DurableLaneOptions,
  ): Promise<DurableLane> {
    const options = toPartOptions("DurableLane.open", first, rest);
    const pool = poolName(options.pool);
    const connecting = { name: `poolmesh-durable-${pool}`, waitOnFirstConnect: false, ...options };
    return new DurableLane(pool, options.connection ?? (await Bus.connect(connecting)), options);
  }

  private constructor(pool: string, bus: Bus, options: DurableLaneOptions & PoolOption) {
    this.pool = pool;
    this.#bus = bus;
    this.#ownsBus = options.connection === undefined;
    this.#names = new DurableNames(options.prefix);
    this.#store = new LaneStore(bus);
    this.#publisher = new StreamPublisher(bus);
    const { names, store, publisher } = { names: this.#names, store: this.#store, publisher: this.#publisher };
    this.dead = new DeadLetters({ pool, bus, names, store, publisher });
    this.crons = new Crons({ pool, bus, names, store });
    this.limits = new Limits({ pool, bus, names, store });
    this.batches = new Batches({ pool, bus, names });
  }

  /** How the lane stands now. @throws PoolError `unknown_pool` when the pool has no durable lane */
  async figures(): Promise<LaneFigures> {
    const figures = await laneFigures(this.#store, this.#names, this.pool);
    if (figures !== undefined) return figures;
    throw noLane(this.pool);
  }

  /**
   * Lets no stored job begin, at any manager, until the lane is resumed. Jobs can be enqueued; what runs goes on.
   *
   * @param options `forMs`: goes on by itself after so long, in milliseconds, at most ten years; default never
   * @returns what is paused, and until when
   * @throws PoolError `unknown_pool`, `invalid_argument` also for a broker older than nats-server 2.11, `bus_unavailable`
   */
  pause({ forMs }: { readonly forMs?: number } = {}): Promise<LanePause> {
    return pausePool(this.#pauseParts, this.pool, forMs, this.#bus.runtime.wallNow());
  }

  /** Lets jobs begin again; nothing happens when the lane is not paused. @throws PoolError as of pause() */
  resume(): Promise<void> {
    return resumePool(this.#pauseParts, this.pool);
  }

  get #pauseParts(): PauseParts {
    return { names: this.#names, store: this.#store, brokerVersion: this.#bus.nc.info?.version };
  }

  /** Closes its own connection. */
  async close(): Promise<void> {
    this.crons.stop();
    this.limits.stop();
    this.batches.stop();
    this.#publisher.stop();
    if (this.#ownsBus) await this.#bus.close();
  }
}
