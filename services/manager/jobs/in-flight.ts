/**
 * What is in flight: attempts that were sent and are not over. Pure.
 *
 * Decided here: how each change of an attempt's state is counted, so that every
 * slot is counted once whatever comes first. All changes after the first state go through `#move`.
 * Not decided here: what becomes of the job (dispatcher.ts).
 */

import { Fifo } from "../../../mesh/job/containers.js";
import { Attempt, type AttemptState, type Job } from "./job.js";
import type { WorkerEntry, Workers } from "./workers.js";

/** Late replies that are waited for at once. */
const MAX_LATE = 1_000;

export class InFlight {
  /** Attempts at each worker that were assigned to it or accepted by it. */
  readonly assignments = new Assignments();
  /** Attempts that no worker has answered, oldest first; none of a pool without heartbeats. */
  readonly unanswered = new Fifo<Attempt>();
  /** Those among them that have a time of their own; in no order of their times. */
  readonly unansweredOwnTime = new Fifo<Attempt>();
  /** Revoked attempts whose late reply is waited for, oldest first. */
  readonly #late = new Fifo<Attempt>();
  readonly #workers: Workers;
  readonly #forget: (attempt: Attempt) => void;
  #offers = 0;

  /** @param forget called when no reply to an attempt is waited for any more */
  constructor(workers: Workers, forget: (attempt: Attempt) => void) {
    this.#workers = workers;
    this.#forget = forget;
  }

  /** Offers that no worker has taken yet, as far as is known. */
  get offers(): number {
    return this.#offers;
  }

  /**
   * A new attempt of a job.
   *
   * @param worker whom it is assigned to; the registry has counted its slot. Undefined for an offer
   * @param awaited whether it is missed when nobody answers it
   * @param joins whether its worker has the job already
   */
  open(job: Job, worker: WorkerEntry | undefined, sentAtMs: number, awaited: boolean, joins = false): Attempt {
    const state = worker === undefined ? "offered" : "assigned";
    const attempt = new Attempt(job, job.attempts + 1, sentAtMs, state, worker?.id);
    attempt.joins = joins;
    if (awaited) attempt.node = this.#unansweredWith(attempt).push(attempt);
    if (worker === undefined) this.#offers += 1;
    else this.assignments.add(worker.id, attempt);
    return attempt;
  }

  /** An offer that was not missed when nobody answered it is so from now on. */
  awaitOffer(attempt: Attempt, nowMs: number): void {
    if (attempt.state !== "offered" || attempt.node !== undefined) return;
    attempt.answerFromMs = nowMs;
    attempt.node = this.#unansweredWith(attempt).push(attempt);
  }

  /** An offer that has not left yet goes to one worker, for which the registry has counted a slot. */
  assign(attempt: Attempt, worker: WorkerEntry): void {
    this.#move(attempt, "assigned", worker.id);
  }

  /** A worker says that it has the attempt. @param free its free slots, if it says them */
  accept(attempt: Attempt, worker: string | undefined, free: number | undefined, nowMs: number): void {
    const from = attempt.state;
    this.#move(attempt, "accepted", worker);
    if (worker === undefined) return;
    if (from === "offered") this.#workers.tookOffer(worker, attempt.sentAtMs);
    this.#workers.said(worker, free, nowMs);
  }

  /** A result or an error has come for an open attempt: its slot is free again. */
  end(attempt: Attempt, worker: string | undefined, free: number | undefined, nowMs: number): void {
    const from = attempt.state;
    this.#move(attempt, "over", worker);
    if (worker === undefined) return;
    if (from !== "offered") this.#workers.freed(worker);
    this.#workers.said(worker, free, nowMs);
  }

  /** A worker refuses it. @param free its free slots; none when it does not say */
  refuse(attempt: Attempt, worker: string | undefined, free = 0, nowMs = 0): void {
    this.#move(attempt, "over", worker);
    if (worker !== undefined) this.#workers.said(worker, free, nowMs);
  }

