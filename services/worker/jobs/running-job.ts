/**
 * One job at the worker: as it was ordered, while it holds a slot, and what is due
 * for it meanwhile. Pure.
 *
 * States of a job that holds a slot: running → ended when its handler settles; running → aborted at its
 * deadline, a cancel or the end of a drain (the caller is answered at once),
 * then aborted → ended when the handler is gone. The slot is given back on
 * entering `ended`, which happens once.
 */
import { PoolError } from "../../../mesh/errors.js";
import { attemptCount, type JobLane } from "../../../mesh/job/job.js";
import { senderOf } from "../../../mesh/wire/wire-headers.js";
import type { Call, HandlerOutcome } from "../handlers/runner.js";
import { ProgressFlow } from "./progress-flow.js";

/** Hears of every transition, once. */
export interface JobLedger {
  /** Monotonic milliseconds. */
  now(): number;
  /** The largest progress that the broker takes now, in bytes. */
  readonly progressLimit: number;
  /** Calls `then` when what was published so far has arrived at the broker, or cannot arrive any more. */
  confirm(then: () => void): void;
  onProgress(job: RunningJob, payload: Uint8Array): void;
  onAborted(job: RunningJob, error: PoolError, nowMs: number): void;
  /** @param answered whether the caller was already answered, at the abort */
  onEnded(job: RunningJob, outcome: HandlerOutcome, answered: boolean): void;
}

type JobState =
  | { readonly at: "running" }
  | { readonly at: "aborted"; readonly sinceMs: number; readonly error: PoolError }
  | { readonly at: "ended" };

/** So many managers may ask for a job while it runs, each by its last attempt. Of an attempt its names are kept, not its payload. */
export const MAX_OTHERS = 64;
const NO_BYTES = new Uint8Array();
const NOBODY: readonly JobOrder[] = [];
const RUNNING: JobState = { at: "running" };
const ENDED: JobState = { at: "ended" };

/** A job from the moment it takes a slot. */
export class RunningJob implements Call {
  readonly key: string;
  readonly id: string;
  readonly nonce: string;
  readonly attempt: number;
  readonly attemptNumber: number;
  readonly bytes: Uint8Array;
  readonly deadlineAtMs: number;
  /** Who else asked for this job while it runs: another manager, after its client's own had died. */
  others: readonly JobOrder[] = NOBODY;
  /** Set once `accepted` was sent or need not be. */
  accepted: boolean;
  #state: JobState = RUNNING;
  #controller: AbortController | undefined;
  /** Made for the first progress: most handlers report none. */
  #progress: ProgressFlow | undefined;

  constructor(
    readonly order: JobOrder,
    readonly pool: string,
    readonly worker: string,
    readonly startedAtMs: number,
    readonly ledger: JobLedger,
  ) {
    this.id = order.id;
    this.nonce = order.nonce;
    this.attempt = attemptCount(order.attempt);
    this.attemptNumber = order.attempt;
    this.bytes = order.bytes;
    this.deadlineAtMs = order.deadlineAtMs;
    this.accepted = !order.offered;
    this.key = attemptKey(order);
  }

  get timeLeftMs(): number {
    return this.deadlineAtMs - this.ledger.now();
  }

  get progressLimit(): number {
    return this.ledger.progressLimit;
  }

  get lane(): JobLane {
    return this.order.durable ? "durable" : "core";
  }

  get maxAttempts(): number | undefined {
    return this.order.maxAttempts;
  }

  get traceparent(): string | undefined {
    return this.order.traceparent;
  }

  get tracestate(): string | undefined {
    return this.order.tracestate;
  }

  /** The last attempt that anybody wants: a revocation of earlier ones does not concern it. */
  get lastAttempt(): number {
    return this.others.reduce((last, { attempt }) => Math.max(last, attempt), this.attemptNumber);
  }

  get running(): boolean {
    return this.#state.at === "running";
  }

  /** When it was aborted and has not ended since, monotonic milliseconds. */
  get abortedSinceMs(): number | undefined {
    return this.#state.at === "aborted" ? this.#state.sinceMs : undefined;
  }

