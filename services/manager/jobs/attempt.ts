/**
 * One attempt of a job, from its sending to its answer. Pure.
 *
 * States and who moves them: only `InFlight` (in-flight.ts) changes a state, and
 * every count of offers, slots and unanswered messages follows from the change.
 *
 *   offered ──► assigned        it had not left yet and a free worker was found
 *   offered, assigned ──► accepted    a worker has it
 *   offered, assigned ──► revoked     nobody accepted it in time; a late reply still tells how far away its worker is
 *   any ──► over                      a result, a refusal, a cancel, or its worker is lost; nothing more is heard of it
 */
import type { ReplyHeaders } from "../../../mesh/wire/headers.js";
import type { FifoNode } from "./fifo.js";
import type { Job } from "./job.js";

/** Where an attempt stands. */
export type AttemptState = "offered" | "assigned" | "accepted" | "revoked" | "over";

/** A payload over this takes time on a slow link, in bytes. */
export const LARGE_PAYLOAD_BYTES = 16_384;
/** How many attempts one manager makes of a job that may run again. */
const MAX_ATTEMPTS = 5;

export class Attempt {
  /** The correlation id of its replies; belongs to the sender. */
  token = "";
  /** All attempts that left in the same message, itself among them, until the first reply; the sender sets it. */
  bundle: readonly Attempt[] | undefined;
  /** How long nobody may answer it before it is revoked, in milliseconds; set when it is opened (timeouts.ts). */
  answerWithinMs = 0;
  /** Its time to be answered is its own: a large payload, or its workers were asked about it (in-flight.ts). */
  ownTime: boolean;
  /** The workers were asked whether they have it. */
  inquired = false;
  /** Heartbeats of its worker in a row that did not list it as running. */
  unlisted = 0;
  /** Its place in the list of its worker (assignments.ts). */
  spot = -1;
  /** Its place among the attempts that wait for a reply (in-flight.ts). */
  node: FifoNode<Attempt> | undefined;
  #state: AttemptState;
  #worker: string | undefined;

  /**
   * @param number 1 for the first attempt of a job; after a refusal the next attempt has the same one
   * @param sentAtMs monotonic milliseconds
   */
  constructor(
    readonly job: Job,
    readonly number: number,
    public sentAtMs: number,
    state: "offered" | "assigned",
    worker: string | undefined,
  ) {
    this.#state = state;
    this.#worker = worker;
    this.ownTime = job.payloadBytes > LARGE_PAYLOAD_BYTES;
  }

  get state(): AttemptState {
    return this.#state;
  }

  /** Who has it: known at once when it was assigned, from the first reply when it was offered. */
  get worker(): string | undefined {
    return this.#worker;
  }

  /** Whether a reply to it can still decide something. */
  get isOpen(): boolean {
    return this.#state === "offered" || this.#state === "assigned" || this.#state === "accepted";
  }

  /** Whether no worker has answered it yet. */
  get isUnanswered(): boolean {
    return this.#state === "offered" || this.#state === "assigned";
  }

  /** Whether another attempt may follow when its worker is lost. */
  get mayBeFollowed(): boolean {
    return this.number - this.job.spec.attemptsBefore < MAX_ATTEMPTS;
  }

  /** Whether a reply is about this attempt and comes from the worker that has it. A missing header matches. */
  isMeant({ attempt, worker }: ReplyHeaders): boolean {
    if (attempt !== undefined && attempt !== this.number) return false;
    return worker === undefined || this.#worker === undefined || worker === this.#worker;
  }

  /** Called by `InFlight` alone. */
  enter(state: AttemptState, worker = this.#worker): void {
    this.#state = state;
    this.#worker = worker;
  }
}