  /** An unanswered attempt gets more time; its lease does not. */
  extend(attempt: Attempt, moreMs: number): void {
    if (attempt.node === undefined || attempt.state === "revoked") return;
    this.#unansweredWith(attempt).remove(attempt.node);
    attempt.ownTime = true;
    attempt.answerWithinMs += moreMs;
    attempt.node = this.#unansweredWith(attempt).push(attempt);
  }

  /** Nobody has answered in time. A late reply is still waited for. */
  revoke(attempt: Attempt): void {
    this.#move(attempt, "revoked");
    if (this.#late.size > MAX_LATE) this.#closeOldestLate();
  }

  /** Nothing more is heard of it. */
  close(attempt: Attempt): void {
    if (attempt.state !== "over") this.#move(attempt, "over");
  }

  /** Stops waiting for late replies to what was sent before this instant. */
  closeLate(sentBeforeMs: number): void {
    for (let first = this.#late.first; first !== undefined; first = this.#late.first) {
      if (first.answerFromMs >= sentBeforeMs) return;
      this.#closeOldestLate();
    }
  }

  /** The one place where an attempt changes its state. */
  #move(attempt: Attempt, to: AttemptState, worker = attempt.worker): void {
    if (attempt.state === "over") return;
    this.#leave(attempt, to);
    const isAtWorker = to === "assigned" || to === "accepted";
    const wasAtWorker = attempt.spot >= 0;
    attempt.enter(to, worker);
    if (isAtWorker && !wasAtWorker && worker !== undefined) this.assignments.add(worker, attempt);
    if (to === "revoked") attempt.node = this.#late.push(attempt);
    if (to === "over") this.#forget(attempt);
  }

  /** Takes an attempt out of the counts of its state. */
  #leave(attempt: Attempt, to: AttemptState): void {
    const { state, worker, node } = attempt;
    if (to !== "assigned" && node !== undefined) {
      (state === "revoked" ? this.#late : this.#unansweredWith(attempt)).remove(node);
      attempt.node = undefined;
    }
    if (to !== "assigned") attempt.bundle = undefined;
    if (state === "offered") this.#offers -= 1;
    if (state === "assigned" && worker !== undefined) this.#workers.answered(worker);
    if ((to === "over" || to === "revoked") && worker !== undefined && attempt.spot >= 0) {
      this.assignments.remove(worker, attempt);
      attempt.spot = -1;
    }
  }

  #unansweredWith({ ownTime }: Attempt): Fifo<Attempt> {
    return ownTime ? this.unansweredOwnTime : this.unanswered;
  }

  #closeOldestLate(): void {
    const attempt = this.#late.first;
    if (attempt !== undefined) this.#move(attempt, "over");
  }
}

/** So many empty lists are kept: making a list for each job costs more than the job's place in it. */
const MAX_LISTS = 1_000;

/** Which attempts are known to be at which worker. */
class Assignments {
  /** In no order: the last attempt takes the spot of one that leaves. */
  readonly #byWorker = new Map<string, Attempt[]>();

  add(worker: string, attempt: Attempt): void {
    let list = this.#byWorker.get(worker);
    if (list === undefined) {
      list = [];
      this.#byWorker.set(worker, list);
    }
    attempt.spot = list.push(attempt) - 1;
  }

  remove(worker: string, attempt: Attempt): void {
    const list = this.#byWorker.get(worker);
    const { spot } = attempt;
    if (list === undefined || list[spot] !== attempt) return;
    const last = list.pop() as Attempt;
    if (last !== attempt) {
      list[spot] = last;
      last.spot = spot;
    }
    if (list.length === 0 && this.#byWorker.size > MAX_LISTS) this.#byWorker.delete(worker);
  }

  /** The attempts at one worker, as of now. */
  at(worker: string): Attempt[] {
    return [...(this.#byWorker.get(worker) ?? [])];
  }

  /** The workers that have at least one attempt. */
  workers(): string[] {
    const workers: string[] = [];
    for (const [worker, list] of this.#byWorker) if (list.length > 0) workers.push(worker);
    return workers;
  }
}
