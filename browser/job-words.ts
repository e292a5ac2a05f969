/** How the state of a job is said, on the page and in the terminal alike. Pure. */
import { type JobView, JobViewState } from "../gen/poolmesh/v1/job_pb.js";

/** The word of each state. */
export const STATE_WORDS = {
  parked: JobViewState.PARKED,
  sent: JobViewState.SENT,
  running: JobViewState.RUNNING,
  succeeded: JobViewState.SUCCEEDED,
  failed: JobViewState.FAILED,
} as const;
export type StateWord = keyof typeof STATE_WORDS;

/** "" for a state that is not known here. */
export function stateWord(state: JobViewState): StateWord | "" {
  const words = Object.keys(STATE_WORDS) as StateWord[];
  return words.find((word) => STATE_WORDS[word] === state) ?? "";
}

/** The reason of a job that failed, such as "job_failed"; else its state. */
export function stateText({ state, error }: Pick<JobView, "state" | "error">): string {
  return error === undefined ? stateWord(state) : error.reason;
}
