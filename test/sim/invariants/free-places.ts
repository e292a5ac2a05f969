/** A limit holds nobody back beside a free place. */
import type { Invariant } from "./invariant.js";
import { type Gate, gatesOf, isRunning } from "./lane-limits.js";
import type { HandlerRun, RunView } from "./run-view.js";
import { changesOf, idleSlots, isDisturbed, mayHide } from "./waiting.js";

/** How long a job may wait where nothing was ever wrong, milliseconds. */
const WAIT_LIMIT_MS = 500;
/** The same after a fault: leaves that nobody gave back are looked for every 5 s. */
const FOUND_LIMIT_MS = 6_000;
/** Starts are counted in slices, and clocks drift: a window may seem so much longer. */
const WINDOW_TOLERANCE = 0.1;

/** Who may start, starts. */
const freePlaceIsUsed: Invariant = {
  name: "free-place-is-used",
  promise:
    "While nothing is wrong, no stored job waits longer than 500 ms beside an idle slot and a free place of its limits; after a fault no longer than 6 s.",
  check: (view) => {
    const gates = gatesOf(view);
    if (gates.length === 0) return [];
    let sinceMs: number | undefined;
    for (const atMs of instants(view, gates)) {
      const limitMs = view.faultsDuring(0, atMs).some(mayHide) ? FOUND_LIMIT_MS : WAIT_LIMIT_MS;
      if (sinceMs !== undefined && atMs - sinceMs > limitMs) {
        const ids = waiting(view, gates, sinceMs).join(", ");
        return [{ atMs: sinceMs, what: `${ids} waits ${Math.round(atMs - sinceMs)} ms beside a free place` }];
      }
      if (waiting(view, gates, atMs).length === 0) sinceMs = undefined;
      else sinceMs ??= atMs;
    }
    return [];
  },
};

/** Jobs that could run at a time, and have never begun. */
function waiting(view: RunView, gates: readonly Gate[], atMs: number): string[] {
  if (isDisturbed(view, atMs, atMs) || idleSlots(view, atMs) <= 0) return [];
  return view.storedJobs
    .filter((job) => {
      const mine = gates.filter(({ isFor }) => isFor(job.number));
      if (job.atMs > atMs || mine.length === 0) return false;
      if (view.runs.some(({ id, startMs }) => id === job.id && startMs <= atMs)) return false;
      if (view.storedOutcomes.some((each) => each.id === job.id && each.atMs <= atMs)) return false;
      return mine.every((gate) => hasPlace(view, gate, atMs));
    })
    .map(({ id }) => id);
}

function hasPlace(view: RunView, { token, limit, isFor }: Gate, atMs: number): boolean {
  const { running = Number.POSITIVE_INFINITY, starts = Number.POSITIVE_INFINITY } = limit;
  const stored = new Set(view.storedJobs.map(({ id }) => id));
  // Jobs of batches have no key, and count for the pool.
  const counts = (run: HandlerRun): boolean => (token === "pool" ? stored.has(run.id) : isFor(run.number));
  const ids = new Set(view.runs.filter((run) => counts(run) && isRunning(view, run, atMs)).map(({ id }) => id));
  const fromMs = atMs - windowMs(limit);
  const given = view.records.filter((each) => each.token === token && each.atMs > fromMs && each.atMs <= atMs);
  return ids.size < running && given.reduce((sum, { leaves }) => sum + leaves.length, 0) < starts;
}

/** The times at which something changes, in their order. */
function instants(view: RunView, gates: readonly Gate[]): number[] {
  const times = changesOf(view);
  for (const { atMs } of [...view.storedJobs, ...view.storedOutcomes]) times.add(atMs);
  for (const { atMs, token } of view.records) {
    for (const gate of gates) if (gate.token === token) times.add(atMs + windowMs(gate.limit));
  }
  times.add(view.endMs);
  times.delete(Number.POSITIVE_INFINITY);
  return [...times].filter((atMs) => atMs <= view.endMs).sort((a, b) => a - b);
}

function windowMs({ starts, perMs = 1_000 }: Gate["limit"]): number {
  return starts === undefined ? 0 : perMs * (1 + WINDOW_TOLERANCE);
}

export const freePlaceInvariants: readonly Invariant[] = [freePlaceIsUsed];
