/**
 * One job at a client, from submit to outcome. Pure.
 *
 * States; only `Failover` (failover.ts) changes them:
 *
 *   unsent ─► asking ─► taken ⇄ asked-again ─► ended
 *     ▲          │ ▲
 *     └──────────┘ └─ doubtful
 *
 *   unsent       it has not left, or nobody was there: no manager can have it
 *   asking       it has left; no manager has said that it has the job
 *   doubtful     as asking, but an outage may have swallowed the manager's word
 *   taken        a manager has said that it has the job
 *   asked-again  taken, and the manager was asked again because an answer may be lost
 *   ended        the caller has its outcome; final, and reached from every state
 */
import type { PoolError } from "../mesh/errors.js";
import type { JobSpec, Outcome } from "../mesh/job/job.js";
import type { JobHeaders } from "../mesh/wire/headers.js";

/** Where a submission stands. */
export type SubmissionState = "unsent" | "asking" | "doubtful" | "taken" | "asked-again" | "ended";

export class Submission {
  /** The correlation id of its answers; belongs to the client's link. */
  token = "";
  /** Its place among the deadlines (containers.ts). */
  dueTick = 0;
  duePlace = 0;
  /** When it was sent to a manager last, monotonic milliseconds. */
  sentAtMs = 0;
  /** When it was given to the manager that has it, monotonic milliseconds. */
  givenAtMs = 0;
  /** Managers that it was given to before this one. */
  managersBefore = 0;
  /** A manager that it was given to before this one may have run it. */
  mayHaveRun = false;
  /** How often a manager has said that it did not take it, and when the last one did, monotonic milliseconds. */
  declined = 0;
  declinedAtMs = Number.NEGATIVE_INFINITY;
  /** It waits for the end of the turn in which it was given to a manager. */
  leaves = false;
  /** All submissions that left in the same message, itself among them, until the first answer. */
  bundle: readonly Submission[] | undefined;
  /** What answered in the place of a manager; "" for nothing. */
  stranger = "";
  /** Hears once that a manager has it. */
  onTaken: (() => void) | undefined;
  #state: SubmissionState = "unsent";
  #manager = "";

  /** @param submittedAtMs monotonic milliseconds, as `deadlineAtMs` is */
  constructor(
    readonly headers: JobHeaders & { readonly jobId: string },
    readonly payload: Uint8Array,
    readonly submittedAtMs: number,
    readonly deadlineAtMs: number,
    readonly onOutcome: (outcome: Outcome) => void,
    readonly onProgress: ((payload: Uint8Array) => void) | undefined,
  ) {}

  get id(): string {
    return this.headers.jobId;
  }

  get state(): SubmissionState {
    return this.#state;
  }

  /** The manager that has it; "" while none has said so, or when that one did not say who it is. */
  get manager(): string {
    return this.#manager;
  }

  get isTaken(): boolean {
    return this.#state === "taken" || this.#state === "asked-again";
  }

  /** Whether the word of a manager is due. */
  get awaitsWord(): boolean {
    return this.#state === "asking" || this.#state === "doubtful" || this.#state === "asked-again";
  }

  /**
   * From submit to the sending of the attempt that ended it: what its manager says, and the time before that manager got it.
   *
   * @param saidMs as the manager said, milliseconds
   * @param nowMs when its outcome came; it waited no longer than until then
   */
  waitedMs(saidMs: number, nowMs: number): number {
    return Math.min(this.givenAtMs + saidMs, nowMs) - this.submittedAtMs;
  }

  /** The outcome of a submission that ends with an error. @param waitMs when it is known */
  failure(error: PoolError, worker = "", attempt = 0, waitMs?: number): Outcome {
    return { ok: false, id: this.id, error, worker, attempt, ...(waitMs === undefined ? {} : { waitMs }) };
  }

  /** Called by `Failover` alone. */
  enter(state: SubmissionState, manager: string): void {
    this.#state = state;
    this.#manager = manager;
  }
}

/** Cancels when the signal fires before the outcome has come. */
export function untilAborted(
  signal: AbortSignal,
  cancel: () => void,
  onOutcome: (outcome: Outcome) => void,
): (outcome: Outcome) => void {
  signal.addEventListener("abort", cancel);
  return (outcome) => {
    signal.removeEventListener("abort", cancel);
    onOutcome(outcome);
  };
}

/** The headers of a submission. Time left and attempt are filled in each time it is sent. */
export function submissionHeaders(spec: JobSpec): JobHeaders & { readonly jobId: string } {
  const { id, nonce, client, idempotent, priority, wait, traceparent, tracestate } = spec;
  const headers: JobHeaders & { readonly jobId: string } = {
    jobId: id,
    offer: true,
    answersClock: true,
    idempotent,
    priority,
    wait,
  };
  if (nonce !== "") headers.nonce = nonce;
  if (spec.waitForPool) headers.waitForPool = true;
  if (client !== "") headers.client = client;
  if (traceparent !== undefined) headers.traceparent = traceparent;
  if (tracestate !== undefined) headers.tracestate = tracestate;
  return headers;
}
