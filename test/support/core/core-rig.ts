/** The pure core of a manager's pool on a number for a clock: what it sends is a list, what workers say is a call. */
import { Isolation, WorkerState } from "../../../gen/poolmesh/v1/heartbeat_pb.js";
import type { PoolError, Reason } from "../../../mesh/errors.js";
import type { JobSpec, Outcome } from "../../../mesh/job/job.js";
import { Dispatcher } from "../../../services/manager/jobs/dispatcher.js";
import type { Attempt, Job } from "../../../services/manager/jobs/job.js";
import type { ParkedLimits } from "../../../services/manager/jobs/parked-queue.js";
import type { SenderPort } from "../../../services/manager/jobs/sender-port.js";
import { Timeouts } from "../../../services/manager/jobs/timeouts.js";
import { Totals } from "../../../services/manager/jobs/totals.js";
import { type WorkerEntry, Workers } from "../../../services/manager/jobs/workers.js";

const EMPTY = new Uint8Array(0);

/** A message that the core has sent. */
export interface Sent {
  readonly attempt: Attempt;
  /** Undefined for an offer to the queue group. */
  readonly worker: string | undefined;
}

/** What differs from the defaults. */
export interface CoreRigOptions {
  readonly bare?: boolean;
  readonly limits?: Partial<ParkedLimits>;
  readonly acceptTimeoutMs?: number;
  readonly onStart?: (job: Job) => void;
  readonly onFinish?: (outcome: Outcome) => void;
}

/** A recording sender: everything leaves at once, unless `holds` is set. */
class RecordingSender implements SenderPort {
  readonly sent: Sent[] = [];
  readonly revoked: string[] = [];
  readonly forgotten: Attempt[] = [];
  holds = false;
  limitBytes = 1_000_000;
  #held: Sent[] = [];

  send(attempt: Attempt, worker: WorkerEntry | undefined): void {
    const one = { attempt, worker: worker?.id };
    if (this.holds) this.#held.push(one);
    else this.sent.push(one);
  }

  takeOffers(): readonly Attempt[] {
    const offers = this.#held.filter(({ worker }) => worker === undefined).map(({ attempt }) => attempt);
    this.#held = this.#held.filter(({ worker }) => worker !== undefined);
    return offers;
  }

  flush(): void {
    this.sent.push(...this.#held);
    this.#held = [];
  }

  revoke(job: Job, upToAttempt: number): void {
    this.flush();
    this.revoked.push(`${job.id} ${upToAttempt}`);
  }

  forget(attempt: Attempt): void {
    this.forgotten.push(attempt);
  }

  payloadLimit(): number {
    return this.limitBytes;
  }
}

export class CoreRig {
  nowMs = 0;
  readonly sender = new RecordingSender();
  readonly workers = new Workers();
  readonly totals = new Totals();
  readonly dispatcher: Dispatcher;
  readonly timeouts: Timeouts;
  readonly outcomes = new Map<string, Outcome[]>();
  /** Jobs whose workers were to be asked whether they have them. */
  readonly inquired: string[] = [];
  /** Whether questions reach the workers. */
  reachesWorkers = true;
  #jobs = 0;
  #seq = 0n;

  constructor(options: CoreRigOptions = {}) {
    this.dispatcher = new Dispatcher({
      sender: this.sender,
      workers: this.workers,
      totals: this.totals,
      limits: { jobs: 1_000, bytes: 1_000_000, clientShare: 1, ...options.limits },
      bare: options.bare ?? false,
      now: () => this.nowMs,
      onBusy: () => {},
      ...(options.onStart === undefined ? {} : { onStart: options.onStart }),
      ...(options.onFinish === undefined ? {} : { onFinish: options.onFinish }),
      onRoundTrip: (worker, ms) => this.timeouts.workerMeasured(worker, ms),
      acceptTimeoutOf: (job) => this.timeouts.acceptTimeoutOf(job),
      onLate: (attempt, ageMs) => this.timeouts.cameLate(attempt, ageMs),
    });
    this.timeouts = new Timeouts(this.dispatcher, this.workers, options.acceptTimeoutMs ?? 250);
  }

