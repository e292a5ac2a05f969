/** Which errors callers may hear, and why. */
import { isReason } from "../../../mesh/errors.js";
import type { HeardOutcome } from "../history.js";
import type { Found, Invariant } from "./invariant.js";
import type { FaultStep, RunView, Submission } from "./run-view.js";

/** A process that could not be heard for so long may be taken for dead, milliseconds. */
const SILENCE_MS = 550;
/** A worker that is silent for this long is LOST, milliseconds. */
const THREE_INTERVALS_MS = 2_500;
/** The mesh may take so long to recover from a fault, milliseconds. */
const RECOVERY_MS = 6_000;
/** A fault explains errors for so long after its end, milliseconds. */
const AFTERMATH_MS = 12_000;
/** Clocks drift, and timers count whole milliseconds. */
const EARLY_TOLERANCE_MS = 20;

type Outcome = HeardOutcome & { readonly atMs: number };

/** Deadlines are the caller's. */
const deadlinesNotEarly: Invariant = {
  name: "deadlines-are-not-early",
  promise: "Nobody hears deadline_exceeded before the deadline, whatever the wall clocks say.",
  check: (view) =>
    eachError(view, "deadline_exceeded", (each, { atMs }) => {
      const earlyMs = view.earliestDeadlineMs(each) - atMs;
      if (earlyMs <= EARLY_TOLERANCE_MS) return [];
      return [
        { atMs, what: `submission ${each.submission} hears deadline_exceeded ${Math.round(earlyMs)} ms too early` },
      ];
    }),
};

/** Absence is not death. */
const liveWorkersKeepJobs: Invariant = {
  name: "live-workers-keep-their-jobs",
  promise: "worker_lost is said only of a worker that died, left, or could not be heard for more than half a second.",
  check: (view) =>
    eachError(view, "worker_lost", (each, { worker, atMs }) => {
      const runners = view.runs.filter((run) => run.number === each.job.number).map((run) => run.worker);
      // Nobody is named when no worker said whether it had begun the job: each may have been.
      const named = worker === "" ? view.plan.workers.map(({ name }) => name) : [worker];
      const suspects = new Set([...runners, ...named]);
      if ([...suspects].some((suspect) => mayBeLost(view, suspect, each.atMs, atMs))) return [];
      if (isBehindStoppedBroker(view, each.atMs, atMs)) return [];
      if ([...suspects].some((suspect) => view.mayBeStranded(suspect, each.atMs, atMs))) return [];
      const who = [...suspects].join(", ") || "somebody";
      return [{ atMs, what: `submission ${each.submission} hears that ${who} is lost, and it lives` }];
    }),
};

function mayBeLost(view: RunView, worker: string, fromMs: number, toMs: number): boolean {
  const died = view.lives.some(
    ({ actor, diedMs }) => actor === worker && diedMs <= toMs && diedMs >= fromMs - RECOVERY_MS,
  );
  const silentMs = view.silentMs(worker, fromMs - RECOVERY_MS, toMs);
  // Whose link was down, or whose broker has ended, cannot connect while the broker stands still.
  const hasMoved = silentMs > 0 || view.faultsDuring(fromMs, toMs).some(({ do: what }) => what === "kill-broker");
  const awayMs = hasMoved ? silentMs + view.brokerStoppedMs(fromMs - RECOVERY_MS, toMs) : 0;
  return died || awayMs >= SILENCE_MS || saysItLeaves(view, worker, toMs);
}

/**
 * Whether a worker was told to leave, and has not left yet. A foreign one says at once that it has stopped, and its last results come after
 * that on a slow link. One of ours answers no questions any more while it leaves, which takes long on a delayed link.
 */
function saysItLeaves(view: RunView, worker: string, atMs: number): boolean {
  const isTold = view.plan.steps.some((step) => step.do === "term" && step.process === worker && step.atMs <= atMs);
  return isTold && (!view.isOurs(worker) || view.wayMs(worker, atMs) > 0);
}

