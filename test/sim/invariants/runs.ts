/** What handlers do. */
import type { Invariant } from "./invariants.js";
import type { HandlerRun, RunView, Submission } from "./run-view.js";

/** How late a start may be, milliseconds after the caller's deadline: what a message takes on a good link, and a tolerance. */
const START_TOLERANCE_MS = 300;

/** Counted by runs: what a manager has heard of them does not matter. */
const runsOnce: Invariant = {
  name: "runs-once",
  promise: "A job that is not idempotent is started at most once.",
  check: (view) =>
    [...groupBy(view.runs, (run) => `${run.number} ${run.id}`).values()].flatMap((runs) => {
      const [{ number, id }] = runs as [HandlerRun];
      const submissions = view.submissions.filter(({ job }) => job.number === number && (job.id ?? id) === id);
      const [first] = submissions;
      if (first === undefined || first.job.idempotent === true) return [];
      const tooMany = runs[1 + newTries(submissions)];
      if (tooMany === undefined) return [];
      const where = runs.map(({ worker, attempt }) => `${worker} attempt ${attempt}`).join(", ");
      return [{ atMs: tooMany.startMs, what: `payload ${number} ran ${runs.length} times: ${where}` }];
    }),
};

/** A caller that submits again after an error wants another try. */
function newTries(submissions: readonly Submission[]): number {
  return submissions.filter((each, i) =>
    submissions.slice(0, i).some((before) => before.outcomes.some(({ ok, atMs }) => !ok && atMs <= each.atMs)),
  ).length;
}

/**
 * Whether nobody could measure how late a submission arrived: a manager takes the
 * quickest message of a caller for its measure, and all that this caller has sent
 * until then was delayed.
 */
function isWithoutMeasure(view: RunView, { caller, atMs }: Submission): boolean {
  const delays = view
    .faultsDuring(atMs, atMs)
    .filter((step) => (step.do === "delay" || step.do === "slow" || step.do === "hold") && step.process === caller);
  return delays.some((step) => !view.submissions.some((each) => each.caller === caller && each.atMs < step.atMs));
}

/** Nobody waits for it any more. */
const startsInTime: Invariant = {
  name: "starts-before-its-deadline",
  promise:
    "No handler of ours starts after its caller's deadline, unless all messages of that caller were delayed from the first on.",
  check: (view) => {
    const callers = groupBy(view.submissions, ({ job }) => job.number);
    return view.runs.flatMap(({ number, startMs, worker }) => {
      if (!view.isOurs(worker)) return [];
      const submissions = callers.get(number) ?? [];
      if (submissions.some((each) => isWithoutMeasure(view, each))) return [];
      const deadlineMs = Math.max(...submissions.map((each) => each.deadlineMs));
      const lateMs = startMs - deadlineMs;
      if (!(lateMs > START_TOLERANCE_MS)) return [];
      return [
        { atMs: startMs, what: `payload ${number} starts at ${worker} ${Math.round(lateMs)} ms after its deadline` },
      ];
    });
  },
};

/** Slots bound what runs at once. */
const withinSlots: Invariant = {
  name: "within-slots",
  promise: "A worker never runs more handlers at once than it has slots.",
  check: (view) =>
    view.lives.flatMap(({ process, slots, actor }) => {
      if (slots === 0) return [];
      const runs = view.runs.filter((run) => run.process === process);
      const over = runs.find(({ startMs }) => runningAt(runs, startMs) > slots);
      if (over === undefined) return [];
      return [
        { atMs: over.startMs, what: `${actor} runs ${runningAt(runs, over.startMs)} handlers in ${slots} slots` },
      ];
    }),
};

function runningAt(runs: readonly HandlerRun[], atMs: number): number {
  return runs.filter(({ startMs, endMs }) => startMs <= atMs && endMs > atMs).length;
}

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

export const runInvariants: readonly Invariant[] = [runsOnce, startsInTime, withinSlots];
