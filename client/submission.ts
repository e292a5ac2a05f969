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
import type { Outcome } from "../mesh/job/job.js";
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
  /** Managers that it was given to before this one. */
  managersBefore = 0;
  /** What answered in the place of a manager; "" for nothing. */
  stranger = "";
  /** When a worker accepted it, as far as the client has heard. */
  startedAtMs: number | undefined;
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

  /** The outcome of a submission that ends with an error. */
  failure(error: PoolError, worker = "", attempt = 0): Outcome {
    const waited = this.startedAtMs === undefined ? {} : { waitMs: this.startedAtMs - this.submittedAtMs };
    return { ok: false, id: this.id, error, worker, attempt, ...waited };
  }

  /** Called by `Failover` alone. */
  enter(state: SubmissionState, manager: string): void {
    this.#state = state;
    this.#manager = manager;
  }
}
