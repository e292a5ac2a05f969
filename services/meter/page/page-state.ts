/** What the page knows and what its reader chose; views only read it. */

import type { SortOrder } from "../../../browser/order-workers.js";
import type { StateWord } from "../../../browser/worker-row.js";
import type { CapacityView, Connection, PoolCapacity, WorkersView } from "../../../browser.js";

/** The whole state of the page. */
export interface PageState {
  capacity: CapacityView | undefined;
  workers: WorkersView | undefined;
  /** The chosen pool; empty for all. */
  pool: string;
  filterText: string;
  filterStates: ReadonlySet<StateWord>;
  order: SortOrder;
  /** Whether the meter takes control requests. */
  control: boolean;
  /** The meter's version; empty when it is not known. */
  version: string;
}

/** The state before anything was heard. */
export function initialState(): PageState {
  return {
    capacity: undefined,
    workers: undefined,
    pool: "",
    filterText: "",
    filterStates: new Set(),
    order: { column: "trouble", descending: false },
    control: false,
    version: "",
  };
}

/** The connection to the meter now. */
export function connectionNow(state: PageState): Connection {
  return state.capacity?.connection ?? { state: "connecting", attempt: 1 };
}

/** Whether anything was ever heard from the meter. */
export function hasData(state: PageState): boolean {
  return state.capacity?.total !== undefined;
}

/** The capacity of the chosen pool. */
export function chosenCapacity(state: PageState): PoolCapacity | undefined {
  if (state.pool === "") return state.capacity?.total;
  return state.capacity?.pools.get(state.pool);
}

/** All workers of a pool, whatever their state; undefined counts as none. */
export function workerCount(capacity: PoolCapacity | undefined): number {
  const counts = capacity?.workers;
  if (counts === undefined) return 0;
  return counts.starting + counts.ready + counts.paused + counts.draining + counts.stopped + counts.lost;
}
