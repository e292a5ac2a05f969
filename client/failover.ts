/**
 * What a client does when managers come and go, so that every job has exactly
 * one outcome. Pure: events in, ports out, time is an argument.
 *
 * The rules rest on one promise of every manager: it says that it takes a job
 * before it sends it to a worker. So a job that no manager took can go to another
 * one, unless the word may have been lost. A job that was taken is asked for
 * again at the manager that has it. Only a job that is `idempotent` is given to
 * another manager once one may have run it.
 */
import { PoolError } from "../mesh/errors.js";
import { ChurnMap, Deadlines } from "../mesh/job/containers.js";
import { ATTEMPTS_PER_MANAGER, type Outcome } from "../mesh/job/job.js";
import type { FailoverPorts } from "./failover-ports.js";
import type { Submission, SubmissionState } from "./submission.js";

/** How often tick() is to be called while submissions are live, in milliseconds. */
export const TICK_MS = 20;
/** How much later than the job's deadline the client itself gives up: the manager speaks first. */
const DEADLINE_SLACK_MS = 250;
/** How long a submission is repeated while no manager listens, and how often, in milliseconds. */
const NO_MANAGER_LIMIT_MS = 2_000;
const NO_MANAGER_RETRY_MS = 100;
/** The longest time until a submission that managers do not take is given to one again, in milliseconds. */
const MAX_DECLINED_RETRY_MS = 2_000;
/** To so many managers it is given before the last one: the number of an attempt has a limit (headers.ts). */
const MAX_MANAGERS = 999;
/**
 * After a reconnect a manager has this long to answer for a job before its answer counts as lost, in milliseconds. It may
 * be on the way to another broker itself, and holds what it says until it is there: 4.5 s at most (mesh/link/handover.ts).
 */
const DOUBT_LIMIT_MS = 5_000;
/** How often a manager is asked again for a job that it should have, in milliseconds. */
const ASK_AGAIN_MS = 500;
/**
 * A manager is asked for a job that it has when so long nothing was asked, in milliseconds: at first, and after that as
 * long as the job has been there, up to the last figure. An outcome may be lost between two brokers, where nobody sees it.
 */
const ASK_UNASKED_MS = 2_000;
const MAX_UNASKED_MS = 30_000;
/** So many are asked for at once; the others later. */
const MAX_ASKED_AT_ONCE = 64;
/** A manager that says nothing to a new job for this long, once that has reached the broker, has stalled, in milliseconds. */
const SILENT_MANAGER_MS = 2_500;
/** By then who takes a job has said so ({@link TAKE_WITHIN_MS}): a round trip that begins later brings the word, in milliseconds. */
const SAID_BY_MS = 2_100;
/** After this long a client looks for managers that are awake, in milliseconds. */
const LOOK_FOR_MANAGERS_MS = 1_500;
/** A manager takes a submission only when it is no older than this, in milliseconds: it is not given to two managers. */
export const TAKE_WITHIN_MS = 2_000;

/** The message when nobody listens for jobs of the pool. */
export const NO_MANAGER = "no manager serves the pool";

export class Failover {
  readonly #ports: FailoverPorts;
  readonly #live = new ChurnMap<Submission>();
  /** Those that wait for the word of a manager. */
  readonly #awaiting = new Set<Submission>();
  /** When the connection was back after the last outage. */
  #backAtMs = Number.NEGATIVE_INFINITY;
  readonly #deadlines = new Deadlines<Submission>(TICK_MS);
  /** How many submissions each manager has. */
  readonly #atManager = new Map<string, number>();
  /** Submissions that nobody listened to, by when they are sent again. */
  readonly #retries = new Map<Submission, number>();
  #askedAgainAtMs = 0;
  #doubtEndsAtMs = Number.POSITIVE_INFINITY;
  /** Since when the bus holds what is sent, during a handover to another broker. */
  #heldFromMs: number | undefined;

  constructor(ports: FailoverPorts) {
    this.#ports = ports;
  }

  /** How many submissions have no outcome yet. */
  get size(): number {
    return this.#live.size;
  }

  live(id: string): Submission | undefined {
    return this.#live.get(id);
  }

  all(): Submission[] {
    return this.#live.values();
  }

