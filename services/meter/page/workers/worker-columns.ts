/** The columns of the workers' table: order, words, and what they sort by. */
import type { SortColumn } from "../../../../browser/order-workers.js";

/** One column. */
export interface WorkerColumn {
  /** Names the cell's class, "col-…". */
  readonly id:
    | "state"
    | "worker"
    | "slots"
    | "busy"
    | "done"
    | "failed"
    | "lag"
    | "beat"
    | "host"
    | "running"
    | "actions";
  readonly title: string;
  /** Undefined: cannot be sorted by. */
  readonly sort: SortColumn | undefined;
  /** The direction of the first click. */
  readonly descendingFirst: boolean;
}

/** All columns, as read from left to right. */
export const WORKER_COLUMNS: readonly WorkerColumn[] = [
  { id: "state", title: "State", sort: "trouble", descendingFirst: false },
  { id: "worker", title: "Worker", sort: "worker", descendingFirst: false },
  { id: "slots", title: "Slots", sort: "busy", descendingFirst: true },
  { id: "busy", title: "Busy", sort: undefined, descendingFirst: true },
  { id: "done", title: "Done", sort: "jobsDone", descendingFirst: true },
  { id: "failed", title: "Failed", sort: "jobsFailed", descendingFirst: true },
  { id: "lag", title: "Loop lag", sort: "loopLagMs", descendingFirst: true },
  { id: "beat", title: "Heartbeat", sort: "heartbeat", descendingFirst: true },
  { id: "host", title: "Host", sort: "host", descendingFirst: false },
  { id: "running", title: "Running jobs", sort: undefined, descendingFirst: false },
  { id: "actions", title: "Control", sort: undefined, descendingFirst: false },
];
