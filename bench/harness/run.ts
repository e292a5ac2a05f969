/** One run of the benchmark: what rows share. */
import type { RowResult } from "./figures/comparison.js";
import { Fleet, type FleetSpec } from "./processes/fleet.js";
import { redisVersion } from "./processes/redis.js";
import type { Servers } from "./processes/servers.js";

/** How much to measure. */
export interface Extent {
  readonly rounds: number;
  /** True: as little as shows that everything works; the figures mean nothing. */
  readonly quick: boolean;
}

/** Without Redis its arms are left out; where CI is set they must be there. */
function hasBroker({ over }: FleetSpec): boolean {
  return over !== "redis" || redisVersion() !== undefined || process.env.CI !== undefined;
}

/** A row of the benchmark. */
export interface Row {
  readonly number: number;
  readonly title: string;
  measure(run: Run): Promise<Omit<RowResult, "row" | "title">>;
}

export class Run {
  readonly servers: Servers;
  readonly extent: Extent;
  readonly #log: (line: string) => void;
  /** What rows of a quick run share. */
  readonly #shared = new Map<FleetSpec, Promise<Fleet>>();

  constructor(servers: Servers, extent: Extent, log: (line: string) => void) {
    this.servers = servers;
    this.extent = extent;
    this.#log = log;
  }

  /** The first in a quick run, else the second. */
  pick<T>(quick: T, normal: T): T {
    return this.extent.quick ? quick : normal;
  }

  say(line: string): void {
    this.#log(line);
  }

  /** Starts fleets, lets `work` measure with them, and stops them whatever happens. */
  async withFleets<T>(specs: readonly FleetSpec[], work: (fleets: Fleet[]) => Promise<T>): Promise<T> {
    const fleets: Fleet[] = [];
    try {
      // One after the other: a machine that starts twenty processes at once is too slow for their limits.
      for (const spec of specs.filter(hasBroker)) fleets.push(await Fleet.start(this.servers, spec));
      return await work(fleets);
    } finally {
      await Promise.all(fleets.map((fleet) => fleet.stop()));
    }
  }

  /**
   * Like {@link withFleets}; in a quick run the fleets stay for other rows that share them, until {@link stop}. Figures that
   * count come from processes that have done nothing before.
   */
  async withSharedFleets<T>(specs: readonly FleetSpec[], work: (fleets: Fleet[]) => Promise<T>): Promise<T> {
    if (!this.extent.quick) return this.withFleets(specs, work);
    const fleets: Fleet[] = [];
    for (const spec of specs.filter(hasBroker)) fleets.push(await this.#sharedFleet(spec));
    return work(fleets);
  }

  /** Stops what rows have shared. */
  async stop(): Promise<void> {
    const starts = await Promise.allSettled(this.#shared.values());
    await Promise.all(starts.map((start) => (start.status === "fulfilled" ? start.value.stop() : undefined)));
  }

  #sharedFleet(spec: FleetSpec): Promise<Fleet> {
    const fleet = this.#shared.get(spec) ?? Fleet.start(this.servers, spec);
    this.#shared.set(spec, fleet);
    return fleet;
  }

  /**
   * Calls `work` for each of `arms` in every round. Each round begins with
   * another arm, so that none always goes first or after the same one.
   */
  async interleaved<T>(arms: readonly T[], work: (arm: T, round: number) => Promise<void>): Promise<void> {
    for (let round = 0; round < this.extent.rounds; round += 1) {
      for (let i = 0; i < arms.length; i += 1) await work(arms[(i + round) % arms.length] as T, round);
    }
  }
}
