/**
 * One job that holds a slot. Pure.
 *
 * States: running → ended when its handler settles; running → aborted at its
 * deadline, a cancel or the end of a drain (the caller is answered at once),
 * then aborted → ended when the handler is gone. The slot is given back on
 * entering `ended`, which happens once.
 */
import type { PoolError } from "../../../mesh/errors.js";
import type { Call, Ending } from "../handlers/runner.js";
import { attemptKey, type JobOrder } from "./order.js";

/** Hears of every transition, once. */
export interface JobLedger {
  onProgress(job: RunningJob, payload: Uint8Array): void;
  onAborted(job: RunningJob, error: PoolError, nowMs: number): void;
  /** @param answered whether the caller was already answered, at the abort */
  onEnded(job: RunningJob, ending: Ending, answered: boolean): void;
}

type JobState =
  | { readonly at: "running" }
  | { readonly at: "aborted"; readonly sinceMs: number; readonly error: PoolError }
  | { readonly at: "ended" };

const MAX_OTHERS = 16;
const NOBODY: readonly JobOrder[] = [];
const RUNNING: JobState = { at: "running" };
const ENDED: JobState = { at: "ended" };

/** A job from the moment it takes a slot. */
export class RunningJob implements Call {
  readonly key: string;
  readonly id: string;
  readonly nonce: string;
  readonly attempt: number;
  readonly bytes: Uint8Array;
  readonly deadlineAtMs: number;
  /** Who else asked for this attempt while it runs: another manager, after its client's own had died. */
  others: readonly JobOrder[] = NOBODY;
  /** Set once `accepted` was sent or need not be. */
  accepted: boolean;
  #state: JobState = RUNNING;
  #controller: AbortController | undefined;

  constructor(
    readonly order: JobOrder,
    readonly pool: string,
    readonly worker: string,
    readonly startedAtMs: number,
    readonly ledger: JobLedger,
  ) {
    this.id = order.id;
    this.nonce = order.nonce;
    this.attempt = order.attempt;
    this.bytes = order.bytes;
    this.deadlineAtMs = order.deadlineAtMs;
    this.accepted = !order.offered;
    this.key = attemptKey(order);
  }

  get traceparent(): string | undefined {
    return this.order.traceparent;
  }

  get tracestate(): string | undefined {
    return this.order.tracestate;
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
    if (this.others.length === MAX_OTHERS) return false;
    this.others = [...this.others, order];
    return true;
  }

  progress(payload: Uint8Array): void {
    if (this.running) this.ledger.onProgress(this, payload);
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
  end(ending: Ending): void {
    if (this.#state.at === "ended") return;
    const answered = this.#state.at === "aborted";
    this.#setState(ENDED);
    this.ledger.onEnded(this, ending, answered);
  }

  #setState(state: JobState): void {
    this.#state = state;
  }
}
