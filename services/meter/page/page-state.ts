/** What the page knows and what its reader chose; views only read it. */

import type { SortOrder } from "../../../browser/order-workers.js";
import type { StateWord } from "../../../browser/worker-row.js";
import type { CapacityView, Connection, PoolCapacity, WorkersView } from "../../../browser.js";
import type { GetLanesResponse } from "../../../gen/poolmesh/v1/durable_pb.js";
import type { PoolJobs } from "./jobs/ask-jobs.js";
import type { Told } from "./poll.js";
import type { Route } from "./route.js";

/** The whole state of the page. */
export interface PageState {
  capacity: CapacityView | undefined;
  workers: WorkersView | undefined;
  /** What the address names. */
  route: Route;
  /** The chosen pool; empty for all. */
  pool: string;
  /** The jobs of the chosen pool, and how they end; undefined when that is not known. */
  jobs: Told<PoolJobs> | undefined;
  /** How the durable lane stands; undefined when that is not known, or there is none. */
  lanes: Told<GetLanesResponse> | undefined;
  /** Why the lane was not told of last time; empty when it was. */
  lanesFailure: string;
  filterText: string;
  filterStates: ReadonlySet<StateWord>;
  order: SortOrder;
  /** Whether the meter takes control requests. */
  control: boolean;
  /** Whether the meter shows the durable lane. */
  durable: boolean;
  /** The meter's version; empty when it is not known. */
  version: string;
}

/** The state before anything was heard. */
export function initialState(): PageState {
  return {
    capacity: undefined,
    workers: undefined,
    route: { view: "pool", pool: "", worker: "", job: "" },
    pool: "",
    jobs: undefined,
    lanes: undefined,
    lanesFailure: "",
    filterText: "",
    filterStates: new Set(),
    order: { column: "trouble", descending: false },
    control: false,
    durable: false,
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

/** Whether there is a durable lane to show. */
export function hasLane(state: PageState): boolean {
  const { lanes = [], streams = [] } = state.lanes?.value ?? {};
  return state.durable && lanes.length + streams.length > 0;
}

/** Whether the durable lane has its tab: there is one, or nobody knows yet since it cannot be read. */
export function hasLaneTab(state: PageState): boolean {
  const isUnknown = state.durable && state.lanes === undefined && state.lanesFailure !== "";
  return isUnknown || hasLane(state);
}

/** All workers of a pool, whatever their state; undefined counts as none. */
export function workerCount(capacity: PoolCapacity | undefined): number {
  const counts = capacity?.workers;
  if (counts === undefined) return 0;
  return counts.starting + counts.ready + counts.paused + counts.draining + counts.stopped + counts.lost;
}
