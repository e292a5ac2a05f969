/** How long jobs wait, and what is left when all is over. */
import { endOf } from "../plan.js";
import type { Found, Invariant } from "./invariant.js";
import type { FaultStep, RunView, Submission } from "./run-view.js";

/** How long a job may wait beside an idle slot, milliseconds. */
const IDLE_WAIT_LIMIT_MS = 200;
/** A worker's slots count so long after its start, milliseconds. */
const WARM_UP_MS = 1_200;
/** The mesh may take so long to recover from a fault, milliseconds. */
const RECOVERY_MS = 6_000;
/** A result may take so long from its worker to its caller, milliseconds. */
const RESULT_LIMIT_MS = 300;

/** Nothing is left over. */
const cleanAtRest: Invariant = {
  name: "clean-at-rest",
  promise: "When all is over nobody holds a slot, a job or an offer.",
  check: (view) => (waitsForWorkers(view) ? [] : view.unclean.map((what) => ({ atMs: view.endMs, what }))),
};

/** Stored jobs wait for ever where no worker lives. */
function waitsForWorkers(view: RunView): boolean {
  const isAlive = view.lives.some(({ slots, diedMs }) => slots > 0 && diedMs === Number.POSITIVE_INFINITY);
  return !isAlive && (view.streams?.live.length ?? 0) > 0;
}

/** A place costs memory, and an answer that comes to it later is taken for another. */
const nothingAwaited: Invariant = {
  name: "nothing-awaited-at-rest",
  promise: "When all is over nobody keeps a place for an answer.",
  check: (view) => view.awaited.map((what) => ({ atMs: view.endMs, what })),
};

/** The first rule of dispatch. */
const noIdleWait: Invariant = {
  name: "no-job-waits-beside-an-idle-slot",
  promise: "While nothing is wrong, no job waits longer than 200 ms while a slot is idle.",
  check: (view) => {
    const found: Found[] = [];
    let idleSinceMs: number | undefined;
    for (const atMs of instants(view)) {
      if (idleSinceMs !== undefined && atMs - idleSinceMs > IDLE_WAIT_LIMIT_MS) {
        found.push({ atMs: idleSinceMs, what: `a job waits ${Math.round(atMs - idleSinceMs)} ms beside an idle slot` });
        idleSinceMs = undefined;
      }
      if (!waitsBesideIdleSlot(view, atMs)) idleSinceMs = undefined;
      else idleSinceMs ??= atMs;
    }
    return found.slice(0, 1);
  },
};

/** The times at which something changes, in their order. */
function instants(view: RunView): number[] {
  return [...changesOf(view)].sort((a, b) => a - b);
}

/** The times at which a job, a worker or a fault begins or ends. */
export function changesOf(view: RunView): Set<number> {
  const times = new Set<number>();
  for (const { atMs, outcomes } of view.submissions) {
    times.add(atMs);
    for (const outcome of outcomes) times.add(outcome.atMs);
  }
  for (const { startMs, endMs } of view.runs) times.add(startMs).add(endMs);
  for (const { bornMs, diedMs } of view.lives) times.add(bornMs + WARM_UP_MS).add(diedMs);
  for (const step of view.faults) times.add(step.atMs).add(endOf(step) + RECOVERY_MS);
  times.delete(Number.POSITIVE_INFINITY);
  return times;
}

function waitsBesideIdleSlot(view: RunView, atMs: number): boolean {
  return (
    !isDisturbed(view, atMs, atMs) &&
    !view.submissions.some((each) => isOfferOfFirstMoment(view, each, atMs)) &&
    !view.submissions.some((each) => isAtBareWorker(view, each, atMs)) &&
    idleSlots(view, atMs) > 0 &&
    view.submissions.some((each) => waits(view, each, atMs))
  );
}

