/** Limits of stored jobs: counted by runs at workers, and by what the stream has stored. */
import { keyToken } from "../../../mesh/durable/limits/concurrency-key.js";
import type { Limit } from "../../../mesh/durable/limits/limit.js";
import { limitOfKey } from "../../../mesh/durable/limits/limit.js";
import { PER_FOLLOWER } from "../mesh/handler.js";
import type { Found, Invariant } from "./invariant.js";
import type { HandlerRun, RunView } from "./run-view.js";

/** One limit: its record, and the payload numbers of the jobs that it is for. */
export interface Gate {
  readonly token: string;
  readonly limit: Limit;
  readonly isFor: (number: number) => boolean;
}

/** What clocks that drift may shorten a window by. */
const CLOCK_TOLERANCE = 0.01;

const withinRunning: Invariant = {
  name: "within-running-limit",
  promise: "Never more stored jobs of a limit run at once than it says; a run that was given up does not count.",
  check: (view) =>
    gatesOf(view).flatMap(({ token, limit, isFor }): Found[] => {
      if (limit.running === undefined) return [];
      const runs = view.runs.filter(({ number }) => isFor(number));
      for (const { startMs } of runs) {
        const ids = new Set(runs.filter((run) => isRunning(view, run, startMs)).map(({ id }) => id));
        if (ids.size <= limit.running) continue;
        const what = `${ids.size} jobs of ${token} run at once, ${limit.running} may: ${[...ids].join(", ")}`;
        return [{ atMs: startMs, what }];
      }
      return [];
    }),
};

const withinStarts: Invariant = {
  name: "within-starts-limit",
  promise: "Never more jobs of a limit get leave to start in any window than it says, by the time of the broker.",
  check: (view) =>
    gatesOf(view).flatMap(({ token, limit }): Found[] => {
      const { starts, perMs = 1_000 } = limit;
      if (starts === undefined) return [];
      const given = view.records
        .filter((each) => each.token === token)
        .flatMap(({ leaves, atMs }) => leaves.map(() => atMs));
      const over = given.findIndex(
        (atMs, i) => atMs - (given[i - starts] ?? Number.NEGATIVE_INFINITY) < perMs * (1 - CLOCK_TOLERANCE),
      );
      if (over < 0) return [];
      return [{ atMs: given[over] ?? 0, what: `${starts + 1} starts of ${token} within ${perMs} ms, ${starts} may` }];
    }),
};

const leaveBeforeRun: Invariant = {
  name: "leave-before-run",
  promise: "No stored job of a limit runs before the stream has stored its leave.",
  check: (view) =>
    gatesOf(view).flatMap(({ token, isFor }) => {
      const leaves = new Map<number, number>();
      for (const each of view.records) {
        if (each.token !== token) continue;
        for (const sequence of each.leaves) if (!leaves.has(sequence)) leaves.set(sequence, each.atMs);
      }
      return view.runs.flatMap(({ id, number, startMs }): Found[] => {
        if (!isFor(number)) return [];
        // A caller in doubt may have stored it again since.
        const stored = view.storedJobs.findLast((job) => job.id === id && job.atMs <= startMs);
        const givenMs = leaves.get(stored?.sequence ?? 0) ?? Number.POSITIVE_INFINITY;
        return givenMs <= startMs ? [] : [{ atMs: startMs, what: `job ${id} runs without leave of ${token}` }];
      });
    }),
};

/** The limits, if all were set before the first job came, and none was lost with the power of a machine. */
export function gatesOf(view: RunView): Gate[] {
  if (view.losesPower) return [];
  const { limits: wanted = [] } = view.plan;
  const last = view.limits.at(-1);
  const firstMs = view.storedJobs[0]?.atMs ?? Number.POSITIVE_INFINITY;
  if (wanted.length === 0 || last === undefined || last.limits.length < wanted.length || last.atMs > firstMs) return [];
  const limits = new Map(last.limits.map((limit) => [limit.target, limit]));
  const keys = new Map(view.enqueued.map(({ job }) => [job.number, job.key]));
  const gates: Gate[] = [];
  for (const key of new Set([...keys.values()].filter((each) => each !== undefined))) {
    const limit = limitOfKey(limits, key);
    const isFor = (number: number): boolean => keys.get(number % PER_FOLLOWER) === key;
    if (limit !== undefined) gates.push({ token: keyToken(key), limit, isFor });
  }
  const pool = limits.get("pool");
  if (pool !== undefined)
    gates.push({ token: "pool", limit: pool, isFor: (number) => keys.has(number % PER_FOLLOWER) });
  return gates;
}

/** Whether a run counts for its limit at a time. */
export function isRunning(view: RunView, run: HandlerRun, atMs: number): boolean {
  if (run.startMs > atMs || run.endMs <= atMs || view.diedMs(run.process) <= atMs) return false;
  const hasEnded = view.storedOutcomes.some(({ id, atMs: endedMs }) => id === run.id && endedMs <= atMs);
  return !hasEnded && !view.wasRevoked(run, atMs);
}

export const limitInvariants: readonly Invariant[] = [withinRunning, withinStarts, leaveBeforeRun];
