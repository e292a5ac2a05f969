/** Where the time of a job went. Pure. */
import { stateText } from "../../../../browser/job-words.js";
import { type JobView, JobViewState } from "../../../../gen/poolmesh/v1/job_pb.js";
import { isLive } from "../../../../mesh/job/job-views.js";

/** A job's way through time. */
export interface Timeline {
  /** In the order of time; shares add up to 1. */
  readonly parts: readonly { readonly kind: "waited" | "ran"; readonly ms: number; readonly share: number }[];
  /** What happened, with the time since the submission. */
  readonly events: readonly { readonly atMs: number; readonly text: string; readonly withWorker: boolean }[];
}

/** A part that is there can be seen. */
const SMALLEST_SHARE = 0.01;

/** What is looked at. */
type Timed = Pick<JobView, "attempt" | "state" | "error" | "waitMs" | "totalMs">;

/** The timeline of a job, up to now where it has not ended. */
export function timelineOf(job: Timed): Timeline {
  const { attempt, state, waitMs, totalMs } = job;
  const submitted = { atMs: 0, text: "submitted", withWorker: false };
  if (attempt === 0 || state === JobViewState.PARKED) {
    const text = isLive(job) ? endOf(job) : `${endOf(job)}; it was never sent to a worker`;
    return {
      parts: [{ kind: "waited", ms: totalMs, share: 1 }],
      events: [submitted, { atMs: totalMs, text, withWorker: false }],
    };
  }
  const waited = Math.min(waitMs, totalMs);
  const share = totalMs > 0 ? waited / totalMs : 0;
  const shown = waited > 0 ? Math.min(1 - SMALLEST_SHARE, Math.max(SMALLEST_SHARE, share)) : 0;
  const parts = [
    { kind: "waited" as const, ms: waited, share: shown },
    { kind: "ran" as const, ms: totalMs - waited, share: 1 - shown },
  ].filter((part) => part.share > 0);
  const sent = attempt === 1 ? "sent to" : `sent as attempt ${attempt} to`;
  return {
    parts,
    events: [
      submitted,
      { atMs: waited, text: sent, withWorker: true },
      { atMs: totalMs, text: endOf(job), withWorker: false },
    ],
  };
}

function endOf(job: Timed): string {
  if (job.state === JobViewState.SUCCEEDED) return "ended with a result";
  if (!isLive(job)) return `ended: ${stateText(job)}`;
  if (job.attempt === 0) return "waits for a slot";
  if (job.state === JobViewState.PARKED) return "waits for a slot again";
  return job.state === JobViewState.SENT ? "not yet accepted" : "running";
}
