/**
 * Whom a control command means: the one rule of the command line and of the
 * manager. Pure.
 *
 * A worker that is named is meant in any state, since it says itself what it can
 * do. Of several, only those are meant whose state fits the command. When a
 * number is given, the least busy go first, so that scaling in never stops work
 * that could have been left alone.
 */
import { type Heartbeat, WorkerState } from "../../gen/poolmesh/v1/heartbeat_pb.js";

/** What can be asked of workers. */
export type ControlVerb = "drain" | "pause" | "resume" | "resize" | "restart";

/** Whom a command is for. */
export interface WorkerSelector {
  /** Only the worker of this name; undefined for several. */
  readonly worker?: string | undefined;
  /** Only workers that bear all of these. */
  readonly labels: Readonly<Record<string, string>>;
  /** At most this many; undefined or 0 for all. */
  readonly count?: number | undefined;
}

/** What a selection has found. */
export interface Selected {
  /** Those with the name and the labels, in any state. */
  readonly matching: readonly Heartbeat[];
  /** Those of them that are meant, in the order in which they are asked. */
  readonly chosen: readonly Heartbeat[];
}

/** Selects among the newest heartbeats of the workers that are known. */
export function selectWorkers(workers: Iterable<Heartbeat>, selector: WorkerSelector, verb: ControlVerb): Selected {
  const { worker, labels, count = 0 } = selector;
  const matching = [...workers].filter(
    (each) => (worker === undefined || each.worker === worker) && hasLabels(each, labels),
  );
  const fit = worker === undefined ? matching.filter(({ state }) => fits(verb, state)) : matching;
  const chosen = [...fit].sort(byBusy);
  return { matching, chosen: count === 0 ? chosen : chosen.slice(0, count) };
}

/** Whether a worker bears all of these labels. */
export function hasLabels(heartbeat: Heartbeat, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(labels).every(([key, value]) => heartbeat.labels[key] === value);
}

/** Whether a command can change something about a worker in this state. */
export function fits(verb: ControlVerb, state: WorkerState): boolean {
  if (verb === "restart") return true;
  if (verb === "resume") return state === WorkerState.PAUSED;
  if (verb === "pause") return state === WorkerState.READY;
  return state !== WorkerState.DRAINING && state !== WorkerState.STOPPED;
}

function byBusy(a: Heartbeat, b: Heartbeat): number {
  return a.busy - b.busy || compareNames(a.pool, b.pool) || compareNames(a.worker, b.worker);
}

/** Orders names by the numbers within them, so that w-2 comes before w-10. */
export function compareNames(a: string, b: string): number {
  return COLLATOR.compare(a, b);
}

const COLLATOR = new Intl.Collator("en", { numeric: true });