  /** Submits a job; its outcomes are recorded under its id, which is returned. */
  submit(options: Partial<JobSpec> = {}): string {
    this.#jobs += 1;
    const id = options.id ?? `j${this.#jobs}`;
    const heard: Outcome[] = this.outcomes.get(id) ?? [];
    this.outcomes.set(id, heard);
    this.dispatcher.submit({ ...DEFAULT_SPEC, ...options, id }, { onEnd: (outcome) => heard.push(outcome) });
    return id;
  }

  /** Whether the workers that send heartbeats answer a later attempt of what they have run. */
  answersLaterAttempts = false;

  /** A worker's heartbeat. */
  heartbeat(worker: string, slots: number, busy = 0, incarnation = 1n, state = WorkerState.READY): void {
    this.#seq += 1n;
    const { answersLaterAttempts } = this;
    const heartbeat = { worker, slots, busy, incarnation, state, seq: this.#seq, answersLaterAttempts };
    this.workers.heartbeat(
      { ...heartbeat, heartbeatIntervalMs: 1_000, isolation: Isolation.INLINE, takesBundles: true },
      this.nowMs,
    );
    this.dispatcher.pump();
  }

  /** The newest message that was sent for a job. */
  last(id: string): Sent {
    const found = this.sender.sent.filter(({ attempt }) => attempt.job.id === id).at(-1);
    if (found === undefined) throw new Error(`nothing was sent for ${id}`);
    return found;
  }

  accepted(id: string, worker: string, free?: number): void {
    this.dispatcher.replied(this.last(id).attempt, { kind: "accepted", worker, free }, EMPTY);
  }

  busy(id: string, worker: string, free = 0): void {
    this.dispatcher.replied(this.last(id).attempt, { kind: "busy", worker, free }, EMPTY);
  }

  result(id: string, worker: string, free?: number): void {
    this.dispatcher.replied(this.last(id).attempt, { kind: "result", worker, free }, EMPTY);
  }

  error(id: string, worker: string, error: PoolError): void {
    this.dispatcher.replied(this.last(id).attempt, { kind: "error", worker }, EMPTY, error);
  }

  /** Time passes, and what has waited too long is ended. */
  advance(ms: number): void {
    this.nowMs += ms;
    this.timeouts.checkDeadlines(this.nowMs);
    for (const attempt of this.timeouts.checkUnanswered(this.nowMs)) {
      this.inquired.push(attempt.job.id);
      if (this.reachesWorkers) attempt.inquiry = "over";
    }
  }

  /** "ok", or the reason of the error; undefined while there is no outcome. Throws for more than one. */
  outcome(id: string): Reason | "ok" | undefined {
    const heard = this.outcomes.get(id) ?? [];
    if (heard.length > 1) throw new Error(`${id} has ${heard.length} outcomes`);
    const outcome = heard[0];
    return outcome === undefined || outcome.ok ? outcome && "ok" : outcome.error.reason;
  }

  /** The error of a job that ended with one. */
  failure(id: string): PoolError {
    const outcome = this.outcomes.get(id)?.[0];
    if (outcome === undefined || outcome.ok) throw new Error(`${id} has no error`);
    return outcome.error;
  }
}

const DEFAULT_SPEC: JobSpec = {
  runTimeoutMs: undefined,
  maxAttempts: undefined,
  joinAt: undefined,
  id: "",
  nonce: "",
  payload: EMPTY,
  timeoutMs: 30_000,
  idempotent: false,
  priority: "normal",
  wait: true,
  waitForPool: false,
  client: "",
  traceparent: undefined,
  tracestate: undefined,
  attemptsBefore: 0,
};
