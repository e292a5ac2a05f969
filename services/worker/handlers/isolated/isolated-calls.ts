/** The calls that run in this thread or child: made from what came over, ended by what goes back. */
import type { JobLane } from "../../../../mesh/job/job.js";
import { telemetry } from "../../../../mesh/trace/telemetry.js";
import { ProgressFlow } from "../../jobs/progress-flow.js";
import { invoke } from "../handler.js";
import type { LoadedHandler } from "../loaded-handler.js";
import type { Call, HandlerOutcome } from "../runner.js";
import { fromWireError, type WireCall, type WireError } from "./wire.js";

/** How many aborts are remembered whose call has not come yet. */
const EARLY_ABORTS_LIMIT = 1_000;

/** Where progress and endings go. */
export interface CallsPort {
  onProgress(call: number, payload: Uint8Array): void;
  onEnded(call: number, outcome: HandlerOutcome): void;
}

export class IsolatedCalls {
  readonly #port: CallsPort;
  readonly #running = new Map<number, { readonly call: IsolatedCall; readonly controller: AbortController }>();
  readonly #earlyAborts = new Map<number, WireError>();

  constructor(port: CallsPort) {
    this.#port = port;
  }

  /** Whether a call has begun and has not ended. */
  get isRunning(): boolean {
    return this.#running.size > 0;
  }

  /** Runs one call. */
  run(handler: LoadedHandler, wire: WireCall): void {
    const controller = new AbortController();
    const early = this.#earlyAborts.get(wire.call);
    if (early !== undefined) controller.abort(fromWireError(early));
    const call = new IsolatedCall(wire, controller.signal, this.#port, (outcome) => {
      if (this.#running.delete(wire.call)) this.#port.onEnded(wire.call, outcome);
    });
    this.#running.set(wire.call, { call, controller });
    const traced = telemetry();
    if (traced === undefined) invoke(handler, call);
    else traced.within(wire, () => invoke(handler, call));
  }

  /** The worker has taken so many progress values of a call. */
  took(call: number, count: number): void {
    this.#running.get(call)?.call.flow.arrived(count);
  }

  abort(call: number, error: WireError): void {
    const running = this.#running.get(call);
    if (running !== undefined) running.controller.abort(fromWireError(error));
    else if (this.#earlyAborts.size < EARLY_ABORTS_LIMIT) this.#earlyAborts.set(call, error);
  }
}

class IsolatedCall implements Call {
  readonly id: string;
  readonly pool: string;
  readonly worker: string;
  readonly attempt: number;
  readonly attemptNumber: number;
  readonly lane: JobLane;
  readonly maxAttempts: number | undefined;
  readonly bytes: Uint8Array;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  readonly deadlineAtMs: number;
  readonly progressLimit: number | undefined;
  readonly flow: ProgressFlow;
  readonly #onEnd: (outcome: HandlerOutcome) => void;

  constructor(
    wire: WireCall,
    readonly signal: AbortSignal,
    port: CallsPort,
    onEnd: (outcome: HandlerOutcome) => void,
  ) {
    this.id = wire.id;
    this.pool = wire.pool;
    this.worker = wire.worker;
    this.attempt = wire.attempt;
    this.attemptNumber = wire.attemptNumber;
    this.lane = wire.lane;
    this.maxAttempts = wire.maxAttempts;
    this.bytes = wire.bytes;
    this.traceparent = wire.traceparent;
    this.tracestate = wire.tracestate;
    this.deadlineAtMs = performance.now() + wire.timeLeftMs;
    this.progressLimit = wire.progressLimit;
    // The worker says by itself what it has taken.
    this.flow = new ProgressFlow(
      (payload) => port.onProgress(wire.call, payload),
      () => undefined,
    );
    this.#onEnd = onEnd;
  }

  progress(payload: Uint8Array): void {
    this.flow.put(payload);
  }

  end(outcome: HandlerOutcome): void {
    this.flow.flush();
    this.#onEnd(outcome);
  }
}