  /** Whether a manager has still to answer what has left by the connection that is about to be given up. */
  get isOwedAnswers(): boolean {
    for (const submission of this.#awaiting) if (!this.#isHeld(submission)) return true;
    return false;
  }

  /** A new submission. */
  submitted(submission: Submission, nowMs: number): void {
    this.#deadlines.add(submission, submission.deadlineAtMs + DEADLINE_SLACK_MS);
    this.#live.set(submission.id, submission);
    this.#submit(submission, nowMs);
  }

  /** No manager listens. */
  noManager(submission: Submission, nowMs: number): void {
    // Its manager may only be reconnecting. Whether it is gone is for the presence probe to say.
    if (submission.isTaken || submission.state === "ended") return;
    // A manager that was asked whether it has the job does not serve this pool.
    if (submission.state === "doubtful") return;
    this.#move(submission, "unsent");
    // After an outage managers come back at their own time.
    const sinceMs = Math.max(submission.submittedAtMs, submission.declinedAtMs, this.#backAtMs);
    if (nowMs - sinceMs > NO_MANAGER_LIMIT_MS || submission.headers.wait === false) {
      const maybeExecuted = submission.mayHaveRun;
      const more = { retryAfterMs: 1_000, maybeExecuted };
      const error = new PoolError("bus_unavailable", NO_MANAGER, more);
      return this.fail(submission, error);
    }
    this.#retries.set(submission, nowMs + NO_MANAGER_RETRY_MS);
  }

  /** What was given to the connection did not leave. */
  notLeft(submission: Submission): void {
    if (submission.state === "asking") this.#move(submission, "unsent");
  }

  /** What nobody can have taken is given to a manager once more. */
  giveAgain(submission: Submission, nowMs: number): void {
    if (submission.state === "asking") this.#submit(submission, nowMs);
  }

  /**
   * Something answered that is no manager. It decides nothing, but it hides that nobody listens.
   *
   * @param stream the JetStream stream whose acknowledgement it was, if it was one
   */
  strangerAnswered(submission: Submission, stream: string | undefined): void {
    submission.stranger = stream === undefined ? "something that is no manager" : `the stream ${stream}`;
  }

  /** A manager says that it has the job. @param manager "" when it does not say who it is */
  taken(submission: Submission, manager: string): void {
    if (submission.state === "ended") return;
    this.#move(submission, "taken", submission.isTaken ? submission.manager : manager);
    const { onTaken } = submission;
    submission.onTaken = undefined;
    onTaken?.();
  }

  /**
   * A manager does not know the job. It counts only of the manager that has it: all are asked who has a doubtful one,
   * and the answers of the others may come after its word.
   *
   * @param manager undefined when it does not say who it is
   */
  forgotten(submission: Submission, manager: string | undefined, nowMs: number): void {
    if (!submission.isTaken || (manager ?? submission.manager) !== submission.manager) return;
    this.#loseManager(submission, "the manager that had the job has forgotten it", nowMs);
  }

  /**
   * A manager says that it has not taken the submission, and never will: it is given to a manager again, after a moment, which
   * doubles. As another attempt, so that what that manager says of this one later is not heard.
   */
  notTaken(submission: Submission, nowMs: number): void {
    if (submission.state !== "asking" && submission.state !== "doubtful") return;
    if (!this.#leaveManager(submission)) return;
    this.#move(submission, "unsent", "");
    this.#retries.set(
      submission,
      nowMs + Math.min(NO_MANAGER_RETRY_MS * 2 ** submission.declined, MAX_DECLINED_RETRY_MS),
    );
    submission.declined += 1;
    submission.declinedAtMs = nowMs;
  }

  /** The submission has its outcome. Only the first counts. */
  ended(submission: Submission, outcome: Outcome): void {
    if (submission.state === "ended") return;
    this.#move(submission, "ended");
    this.#live.delete(submission.id);
    this.#retries.delete(submission);
    this.#deadlines.delete(submission);
    this.#ports.forget(submission);
    submission.onOutcome(outcome);
  }

  fail(submission: Submission, error: PoolError): void {
    this.ended(submission, submission.failure(error));
  }

  /**
   * The broker refuses submissions: what no manager has taken has not left, or is revoked.
   *
   * @param hasLeft it refuses something else without which managers take nothing
   */
  refused(error: PoolError, hasLeft = false): void {
    for (const submission of this.all()) {
      if (submission.isTaken) continue;
      const { mayHaveRun, state } = submission;
      const maybeExecuted = mayHaveRun || state === "doubtful" || (hasLeft && state === "asking");
      this.#ports.abandon(submission);
      this.fail(submission, new PoolError(error.reason, error.message, { maybeExecuted }));
    }
  }

  /** No answer can come any more. What was given to a manager may run all the same. */
  deaf(error: PoolError): void {
    for (const submission of this.all()) {
      const maybeExecuted = submission.state !== "unsent" || submission.mayHaveRun;
      this.fail(submission, new PoolError(error.reason, error.message, { maybeExecuted }));
    }
  }

  /** Nobody is at a manager's address any more. */
  managerGone(manager: string, nowMs: number): void {
    for (const submission of this.#takenBy(manager)) {
      this.#loseManager(submission, "the manager that had the job is gone", nowMs);
    }
  }

  /** Another process has a manager's id: what was given to the earlier one may be gone. */
  managerRestarted(manager: string, nowMs: number): void {
    for (const submission of this.#takenBy(manager)) this.#askAgain(submission, nowMs);
  }

  /** The connection is about to be handed over to another broker: what is sent from now on is held. */
  handoverBegins(nowMs: number): void {
    this.#heldFromMs = nowMs;
  }

  /** The connection is down. What the bus held is dropped, so it never left. */
  disconnected(): void {
    for (const submission of this.#awaiting) {
      if (this.#isHeld(submission) && !submission.isTaken) this.#move(submission, "unsent");
    }
    this.#heldFromMs = undefined;
  }

  /**
   * The connection is back. Answers may have been lost: each job's manager is
   * asked again, which joins or repeats. Where the word of the manager may have
   * been lost, all of them are asked. A job that no manager can have answered yet
   * is not in doubt.
   */
  reconnected(nowMs: number): void {
    this.#backAtMs = nowMs;
    for (const submission of this.#live.values()) {
      if (submission.isTaken) this.#askAgain(submission, nowMs);
      else if (submission.state === "unsent") this.#submit(submission, nowMs);
      else if (this.#isHeld(submission)) continue;
      else if (submission.headers.idempotent) this.#submitElsewhere(submission, nowMs);
      else this.#move(submission, "doubtful");
    }
    this.#heldFromMs = undefined;
    this.#doubtEndsAtMs = nowMs + DOUBT_LIMIT_MS;
    this.#askWhoHasDoubtful();
  }

  /** @param connected whether questions can be asked now */
  tick(nowMs: number, connected: boolean): void {
    for (const submission of this.#deadlines.expired(nowMs)) {
      const options = { maybeExecuted: submission.state !== "unsent" || submission.mayHaveRun };
      this.#ports.abandon(submission);
      this.fail(submission, new PoolError("deadline_exceeded", "no outcome before the deadline", options));
    }
    for (const [submission, atMs] of this.#retries) {
      if (nowMs < atMs) continue;
      this.#retries.delete(submission);
      if (submission.state === "unsent") this.#submit(submission, nowMs);
    }
    if (nowMs >= this.#doubtEndsAtMs) this.#endDoubts(nowMs);
    if (connected && nowMs - this.#askedAgainAtMs >= ASK_AGAIN_MS) this.#checkSilence(nowMs);
  }

  /** The one place where a submission changes its state. */
  #move(submission: Submission, to: SubmissionState, manager = submission.manager): void {
    const before = submission.isTaken ? submission.manager : "";
    submission.enter(to, manager);
    const after = submission.isTaken ? submission.manager : "";
    if (submission.awaitsWord) this.#awaiting.add(submission);
    else this.#awaiting.delete(submission);
    if (before === after) return;
    if (before !== "") this.#count(before, -1);
    if (after !== "") this.#count(after, 1);
  }

  #count(manager: string, change: 1 | -1): void {
    const count = (this.#atManager.get(manager) ?? 0) + change;
    if (count === 0) this.#atManager.delete(manager);
    else this.#atManager.set(manager, count);
    if (change === 1 && count === 1) this.#ports.watch(manager, true);
    if (count === 0) this.#ports.watch(manager, false);
  }

  /** What is past its deadline is given to nobody: it ends as soon as its manager had time to speak. */
  #submit(submission: Submission, nowMs: number): void {
    if (nowMs >= submission.deadlineAtMs) return;
    submission.sentAtMs = nowMs;
    submission.givenAtMs = nowMs;
    const left = this.#ports.give(submission);
    if (typeof left !== "boolean") this.fail(submission, left);
    else this.#move(submission, left ? "asking" : "unsent", "");
  }

  #askAgain(submission: Submission, nowMs: number): void {
    if (submission.manager === "") return this.#submit(submission, nowMs);
    submission.sentAtMs = nowMs;
    this.#ports.askAgain(submission);
    this.#move(submission, "asked-again");
  }

  /** Gives a job to another manager: the old attempts are revoked, their answers are not heard, the new ones are new. */
  #submitElsewhere(submission: Submission, nowMs: number): void {
    if (nowMs >= submission.deadlineAtMs) return;
    submission.mayHaveRun = true;
    if (this.#leaveManager(submission)) this.#submit(submission, nowMs);
  }

  /** The attempts of the manager that it was given to are not wanted any more. False when there were too many: it has ended. */
  #leaveManager(submission: Submission): boolean {
    if (submission.managersBefore >= MAX_MANAGERS) {
      const more = { retryAfterMs: 1_000, maybeExecuted: submission.mayHaveRun };
      this.fail(submission, new PoolError("bus_unavailable", "it was given to as many managers as it may be", more));
      return false;
    }
    submission.managersBefore += 1;
    this.#ports.revoke(submission, submission.managersBefore * ATTEMPTS_PER_MANAGER);
    return true;
  }

  #loseManager(submission: Submission, why: string, nowMs: number): void {
    if (submission.state === "ended") return;
    if (submission.headers.idempotent) return this.#submitElsewhere(submission, nowMs);
    this.fail(submission, new PoolError("bus_unavailable", why, { maybeExecuted: true, retryable: false }));
  }

  #endDoubts(nowMs: number): void {
    this.#doubtEndsAtMs = Number.POSITIVE_INFINITY;
    for (const submission of this.#live.values()) {
      if (submission.state === "doubtful") {
        this.#loseManager(submission, "no manager answered after an outage", nowMs);
      }
    }
  }

  #askWhoHasDoubtful(): void {
    const doubtful = [...this.#awaiting].filter(({ state }) => state === "doubtful");
    if (doubtful.length > 0) this.#ports.askAll(doubtful);
  }

  /** Silence where a manager's word is due, or has been for long. */
  #checkSilence(nowMs: number): void {
    this.#askedAgainAtMs = nowMs;
    this.#askWhoHasDoubtful();
    this.#askForUnheard(nowMs);
    let hasSilent = false;
    for (const submission of this.#awaiting) {
      const silentMs = nowMs - submission.sentAtMs;
      if (silentMs < ASK_AGAIN_MS) continue;
      if (submission.isTaken) this.#askAgain(submission, nowMs);
      else if (submission.stranger !== "" && silentMs >= NO_MANAGER_LIMIT_MS) this.#failByStranger(submission);
      else if (submission.state !== "asking" || silentMs < LOOK_FOR_MANAGERS_MS) continue;
      else if (this.#ports.hasArrived(submission.sentAtMs + SAID_BY_MS) && silentMs >= SILENT_MANAGER_MS)
        this.#submitElsewhere(submission, nowMs);
      else hasSilent = true;
    }
    if (hasSilent) this.#ports.callRoll();
  }

  /** Asks for jobs that their managers have had for a while; the rate is bounded, whatever the number of jobs. */
  #askForUnheard(nowMs: number): void {
    const roundMs = (this.#live.size / MAX_ASKED_AT_ONCE) * ASK_AGAIN_MS;
    let left = MAX_ASKED_AT_ONCE;
    for (const submission of this.#live.values()) {
      const { state, manager, sentAtMs, givenAtMs } = submission;
      const dueMs = Math.min(Math.max(ASK_UNASKED_MS, sentAtMs - givenAtMs), MAX_UNASKED_MS);
      if (state !== "taken" || manager === "" || nowMs - sentAtMs < Math.max(dueMs, roundMs)) continue;
      submission.sentAtMs = nowMs;
      this.#ports.askAgain(submission);
      left -= 1;
      if (left === 0) return;
    }
  }

  #failByStranger(submission: Submission): void {
    this.#ports.abandon(submission);
    const message = `no manager answered; ${submission.stranger} answers on the pool's submit subject`;
    this.fail(submission, new PoolError("bus_unavailable", message, { retryAfterMs: 1_000 }));
  }

  #takenBy(manager: string): Submission[] {
    return this.#live.values().filter((submission) => submission.isTaken && submission.manager === manager);
  }

  #isHeld(submission: Submission): boolean {
    return this.#heldFromMs !== undefined && submission.sentAtMs >= this.#heldFromMs;
  }
}
