/** What a manager needs of a worker that lives in its own process. */
import type { Bus } from "../link/bus.js";
import type { Lifecycle } from "./lifecycle.js";

/** A part of a pool that can share its manager's connection, and starts and stops with it. */
export interface PoolMember extends Lifecycle {
  readonly id: string;
  readonly pool: string;
  /** Uses this connection instead of one of its own. Before start() only. */
  useBus(bus: Bus): void;
}
