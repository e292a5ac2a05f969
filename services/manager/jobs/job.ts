/**
 * A live job: one that was submitted and has no outcome yet.
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
import type { InboxEntry, Reply } from "../../../mesh/link/inbox.js";
import type { BundleEntry } from "../../../mesh/wire/bundle.js";
import type { Priority, ReplyHeaders } from "../../../mesh/wire/headers.js";
import type { FifoNode } from "./fifo.js";
import type { Parkable, ParkedPlace } from "./parked-queue.js";

/** Who hears what becomes of a job. */
export interface JobListener {
  onEnd(outcome: Outcome): void;
  /** The job is held here from now on; called before anything is sent to a worker. */
  onTaken?(): void;
  onAccepted?(worker: string): void;
  onProgress?: ((payload: Uint8Array) => void) | undefined;
}

/** What an attempt tells the dispatcher. */
export interface AttemptOwner {
  onReply(attempt: Attempt, msg: Reply): void;
  onBundled(attempt: Attempt, entry: BundleEntry, about: ReplyHeaders): void;
}

/** Tries of one idempotent job at one manager. */
const MAX_ATTEMPTS = 5;

/** One try of a job, from its sending to its answer. */
export class Attempt implements InboxEntry {
  token = "";
  /** A result, a refusal or a revocation has ended it. */
  over = false;
  accepted = false;
  /** Its late answer is still listened to, to learn how long answers take. */
  lingers = false;
  /** Counted against its worker's free slots in the roster. */
  counted = false;
  incarnation: bigint | undefined;
  /** Heartbeats of its worker in a row that did not list it as running. */
  missing = 0;
  /** All that left with it under its own reply subject, itself among them, until it is answered. */
  bundle: readonly Attempt[] | undefined;
  /** Where it stands among the attempts at its worker. */
  spot = -1;
  /** Its place among the attempts that nobody has accepted yet. */
  waiting: FifoNode<Attempt> | undefined;

  constructor(
    readonly owner: AttemptOwner,
    readonly job: LiveJob,
    readonly number: number,
    public sentAt: number,
    /** Who has it: known at once for a hand-off, from the first answer for an offer. */
    public worker: string | undefined,
    /** A hand-off that its worker has not answered yet. */
    public handOff: boolean,
  ) {}

  /** Whether another attempt may follow when its worker is gone. */
  get mayBeFollowed(): boolean {
    return this.number - this.job.spec.attemptsBefore < MAX_ATTEMPTS;
  }

  onReply(msg: Reply): void {
    this.owner.onReply(this, msg);
  }

  onBundled(entry: BundleEntry, about: ReplyHeaders): void {
    this.owner.onBundled(this, entry, about);
  }

  /** Whether a reply is about this attempt and from who has it; what a reply does not say, it does not contradict. */
  isMeant({ attempt, worker }: ReplyHeaders): boolean {
    if (attempt !== undefined && attempt !== this.number) return false;
    return worker === undefined || this.worker === undefined || worker === this.worker;
  }
}

export class LiveJob implements Parkable {
  /** Made with its one member: an array that grows from nothing takes room for seventeen. */
  readonly listeners: JobListener[];
  state: "parked" | "sent" | "ended" = "parked";
  /** Tries that ended in doubt; a refused one was no try. */
  attempts: number;
  attempt: Attempt | undefined;
  deadlineTick = 0;
  place: ParkedPlace | undefined;

  constructor(
    readonly spec: JobSpec,
    readonly submittedAt: number,
    listener: JobListener,
  ) {
    this.listeners = [listener];
    this.attempts = spec.attemptsBefore;
  }

  get id(): string {
    return this.spec.id;
  }

  /** Monotonic milliseconds. */
  get deadlineAt(): number {
    return this.submittedAt + this.spec.timeoutMs;
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

  /** One more caller of this job. @throws PoolError `duplicate_job` when it has another payload */
  join(spec: JobSpec, listener: JobListener): this {
    const { payload } = this.spec;
    if (payload.length !== spec.payload.length || Buffer.compare(payload, spec.payload) !== 0) {
      throw new PoolError("duplicate_job", "a job with this id is live and has another payload", { field: "job" });
    }
    this.hearAlso(listener);
    return this;
  }

  /** One more who waits for this job. */
  hearAlso(listener: JobListener): void {
    this.listeners.push(listener);
    listener.onTaken?.();
  }

  /** The outcome of a job that ends with an error. */
  failure(error: PoolError): Outcome {
    return { ok: false, id: this.id, error, worker: this.attempt?.worker ?? "", attempt: this.attempt?.number ?? 0 };
  }
}