/** In a cluster one broker may stand still with a worker behind it: nobody hears the worker for three of its intervals. */
function isBehindStoppedBroker(view: RunView, fromMs: number, toMs: number): boolean {
  return (
    view.plan.brokers > 1 &&
    view
      .faultsDuring(fromMs, toMs, AFTERMATH_MS)
      .some((step) => step.do === "pause-broker" && step.forMs >= THREE_INTERVALS_MS)
  );
}

/** Neither is a manager's. */
const liveManagersKeepJobs: Invariant = {
  name: "live-managers-keep-their-jobs",
  promise:
    "A caller gives up a job that runs only when a manager died, left, or could not be heard for more than half a second.",
  check: (view) =>
    eachError(view, "bus_unavailable", (each, { atMs, message }) => {
      // A caller that is not connected hears so at once: it has given nothing to a manager.
      if (atMs === each.atMs) return [];
      const runs = view.runs.filter((run) => run.number === each.job.number && run.endMs >= each.atMs);
      if (!runs.some(({ startMs }) => startMs <= atMs)) return [];
      const suspects = [...view.plan.managers.map(({ name }) => name), each.caller];
      if (suspects.some((suspect) => mayBeLost(view, suspect, each.atMs, atMs))) return [];
      return [{ atMs, what: `submission ${each.submission} is given up, and its manager lives: ${message}` }];
    }),
};

/** Each reason with what explains it; a reason that is missing is never heard by a correct caller. */
const CAUSES: Readonly<Record<string, (view: RunView, each: Submission, heard: Outcome) => boolean>> = {
  deadline_exceeded: () => true,
  worker_lost: () => true,
  job_failed: (_, each) => each.job.throws === true,
  canceled: (view, each) => isCanceled(view, each) || view.faults.some(isLeaving),
  draining: (view, each, { atMs }) => hadFault(view, each, atMs, isLeaving),
  duplicate_job: (view, each) => view.namesakes(each).length > 1,
  no_workers: (view, each, { atMs }) => each.job.wait === false || hadFault(view, each, atMs, isOutage),
  unknown_pool: (view, each, { atMs }) => each.job.wait === false || hadFault(view, each, atMs, isOutage),
  pool_full: (view, each, { atMs }) => each.job.wait === false || hadFault(view, each, atMs, isOutage),
  bus_unavailable: (view, each, { atMs }) => hadFault(view, each, atMs, isOutage),
};

function isCanceled(view: RunView, each: Submission): boolean {
  const numbers = new Set(view.namesakes(each).map(({ job }) => job.number));
  return view.plan.steps.some((step) => step.do === "cancel" && numbers.has(step.number));
}

function hadFault(view: RunView, each: Submission, atMs: number, counts: (step: FaultStep) => boolean): boolean {
  return view.faultsDuring(each.atMs, atMs, AFTERMATH_MS).some(counts);
}

/** Whether somebody is told to end. */
function isLeaving({ do: what }: FaultStep): boolean {
  return what === "term" || what === "drain";
}

/** Whether somebody may be out of reach for a while. */
function isOutage({ do: what }: FaultStep): boolean {
  return what !== "set-clock" && what !== "stream" && what !== "stranger";
}

const errorsHaveCauses: Invariant = {
  name: "errors-have-a-cause",
  promise: "Every error is in the catalogue, and something has happened that explains it.",
  check: (view) =>
    view.submissions.flatMap((each) =>
      each.outcomes.flatMap((heard): Found[] => {
        const { ok, reason, atMs, message } = heard;
        if (ok || (isReason(reason) && CAUSES[reason]?.(view, each, heard))) return [];
        return [{ atMs, what: `submission ${each.submission} hears ${reason} without a cause: ${message}` }];
      }),
    ),
};

function eachError(view: RunView, reason: string, check: (each: Submission, heard: Outcome) => Found[]): Found[] {
  return view.submissions.flatMap((each) =>
    each.outcomes.filter((heard) => heard.reason === reason).flatMap((heard) => check(each, heard)),
  );
}

export const errorInvariants: readonly Invariant[] = [
  deadlinesNotEarly,
  liveWorkersKeepJobs,
  liveManagersKeepJobs,
  errorsHaveCauses,
];