  /** Made when first asked for: most handlers never do, and it costs more than the rest of a job. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#state.at === "aborted") this.#controller.abort(this.#state.error);
    }
    return this.#controller.signal;
  }

  /** Answers this sender too at the end; false when as many ask as may. */
  join(order: JobOrder): boolean {
    const known = order.reply === this.order.reply || this.others.some((other) => other.reply === order.reply);
    if (known) return true;
    const others = this.others.filter((other) => !isOver(other, order));
    if (others.length === MAX_OTHERS) return false;
    this.others = [...others, { ...order, bytes: NO_BYTES }];
    return true;
  }

  progress(payload: Uint8Array): void {
    if (!this.running) return;
    this.#progress ??= new ProgressFlow(
      (each) => {
        if (this.running) this.ledger.onProgress(this, each);
      },
      (then) => this.ledger.confirm(then),
    );
    this.#progress.put(payload);
  }

  /** Answers the caller with `error` and tells the handler. False when it is not running any more. */
  abort(error: PoolError, nowMs: number): boolean {
    if (!this.running) return false;
    this.#setState({ at: "aborted", sinceMs: nowMs, error });
    this.ledger.onAborted(this, error, nowMs);
    this.#controller?.abort(error);
    return true;
  }

  /** The handler is gone. Only the first call counts. */
  end(outcome: HandlerOutcome): void {
    if (this.#state.at === "ended") return;
    const answered = this.#state.at === "aborted";
    this.#progress?.flush();
    this.#setState(ENDED);
    this.ledger.onEnded(this, outcome, answered);
  }

  #setState(state: JobState): void {
    this.#state = state;
  }
}

/** Whether a manager has revoked an attempt: it waits for a later one. */
function isOver(other: JobOrder, later: JobOrder): boolean {
  const manager = senderOf(later.reply ?? "");
  return manager !== "" && other.attempt < later.attempt && senderOf(other.reply ?? "") === manager;
}

/** Which job a reply is about and where it goes. */
export interface Addressee {
  readonly id: string;
  /** The nonce of its submission; "" when its id is its own. */
  readonly nonce: string;
  readonly attempt: number;
  /** Of a plain job that names no submission: tells its payload from others; 0 for any other job. */
  readonly print?: number;
  /** Undefined: nobody waits. */
  readonly reply: string | undefined;
  /** Of a job that came in a bundle, whose result may go back in one: `reply` taken apart, the inbox with the last dot. */
  readonly inbox?: string | undefined;
  readonly token?: string | undefined;
}

/** How the sender of an order hears what becomes of it. Each lane by which jobs come has one. */
export interface Answerer {
  /** The job holds a slot and runs. */
  accepted(order: JobOrder): void;
  /** An intermediate value. */
  progress(order: JobOrder, payload: Uint8Array): void;
  /** The last word: a result or an error, kept until it has arrived. @param nowMs monotonic milliseconds */
  end(order: JobOrder, outcome: HandlerOutcome, nowMs: number): void;
}

/** A job that a sender wants to be run. */
export interface JobOrder extends Addressee {
  /** Whether the sender gave the id, so that it can name the job again. */
  readonly named: boolean;
  /** Whether the sender understands `busy`, `accepted` and `progress`; else it gets one answer, the outcome. */
  readonly offered: boolean;
  /** It comes from the durable lane: another manager may hand it in again, as a later attempt. */
  readonly durable: boolean;
  /** Of such a job: failures after which it is given up; undefined when its manager does not say it. */
  readonly maxAttempts: number | undefined;
  /** Whether it may run more than once; of a first attempt it does not matter, and a bundle does not say it. */
  readonly idempotent: boolean;
  /** It is not to be started: only who has it already answers with what becomes of it. */
  readonly joins: boolean;
  readonly bytes: Uint8Array;
  /** Monotonic milliseconds. */
  readonly deadlineAtMs: number;
  /** How old it is, in milliseconds, and how old it may be to be started; undefined when its sender sets no bound. */
  readonly ageMs: number;
  /** False when nothing tells its age: it is the first message of its sender. */
  readonly measured: boolean;
  readonly startWithinMs: number | undefined;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  readonly answerer: Answerer;
}

