/**
 * The books of what is under way: which attempt is whose, which offers nobody
 * has taken yet, what is unanswered.
 *
 * Decided here: how every event of an attempt is booked in the roster, the
 * placements and the inbox, so that each slot is counted once. Not decided
 * here: what becomes of the job.
 */
import type { DispatcherParts } from "./dispatcher-parts.js";
import { Fifo } from "./fifo.js";
import type { Attempt } from "./job.js";
import type { RosterWorker } from "./workers.js";

export class Bookings {
  /** Attempts that nobody has accepted yet, oldest first. */
  readonly unaccepted = new Fifo<Attempt>();
  readonly #parts: Pick<DispatcherParts, "inbox" | "placements" | "roster">;
  #offersOut = 0;

  constructor(parts: Pick<DispatcherParts, "inbox" | "placements" | "roster">) {
    this.#parts = parts;
  }

  /** Offers whose taker is not known yet. */
  get offersOut(): number {
    return this.#offersOut;
  }

  /** A new attempt: a hand-off to a worker that the roster has counted it for, else an offer. */
  opened(attempt: Attempt, worker: RosterWorker | undefined): void {
    if (worker === undefined) this.#offersOut += 1;
    else this.#place(attempt, worker);
  }

  /** An offer that has not left becomes a hand-off. */
  directed(offer: Attempt, worker: RosterWorker): void {
    this.#offersOut -= 1;
    offer.handOff = true;
    this.#place(offer, worker);
  }

  /** From now on it is missed when nobody accepts it. */
  awaitAnswer(attempt: Attempt): void {
    attempt.waiting = this.unaccepted.push(attempt);
  }

  /** Its first answer has come. */
  isAnswered(attempt: Attempt): void {
    attempt.bundle = undefined;
    if (attempt.waiting === undefined) return;
    this.unaccepted.remove(attempt.waiting);
    attempt.waiting = undefined;
  }

  /** Tells the roster what a reply said, and learns from an offer's first answer who took it. */
  answered(
    attempt: Attempt,
    worker: string | undefined,
    event: "accepted" | "ended",
    free: number | undefined,
    now: number,
  ): void {
    const { roster, placements } = this.#parts;
    const { handOff, counted } = attempt;
    attempt.handOff = false;
    if (worker === undefined) return;
    if (attempt.worker === undefined) {
      this.#offersOut -= 1;
      attempt.worker = worker;
      attempt.incarnation = roster.get(worker)?.incarnation;
      if (event === "accepted") placements.add(worker, attempt);
    }
    attempt.counted = event === "accepted";
    roster.answered(worker, { event, free, handOff, counted }, now);
  }

  /** An attempt is over: its inbox token, its place and its reservation go. */
  closed(attempt: Attempt): void {
    const { inbox, placements, roster } = this.#parts;
    this.isAnswered(attempt);
    if (!attempt.lingers) inbox.close(attempt.token);
    if (attempt.worker === undefined) this.#offersOut -= 1;
    else placements.remove(attempt.worker, attempt);
    if (attempt.handOff && attempt.worker !== undefined) roster.released(attempt.worker);
  }

  #place(attempt: Attempt, worker: RosterWorker): void {
    attempt.worker = worker.id;
    attempt.counted = true;
    attempt.incarnation = worker.incarnation;
    this.#parts.placements.add(worker.id, attempt);
  }
}
