/** A call with another one around it: the base of those who change a job on its way to the handler, or look at its end. */
import type { JobLane } from "../../../../mesh/job/job.js";
import type { Call, HandlerOutcome } from "../runner.js";

/** What is another value than in the call within. */
export interface CallChanges {
  readonly bytes?: Uint8Array;
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
}

export class CallAround implements Call {
  readonly #call: Call;
  readonly #onEnd: (outcome: HandlerOutcome) => void;
  readonly id: string;
  readonly pool: string;
  readonly worker: string;
  readonly attempt: number;
  readonly attemptNumber: number;
  readonly lane: JobLane;
  readonly maxAttempts: number | undefined;
  readonly bytes: Uint8Array;
  readonly deadlineAtMs: number;
  readonly progressLimit: number | undefined;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;

  /** @param onEnd called in place of the end of the call within, which it has to end */
  constructor(call: Call, changes: CallChanges, onEnd: (outcome: HandlerOutcome) => void) {
    const { bytes = call.bytes, traceparent = call.traceparent, tracestate = call.tracestate } = changes;
    this.#call = call;
    this.#onEnd = onEnd;
    this.id = call.id;
    this.pool = call.pool;
    this.worker = call.worker;
    this.attempt = call.attempt;
    this.attemptNumber = call.attemptNumber;
    this.lane = call.lane;
    this.maxAttempts = call.maxAttempts;
    this.bytes = bytes;
    this.deadlineAtMs = call.deadlineAtMs;
    this.progressLimit = call.progressLimit;
    this.traceparent = traceparent;
    this.tracestate = tracestate;
  }

  get timeLeftMs(): number {
    return this.#call.timeLeftMs ?? this.deadlineAtMs - performance.now();
  }

  get signal(): AbortSignal {
    return this.#call.signal;
  }

  progress(payload: Uint8Array): void {
    this.#call.progress(payload);
  }

  end(outcome: HandlerOutcome): void {
    this.#onEnd(outcome);
  }
}
