/**
 * One worker as a row to show: words, numbers and marks. Pure.
 *
 * Decided here: the word for each state, and what counts as trouble. The page and
 * the terminal draw the same row, each in its own way.
 */
import { WorkerState } from "../gen/poolmesh/v1/heartbeat_pb.js";
import { plainText } from "../mesh/plain-text.js";
import { CLOCK_OFF_MS } from "../mesh/wire/clock-offset.js";
import type { SeenWorker } from "./merge-workers.js";

/** A state's word, in lower case. */
export type StateWord = "unknown" | "starting" | "ready" | "paused" | "draining" | "stopped" | "lost";

/** A problem of a worker besides its state. */
export type Mark = "conflict" | "takes nothing" | "lagging" | "stuck" | "clock off";

/** What a row shows. All text is safe to show on one line. */
export interface WorkerRow {
  readonly key: string;
  readonly pool: string;
  readonly worker: string;
  readonly state: StateWord;
  readonly marks: readonly Mark[];
  readonly slots: number;
  readonly busy: number;
  readonly jobsDone: number;
  readonly jobsFailed: number;
  readonly loopLagMs: number;
  /** How far its wall clock is ahead of the meter's, in milliseconds; below 0 it is behind. */
  readonly clockOffsetMs: number;
  readonly host: string;
  readonly version: string;
  /** Ids of running jobs, joined; an ellipsis when there are more. */
  readonly running: string;
  /** 0 for the worst, see {@link troubleRank}. */
  readonly rank: number;
  readonly seen: SeenWorker;
}

const WORDS: Readonly<Record<WorkerState, StateWord>> = {
  [WorkerState.UNSPECIFIED]: "unknown",
  [WorkerState.STARTING]: "starting",
  [WorkerState.READY]: "ready",
  [WorkerState.PAUSED]: "paused",
  [WorkerState.DRAINING]: "draining",
  [WorkerState.STOPPED]: "stopped",
  [WorkerState.LOST]: "lost",
};

/** All words, worst first: the order of state filters and of the default sort. */
export const STATE_WORDS: readonly StateWord[] = [
  "lost",
  "draining",
  "paused",
  "starting",
  "unknown",
  "ready",
  "stopped",
];

const RUNNING_SHOWN = 8;
const rows = new WeakMap<SeenWorker, WorkerRow>();

/** The row of a worker; the same object as long as the worker is. */
export function workerRow(seen: SeenWorker): WorkerRow {
  const known = rows.get(seen);
  if (known !== undefined) return known;
  const row = makeRow(seen);
  rows.set(seen, row);
  return row;
}

/** Where a worker comes when trouble comes first. */
export function troubleRank(state: StateWord, marks: readonly Mark[]): number {
  if (state === "lost") return 0;
  if (marks.includes("conflict") || marks.includes("takes nothing")) return 1;
  return 2 + STATE_WORDS.indexOf(state);
}

/** Whether the slots of this row are capacity. */
export function isCapacity(row: Pick<WorkerRow, "state">): boolean {
  return row.state === "ready";
}

function makeRow(seen: SeenWorker): WorkerRow {
  const { view, key } = seen;
  const heartbeat = view.heartbeat;
  const state = WORDS[heartbeat?.state ?? WorkerState.UNSPECIFIED] ?? "unknown";
  const marks = marksOf(seen);
  const ids = (heartbeat?.runningJobs ?? []).slice(0, RUNNING_SHOWN).map((id) => plainText(id, 40));
  const more = heartbeat?.runningTruncated === true || (heartbeat?.runningJobs.length ?? 0) > RUNNING_SHOWN;
  return {
    key,
    pool: plainText(heartbeat?.pool ?? ""),
    worker: plainText(heartbeat?.worker ?? ""),
    state,
    marks,
    slots: heartbeat?.slots ?? 0,
    busy: heartbeat?.busy ?? 0,
    jobsDone: Number(heartbeat?.jobsDone ?? 0n),
    jobsFailed: Number(heartbeat?.jobsFailed ?? 0n),
    loopLagMs: heartbeat?.loopLagMs ?? 0,
    clockOffsetMs: view.clockOffsetMs,
    host: plainText(heartbeat?.host ?? ""),
    version: plainText(heartbeat?.version ?? "", 40),
    running: ids.join(" ") + (more ? " …" : ""),
    rank: troubleRank(state, marks),
    seen,
  };
}

function marksOf({ view }: SeenWorker): Mark[] {
  const marks: Mark[] = [];
  if (view.conflict) marks.push("conflict");
  if (view.unhealthy) marks.push("takes nothing");
  if (view.lagging) marks.push("lagging");
  if ((view.heartbeat?.stuck ?? 0) > 0) marks.push("stuck");
  if (Math.abs(view.clockOffsetMs) > CLOCK_OFF_MS) marks.push("clock off");
  return marks;
}
