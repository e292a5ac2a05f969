/**
 * A live job: one that was submitted and has no outcome yet. Pure.
 *
 * States: parked → sent → ended, and back from sent to parked when it was
 * refused or when it may run again. `ended` is final: a job ends once.
 *
 *   (submitted) ─► sent ─► ended
 *        │        ▲   │        ▲
 *        └► parked ◄──┘        │
 *             └────────────────┘  deadline, cancel
 */
import { PoolError } from "../../../mesh/errors.js";
import type { Outcome } from "../../../mesh/job/job.js";
import type { JobSpec } from "../../../mesh/job/job-spec.js";
import type { Priority } from "../../../mesh/wire/headers.js";
import type { Attempt } from "./attempt.js";
import type { Parkable, ParkedPlace } from "./parked-queue.js";

/** Who hears what becomes of a job. */
export interface JobListener {
  /** The nonce of the submission that it hears for; undefined when its caller cannot name it. */
  readonly nonce?: string | undefined;
  /** Called exactly once. */
  onEnd(outcome: Outcome): void;
  /** The job is held here from now on; called before anything is sent to a worker. */
  onTaken?(): void;
  onAccepted?(worker: string): void;
  onProgress?: ((payload: Uint8Array) => void) | undefined;
}

export class Job implements Parkable {
  /** Made with its first member: an array that grows from nothing takes room for seventeen. */
  readonly listeners: JobListener[];
  state: "parked" | "sent" | "ended" = "parked";
  /** Attempts that may have run. `busy` does not count as an attempt. */
  attempts: number;
  /** The last attempt that was sent. */
  attempt: Attempt | undefined;
  /** Its tick among the deadlines (deadlines.ts). */
  deadlineTick = 0;
  /** Whether `jobStart` was told to the program. */
  started = false;
  /** Workers that were lost while they had it. */
  lostWorkers = 0;
  place: ParkedPlace | undefined;

  /** @param submittedAtMs monotonic milliseconds */
  constructor(
    readonly spec: JobSpec,
    readonly submittedAtMs: number,
    listener: JobListener,
  ) {
    this.listeners = [listener];
    this.attempts = spec.attemptsBefore;
  }

  get id(): string {
    return this.spec.id;
  }

  /** Monotonic milliseconds. */
  get deadlineAtMs(): number {
    return this.submittedAtMs + this.spec.timeoutMs;
  }

  get payloadBytes(): number {
    return this.spec.payload.length;
  }

  get priority(): Priority {
    return this.spec.priority;
  }

  get client(): string {
    return this.spec.client;
  }

  /** Whether a worker may have begun the job: one that has it says so only after a while. */
  get mayHaveRun(): boolean {
    return this.attempts > this.spec.attemptsBefore || this.attempt?.isOpen === true;
  }

  /** Whether one of its callers submitted it under this nonce, or cannot say under which. */
  isOf(nonce: string | undefined): boolean {
    if (nonce === undefined || nonce === "" || this.spec.nonce === nonce) return true;
    return this.listeners.some((listener) => listener.nonce === nonce);
  }

  /** One more caller with the same id. @throws PoolError `duplicate_job` when it has another payload */
  join(spec: JobSpec, listener: JobListener): this {
    const { payload } = this.spec;
    if (payload.length !== spec.payload.length || Buffer.compare(payload, spec.payload) !== 0) {
      throw new PoolError("duplicate_job", "a job with this id is live and has another payload", { field: "job" });
    }
    this.listen(listener);
    return this;
  }

  /** One more who waits for this job. */
  listen(listener: JobListener): void {
    this.listeners.push(listener);
    listener.onTaken?.();
  }

  /** The outcome of a job that ends with an error. */
  failure(error: PoolError): Outcome {
    return { ok: false, id: this.id, error, worker: this.attempt?.worker ?? "", attempt: this.attempt?.number ?? 0 };
  }
}