/** Slots of living workers that run nothing, true time. */
export function idleSlots(view: RunView, atMs: number): number {
  const lives = view.lives.filter((life) => life.bornMs + WARM_UP_MS <= atMs && life.diedMs > atMs);
  const slots = lives.reduce((sum, life) => sum + life.slots, 0);
  return slots - view.runs.filter((run) => run.startMs <= atMs && run.endMs > atMs).length;
}

/** Where no worker sends heartbeats an offer is not missed when its worker dies (docs/faults.md). */
function isOfferOfFirstMoment(view: RunView, each: Submission, atMs: number): boolean {
  if (view.bareWorkers.size < view.plan.workers.length) return false;
  const managers = new Set(view.plan.managers.map(({ name }) => name));
  const isFirstMoment = view.lives.some(
    ({ actor, bornMs }) => managers.has(actor) && bornMs <= each.atMs && each.atMs <= bornMs + WARM_UP_MS,
  );
  const mayHaveDied = view.lives.some(({ slots, diedMs }) => slots > 0 && diedMs >= each.atMs && diedMs <= atMs);
  return isFirstMoment && mayHaveDied && waits(view, each, atMs);
}

/**
 * Where heartbeats are heard, an answer without headers decides nothing: the slot that an offer was meant for counts as
 * taken until the offer is given up (docs/faults.md).
 */
function isAtBareWorker(view: RunView, { job, outcomes }: Submission, atMs: number): boolean {
  const bare = view.bareWorkers;
  if (bare.size === view.plan.workers.length || outcomes.some((outcome) => outcome.atMs <= atMs)) return false;
  return view.runs.some((run) => run.number === job.number && run.startMs <= atMs && bare.has(run.worker));
}

/** Whether a submission has been made, has not begun and has not ended. */
function waits(view: RunView, each: Submission, atMs: number): boolean {
  if (each.atMs > atMs || each.deadlineMs <= atMs || view.namesakes(each).length > 1) return false;
  if (each.outcomes.some((outcome) => outcome.atMs <= atMs)) return false;
  if (view.diedMs(each.process) <= atMs) return false;
  return !view.runs.some((run) => run.number === each.job.number && run.startMs <= atMs);
}

/** Whether a fault, or a handler that blocks its worker, may still be felt. A wall clock that is off disturbs nobody. */
export function isDisturbed(view: RunView, fromMs: number, toMs: number): boolean {
  if (view.faultsDuring(fromMs, toMs, RECOVERY_MS).some(mayHide)) return true;
  return [...view.submissions, ...view.enqueued].some(({ job, atMs }) => (job.blockMs ?? 0) > 0 && atMs <= toMs);
}

/** Whether a fault may keep a result from its caller for a while. */
export function mayHide({ do: what }: FaultStep): boolean {
  return what !== "set-clock";
}

/** What has been computed in time is heard. */
const resultsArrive: Invariant = {
  name: "results-arrive",
  promise:
    "A result of a worker of ours that is there well before the deadline is the outcome, once all faults are over and if nobody died.",
  check: (view) =>
    view.submissions.flatMap((each) => {
      const [outcome] = each.outcomes;
      if (outcome === undefined || outcome.ok || outcome.reason !== "deadline_exceeded") return [];
      const isLost = view.lives.some(({ diedMs }) => diedMs <= outcome.atMs);
      if (isLost || view.faultsDuring(outcome.atMs, outcome.atMs, RECOVERY_MS).some(mayHide)) return [];
      const run = view.runs.find(
        ({ id, number, endMs, worker }) =>
          id === outcome.id &&
          number === each.job.number &&
          view.isOurs(worker) &&
          endMs + view.silentMs(worker, endMs, outcome.atMs) < view.earliestDeadlineMs(each) - RESULT_LIMIT_MS,
      );
      if (run === undefined || each.job.throws === true) return [];
      return [{ atMs: outcome.atMs, what: `submission ${each.submission} never hears the result of run ${run.run}` }];
    }),
};

export const waitInvariants: readonly Invariant[] = [cleanAtRest, nothingAwaited, noIdleWait, resultsArrive];
