/** What the failover of a client asks of its link. */
import type { PoolError } from "../mesh/errors.js";
import type { Submission } from "./submission.js";

export interface FailoverPorts {
  /**
   * Gives the job to a manager: whichever the broker picks, or one that is awake
   * when an earlier one said nothing. Says whether it left, or the error of what cannot leave.
   */
  give(submission: Submission): boolean | PoolError;
  /** Asks one manager for a job that it took. Says whether the question left. */
  askAgain(submission: Submission): boolean;
  /**
   * Whether what left at this time, monotonic milliseconds, has reached the broker, and what others had said by then has
   * come; look again when it is not so.
   */
  hasArrived(sentAtMs: number): boolean;
  /** Looks for managers that are awake. */
  callRoll(): void;
  /** Asks every manager whether it has these jobs. */
  askAll(submissions: readonly Submission[]): void;
  /** Its earlier attempts are not wanted any more, and answers to them are not heard. @param upToAttempt the last of them */
  revoke(submission: Submission, upToAttempt: number): void;
  /** Nobody waits for it any more: no attempt is wanted. */
  abandon(submission: Submission): void;
  /** The first or the last live job is at a manager: it is to be watched, or not any more. */
  watch(manager: string, watched: boolean): void;
  /** No answer is waited for any more. */
  forget(submission: Submission): void;
}