/** Which attempts must not run. */
export interface Revoke {
  readonly id: string;
  /** The submission; "" for every job of this id. */
  readonly nonce: string;
  /** Infinity: no attempt may run. */
  readonly upToAttempt: number;
  /** Only what was here before this time is meant, monotonic milliseconds; undefined when all is. */
  readonly beforeMs?: number;
}

/** The key of one submission; names have no space. */
export function jobKey(id: string, nonce: string): string {
  return nonce === "" ? id : `${id} ${nonce}`;
}

/** The key of one attempt of one submission. */
export function attemptKey({ id, nonce, attempt }: Pick<Addressee, "id" | "nonce" | "attempt">): string {
  return attempt === 1 ? jobKey(id, nonce) : `${jobKey(id, nonce)}#${attempt}`;
}

/** What the checks work with. */
export interface ChecksParts {
  readonly acceptAfterMs: number;
  readonly abortGraceMs: number;
  readonly accept: (job: RunningJob) => void;
  /** The number of handlers that ignore their abort has changed. */
  readonly onStuckChange: () => void;
}

/**
 * What is due for the running jobs: acceptance to be said, a deadline that is
 * over, an abort that is ignored. Called on a tick while jobs run.
 */
export class Checks {
  readonly #parts: ChecksParts;
  #stuck = 0;

  constructor(parts: ChecksParts) {
    this.#parts = parts;
  }

  /** How many slots are held by handlers that ignored their abort. */
  get stuck(): number {
    return this.#stuck;
  }

  /** Does what is due for each job. */
  check(jobs: Iterable<RunningJob>, nowMs: number): void {
    let stuck = 0;
    for (const job of jobs) if (this.#checkOne(job, nowMs)) stuck += 1;
    if (stuck === this.#stuck) return;
    this.#stuck = stuck;
    this.#parts.onStuckChange();
  }

  /** Does what is due for one job; true when its handler ignores its abort. */
  #checkOne(job: RunningJob, nowMs: number): boolean {
    const { acceptAfterMs, abortGraceMs, accept } = this.#parts;
    if (job.abortedSinceMs !== undefined) return nowMs - job.abortedSinceMs > abortGraceMs;
    if (nowMs >= job.deadlineAtMs) {
      job.abort(new PoolError("deadline_exceeded", "the job ran out of time", { maybeExecuted: true }), nowMs);
    } else if (!job.accepted && nowMs - job.startedAtMs >= acceptAfterMs) accept(job);
    return false;
  }
}

export const QUICK_JOBS_NEEDED = 100;
export const SLOW_SYNC_MS = 5;
export const SLOW_LOOP_MS = 25;

/**
 * The accept policy of an inline worker: say `accepted` first, or let the result
 * be the acceptance.
 *
 * A handler that blocks the event loop cannot say `accepted` in time, and its job
 * would be offered a second time. So a worker says `accepted` before it runs a
 * job until enough jobs in a row were quick. Then a result is its own acceptance,
 * until a job is slow again.
 *
 * States: accept first → result only after a streak of quick jobs; result only →
 * accept first at a slow synchronous part or a stall of the event loop.
 */
export class AcceptPolicy {
  #streak = 0;

  /** Whether a job may run before it is accepted. */
  get resultIsEnough(): boolean {
    return this.#streak >= QUICK_JOBS_NEEDED;
  }

  /** A job's synchronous part took this long. */
  ran(syncMs: number): void {
    if (syncMs >= SLOW_SYNC_MS) this.#streak = 0;
    else if (this.#streak < QUICK_JOBS_NEEDED) this.#streak += 1;
  }

  /** The event loop was late by this much. */
  lagged(lagMs: number): void {
    if (lagMs > SLOW_LOOP_MS) this.#streak = 0;
  }
}
