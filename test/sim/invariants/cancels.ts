/** What becomes of a job that its caller cancels. */
import type { Invariant } from "./invariant.js";
import type { Cancel, RunView, Submission } from "./run-view.js";

/** How late a caller may hear, milliseconds after the job's deadline. */
const LATE_LIMIT_MS = 1_000;
/** A caller that cancels a job that is not its own any more hears within this, milliseconds. */
const UNKNOWN_LIMIT_MS = 7_000;
/** A handler may go on for so long after its job was canceled and the last fault has ended, milliseconds. */
const RECOVERY_MS = 6_000;

/** Silence would leave it open whether the job goes on. */
const cancelsAreSettled: Invariant = {
  name: "cancels-are-settled",
  promise: "Who cancels a job hears whether the cancel was heard, at most 1 s after the job's deadline.",
  check: (view) =>
    view.cancels.flatMap((cancel) => {
      const { caller, process, id, atMs, settledMs } = cancel;
      const deadlineMs = submissionOf(view, cancel)?.deadlineMs ?? atMs;
      const limitMs = Math.max(deadlineMs + LATE_LIMIT_MS, atMs + UNKNOWN_LIMIT_MS);
      const lateMs = (settledMs ?? view.endMs) - limitMs - view.silentMs(caller, atMs, settledMs ?? view.endMs);
      if (lateMs <= 0 || view.diedMs(process) < Number.POSITIVE_INFINITY) return [];
      return [{ atMs: limitMs, what: `${caller} hears nothing of its cancel of ${id}` }];
    }),
};

/** A cancel that was lost would let it run on. */
const canceledJobsStop: Invariant = {
  name: "canceled-jobs-stop",
  promise:
    "A handler of ours whose caller canceled the job, and lives, ends within 6 s, or within 6 s of the last fault.",
  check: (view) =>
    view.cancels.flatMap((cancel) => {
      const submission = submissionOf(view, cancel);
      // Others may wait for a job whose id was chosen.
      if (submission === undefined || submission.job.id !== undefined) return [];
      if (view.diedMs(cancel.process) < Number.POSITIVE_INFINITY) return [];
      const runs = view.runs.filter(
        ({ id, worker, process }) =>
          id === cancel.id && view.isOurs(worker) && view.diedMs(process) === Number.POSITIVE_INFINITY,
      );
      return runs
        .filter(({ startMs, endMs }) => {
          const fromMs = Math.max(cancel.atMs, startMs) + RECOVERY_MS;
          return endMs > fromMs && view.faultsDuring(fromMs - RECOVERY_MS, endMs, RECOVERY_MS).length === 0;
        })
        .map(({ run, endMs }) => ({ atMs: endMs, what: `run ${run} goes on after its caller canceled the job` }));
    }),
};

function submissionOf(view: RunView, { process, id }: Cancel): Submission | undefined {
  return view.submissions.find(
    (each) => each.process === process && (each.job.id === id || each.outcomes.some((outcome) => outcome.id === id)),
  );
}

export const cancelInvariants: readonly Invariant[] = [cancelsAreSettled, canceledJobsStop];
