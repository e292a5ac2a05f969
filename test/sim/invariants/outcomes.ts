/** What callers hear. */

import { ATTEMPTS_PER_MANAGER, attemptCount } from "../../../mesh/job/job.js";
import { mayComeAfter } from "../../support/core/attempt-numbers.js";
import type { Found, Invariant } from "./invariant.js";
import type { FaultStep, HandlerRun, RunView, Submission } from "./run-view.js";

/** How late an outcome may be, milliseconds after the deadline. */
const LATE_LIMIT_MS = 1_000;

/** One outcome each. A caller that was killed hears nothing, and that is nobody's fault. */
const oneOutcome: Invariant = {
  name: "one-outcome",
  promise: "Every submission has exactly one outcome at its living caller, at most 1 s after its deadline.",
  check: (view) => view.submissions.flatMap((each) => outcomeCount(view, each)),
};

function outcomeCount(view: RunView, each: Submission): Found[] {
  const { submission, outcomes, deadlineMs, caller, process, atMs } = each;
  const [first, second] = outcomes;
  if (second !== undefined) {
    return [{ atMs: second.atMs, what: `submission ${submission} has ${outcomes.length} outcomes` }];
  }
  if (first === undefined) {
    if (view.diedMs(process) < Number.POSITIVE_INFINITY) return [];
    return [{ atMs: deadlineMs + LATE_LIMIT_MS, what: `submission ${submission} has no outcome` }];
  }
  const lateMs = first.atMs - deadlineMs - view.silentMs(caller, atMs, first.atMs);
  if (lateMs <= LATE_LIMIT_MS) return [];
  return [{ atMs: first.atMs, what: `submission ${submission} ended ${Math.round(lateMs)} ms after its deadline` }];
}

/** A result is what a handler made: no acknowledgement, no answer of a stranger. */
const resultsOfHandlers: Invariant = {
  name: "results-come-from-handlers",
  promise:
    "A result was made by a handler of the mesh at the worker that the outcome names, in the attempt that it names, or in an earlier one of that job that answers for it.",
  check: (view) =>
    view.submissions.flatMap(({ submission, outcomes }) =>
      outcomes.flatMap(({ ok, ran, worker, attempt, atMs }) => {
        if (!ok) return [];
        if (ran === undefined)
          return [{ atMs, what: `submission ${submission} is ok, and no handler made its result` }];
        const run = view.runs.find((each) => each.run === ran.run);
        // a bare worker says neither who it is nor which attempt it ran
        const isTrue =
          run !== undefined && (worker === "" || (run.worker === worker && answersFor(view, run, attempt, atMs)));
        if (isTrue) return [];
        return [{ atMs, what: `submission ${submission} names ${worker} attempt ${attempt}, which did not make it` }];
      }),
    ),
};

/** Whether a run is that of an attempt, or that of an earlier one of its job and the later one had not run there when it was heard. */
function answersFor(
  view: RunView,
  { id, worker, attempt: ran }: HandlerRun,
  attempt: number,
  heardMs: number,
): boolean {
  const made = attemptCount(ran);
  if (made === attempt) return true;
  const others = view.runs.filter((run) => run.id === id && run.worker === worker && run.startMs <= heardMs);
  // A number of a second manager has the count of one of the first, of whom the caller has taken the job.
  const hasMoved = view.revocations.some(({ id: of, upTo }) => of === id && upTo % ATTEMPTS_PER_MANAGER === 0);
  const rivals = hasMoved ? others.filter((run) => run.attempt > ran) : others;
  return mayComeAfter(attempt, ran) && !rivals.some((run) => attemptCount(run.attempt) === attempt);
}

/** Nobody hears of other work than its own. */
const ownResult: Invariant = {
  name: "own-result",
  promise: "The result of a submission was computed from its own payload.",
  check: (view) =>
    view.submissions.flatMap(({ submission, outcomes, job }) =>
      outcomes
        .filter(({ ran }) => ran !== undefined && ran.number !== job.number)
        .map(({ ran, atMs }) => ({
          atMs,
          what: `submission ${submission} has payload ${job.number} and heard the result of payload ${ran?.number}`,
        })),
    ),
};

/** What was taken back stays so. */
const noRevokedAttempt: Invariant = {
  name: "no-revoked-attempt",
  promise:
    "The result of an attempt that was revoked before it ended never becomes the outcome, unless its caller revoked it and no other began.",
  check: (view) =>
    view.submissions.flatMap((each) => {
      const [outcome] = each.outcomes;
      // attempts of one id are told apart by nothing else when two callers use it
      if (outcome?.ok !== true || view.namesakes(each).length > 1) return [];
      const { id, atMs } = outcome;
      const made = view.runs.find((run) => run.run === outcome.ran?.run);
      // an earlier attempt answers for a later one, or nobody says which attempt it was
      if (made === undefined || attemptCount(made.attempt) !== outcome.attempt) return [];
      const { attempt, endMs = atMs } = made;
      const isOnly = !view.runs.some((run) => run.id === id && run.attempt > attempt);
      const revoked = view.revocations.some(
        (revocation) =>
          revocation.id === id &&
          revocation.upTo >= attempt &&
          revocation.atMs < Math.min(atMs, endMs) &&
          // the word of a caller may come when the only result is there: to drop it would run the job twice
          !(isOnly && revocation.upTo % ATTEMPTS_PER_MANAGER === 0),
      );
      return revoked
        ? [{ atMs, what: `submission ${each.submission} ended with attempt ${attempt}, revoked before` }]
        : [];
    }),
};

/** Silence is no answer, least of all to a mistake. */
const nonsenseAnswered: Invariant = {
  name: "nonsense-is-answered",
  promise:
    "A submission that makes no sense is answered invalid_argument, unless somebody or a message on its way was lost.",
  check: (view) => {
    const died = view.lives.some(({ diedMs }) => diedMs < Number.POSITIVE_INFINITY);
    if (died || view.plan.managers.length === 0 || view.faults.some(mayLose)) return [];
    return [...view.questions].flatMap(([question, { atMs, reason }]) => {
      if (reason === "invalid_argument") return [];
      return [{ atMs, what: `question ${question} hears ${reason ?? "nothing"}` }];
    });
  },
};

/** Whether a fault may lose a message, or delay it until its stranger has left. */
function mayLose({ do: what }: FaultStep): boolean {
  return !["pause", "block", "set-clock", "stranger"].includes(what);
}

export const outcomeInvariants: readonly Invariant[] = [
  nonsenseAnswered,
  oneOutcome,
  resultsOfHandlers,
  ownResult,
  noRevokedAttempt,
];
